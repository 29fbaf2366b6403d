"""One program for each rival, which runs in the rival's own environment."""
