"""Events and those who react to them, on a node: order, delivery, retries, dead letters."""
