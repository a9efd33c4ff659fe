"""Models brought in from buckets and repositories in Hugging Face's format, and copies of custom models."""
