"""Many invocations of a model as one durable job, and single ones that nobody waits for."""
