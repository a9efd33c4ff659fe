"""Asking a registered PostgreSQL at query time: its schema, the check of a statement, its rows."""
