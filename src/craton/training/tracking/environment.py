"""Where a run ran: what anybody needs who wants the same figures again."""

from __future__ import annotations

import os
import platform
import time
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

from craton import __version__

LIBRARIES = (
    *("gymnasium", "lightgbm", "numpy", "pandas", "river", "scikit-learn", "scipy", "sentence-transformers"),
    *("stable-baselines3", "torch", "transformers", "umap-learn", "xgboost-cpu"),
)
POWERCAP = Path("/sys/class/powercap")


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
    """What a stretch of work took: seconds, processor seconds of this process, and joules where the machine counts them
    (Intel's and AMD's RAPL counters: of the whole package, so other work on it is in them)."""

    def __init__(self, powercap: Path = POWERCAP) -> None:
        self._powercap = powercap
        self._began, self._processor, self._energy = time.monotonic(), time.process_time(), _joules(powercap)

    def so_far(self) -> dict[str, float]:
        found = {
            "seconds": round(time.monotonic() - self._began, 3),
            "processor_seconds": round(time.process_time() - self._processor, 3),
        }
        now = _joules(self._powercap)
        spent = [now[zone] - before for zone, before in self._energy.items() if zone in now]
        if spent and all(joules >= 0 for joules in spent):  # a counter that began anew tells nothing
            found["joules"] = round(sum(spent), 1)
        return found


def _joules(powercap: Path) -> dict[str, float]:
    """Zone -> joules since some moment; empty where there are no counters, or only root may read them."""
    found = {}
    for zone in powercap.glob("*-rapl:[0-9]*"):
        if zone.name.count(":") == 1:  # a package; what is inside it is counted in it
            try:
                found[zone.name] = int((zone / "energy_uj").read_text()) / 1e6
            except (OSError, ValueError):
                continue
    return found
