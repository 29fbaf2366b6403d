"""Other engines of durable execution on the same order saga: `python -m benchmarks.rivals`."""
