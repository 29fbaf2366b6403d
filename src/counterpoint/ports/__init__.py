"""What the runtime needs from its surroundings: Protocols, with prose about what they guarantee."""
