"""Several processes that work on one run: one leads, the others read the same rows and help it."""
