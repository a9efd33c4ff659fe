"""Rows as they travel over HTTP, in JSON and CSV: what all dialects that ask trained models have in common."""
