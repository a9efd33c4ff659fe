"""Importing what a process is there for."""

from __future__ import annotations

import gc
from collections.abc import Iterator
from contextlib import contextmanager


@contextmanager
def uncollected() -> Iterator[None]:
    """For importing large libraries, in a process's beginning. What they make stays, and looking through it for
    garbage, again and again while it grows, takes a fifth of the time; afterwards it is not looked through any more."""
    gc.disable()
    try:
        yield
    finally:
        gc.freeze()
        gc.enable()
