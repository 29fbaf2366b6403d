"""The asyncio loops around the kernel: they commit what it decides, then perform it."""
