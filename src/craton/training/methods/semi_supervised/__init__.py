"""Labels known for few rows: what the others can add."""
