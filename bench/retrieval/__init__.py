"""Retrieval: every way to rank that was tried, on SciFact, on this project's own words and on SQuAD.

    python -m bench retrieval [--data FOLDER] [--model FOLDER] [--latency N] [--sizes]

Settings are chosen by five-fold cross-validation over SciFact's training questions; questions that ask for the same
documents stay in one fold. The test questions, and the two other collections, are only measured. Chunks, pieces,
sentences and terms are Craton's own; both legs are computed exactly, so what an index loses is not in these figures.
"""

from __future__ import annotations

from bench.retrieval.running import main

__all__ = ["main"]
