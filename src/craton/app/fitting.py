""" "Will it fit?": what a model takes in memory when loaded with the operator's settings, beside what there is."""

from __future__ import annotations

import os
from contextlib import suppress
from pathlib import Path

from msgspec import Struct

from craton.app.config import Settings, parse_bytes
from craton.core.model import ModelInfo
from craton.hub.memory import MemoryNeed, memory_needed
from craton.serve.loading import IN_WORKERS

DEFAULT_SHARE = 0.7  # of the machine's memory, for all loaded models together
DEFAULT_CONTEXT = 8192  # tokens of one request, and
DEFAULT_PARALLEL = 4  # requests at once: as the engines settle it when the operator does not


class Fit(Struct, frozen=True):
    """Bytes, but for context (tokens of one request) and parallel (requests at once), which the need was made with."""

    memory_needed: MemoryNeed
    memory_available: int
    memory_limit: int
    fits: bool
    context: int
    parallel: int


def describe_fit(info: ModelInfo, settings: Settings, context: int | None = None, parallel: int | None = None) -> Fit:
    """context and parallel: instead of the operator's."""
    options = settings.engines.get(info.engine, {})
    context = context or options.get("context") or min(info.context_length or DEFAULT_CONTEXT, DEFAULT_CONTEXT)
    parallel = parallel or options.get("parallel") or DEFAULT_PARALLEL
    need = memory_needed(info, context, parallel)
    available, limit = available_memory(), memory_limit(settings)
    return Fit(need, available, limit, need.total <= min(available, limit), context, parallel)


def bytes_needed(info: ModelInfo, settings: Settings, units: int = 1) -> int:
    """What loading a model takes here, for so many times the usual requests at once; nothing for one that lives
    elsewhere."""
    if info.engine not in IN_WORKERS:
        return 0
    parallel = settings.engines.get(info.engine, {}).get("parallel") or DEFAULT_PARALLEL
    return describe_fit(info, settings, parallel=units * parallel).memory_needed.total


def available_memory() -> int:
    """Bytes that could be used now, without swapping; the total where the system does not tell."""
    with suppress(OSError):
        for line in Path("/proc/meminfo").read_text("ascii").splitlines():
            if line.startswith("MemAvailable:"):
                return int(line.split()[1]) * 1024
    return _total_memory()


def memory_limit(settings: Settings) -> int:
    """Bytes that loaded models may take together."""
    if settings.server.memory:
        return parse_bytes(settings.server.memory)
    return int(_total_memory() * DEFAULT_SHARE)


def _total_memory() -> int:
    return os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
