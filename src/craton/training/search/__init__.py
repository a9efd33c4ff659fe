"""Which parameters are best: combinations are tried by cross-validation on training rows, never on the test rows."""
