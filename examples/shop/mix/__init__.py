"""Both styles in one app: a saga sells, and services that it does not know ship and restock."""
