"""Where a run ran: what anybody needs who wants the same figures again."""

from __future__ import annotations

import os
import platform
import time
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

from craton import __version__
from craton.training.tracking.energy import POWERCAP, Meter

LIBRARIES = (
    *("gymnasium", "lightgbm", "numpy", "pandas", "river", "scikit-learn", "scipy", "sentence-transformers"),
    *("stable-baselines3", "torch", "transformers", "umap-learn", "xgboost-cpu"),
)


def environment() -> dict[str, Any]:
    """Versions, machine and cores. Costs a few milliseconds: no library is imported."""
    return {
        "craton": __version__,
        "python": platform.python_version(),
        "libraries": {name: found for name in LIBRARIES if (found := _version(name))},
        "system": f"{platform.system()} {platform.release()}",
        "machine": platform.machine(),
        "processor": _processor(),
        "cores": len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count(),
        "memory_bytes": _memory(),
    }


def _version(name: str) -> str:
    try:
        return version(name)
    except PackageNotFoundError:
        return ""


def _processor() -> str:
    try:
        lines = Path("/proc/cpuinfo").read_text(errors="replace").splitlines()
    except OSError:
        return platform.processor()
    return next((line.partition(":")[2].strip() for line in lines if line.startswith("model name")), "")


def _memory() -> int | None:
    try:
        return os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    except (ValueError, OSError, AttributeError):
        return None


class Cost:
    """What a stretch of work took: seconds, processor seconds of this process, and joules (`energy`) where the machine
    counts them."""

    def __init__(self, powercap: Path = POWERCAP) -> None:
        self._meter = Meter(powercap)
        self._began, self._processor = time.monotonic(), time.process_time()

    def so_far(self) -> dict[str, float]:
        return {
            "seconds": round(time.monotonic() - self._began, 3),
            "processor_seconds": round(time.process_time() - self._processor, 3),
            **self._meter.joules(),
        }
