"""A shop: orders, payments and stock, three services that one saga takes an order through."""
