"""What becomes of a model's files: converted, checked against the original, quantised, merged with an adapter."""
