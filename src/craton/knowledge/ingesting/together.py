"""Tasks side by side of which the first failure is the failure of all (a TaskGroup would wrap it in a group)."""

from __future__ import annotations

import asyncio
from collections.abc import Coroutine, Sequence
from typing import Any


async def together(*parts: Coroutine[Any, Any, None]) -> None:
    """Runs them side by side; the first that fails ends the others, and its own error is raised."""
    tasks: Sequence[asyncio.Task[None]] = [asyncio.ensure_future(part) for part in parts]
    try:
        await asyncio.gather(*tasks)
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
