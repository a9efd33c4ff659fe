"""Deep learning: networks trained from nothing, by a loop short enough to read."""
