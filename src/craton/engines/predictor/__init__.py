"""Runs what training made: rows in, predictions out."""
