"""A trip: flights, a room, a car, a person who approves and a card, in one saga with a pivot."""
