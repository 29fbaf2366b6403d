"""Kills, stops and continues several nodes of one store, and judges what they left in it."""
