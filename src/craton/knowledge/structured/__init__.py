"""Answers from data that is asked at the time of the question: SQL databases, and HTTP APIs."""
