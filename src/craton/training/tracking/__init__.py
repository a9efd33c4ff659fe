"""What is kept of a run beside its job: facts, figures, curves, and which data and model belong to it."""
