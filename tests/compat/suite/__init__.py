"""The huggingface_hub repository's own tests, run against a server process of this checkout."""
