"""Several learners that decide together, and models that were there before."""
