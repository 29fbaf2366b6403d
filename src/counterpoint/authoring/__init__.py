"""What users write with: definitions are data, and none of this runs anything by itself."""
