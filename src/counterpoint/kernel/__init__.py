"""The pure core: journal records in, decisions out; no clock, socket, thread or log."""
