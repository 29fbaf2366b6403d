"""Kills nodes at random moments and checks the promises from the files that are left."""
