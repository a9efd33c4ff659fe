"""Readers of weight files' headers. They see strangers' bytes before any native code does."""
