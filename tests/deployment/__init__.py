"""A bad deployment rehearsed with real processes: what it stops, what mends it, and who pays."""
