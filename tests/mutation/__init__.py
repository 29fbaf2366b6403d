"""Breaks the engine on purpose, one promise at a time, and shows which test notices."""
