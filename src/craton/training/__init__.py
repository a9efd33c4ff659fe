"""Training: one specification, eight methods, one kind of artifact."""
