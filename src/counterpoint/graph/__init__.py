"""What code can do and what an execution did, read as data and drawn as text diagrams."""
