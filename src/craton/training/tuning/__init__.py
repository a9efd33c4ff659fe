"""Foundation models tuned: one module for what they share, one for each method."""
