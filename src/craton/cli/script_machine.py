"""What is recorded of the machine and the interpreter of a user's program."""

from __future__ import annotations

import os
import resource
from collections.abc import Sequence
from typing import Any

import msgspec

from craton.cli.source import said_by
from craton.training.tracking.environment import Cost, environment

MAX_LIBRARIES = 1_000
PROBE = """
import importlib.metadata, json, platform
found = {each.metadata["Name"]: each.version for each in importlib.metadata.distributions()}
print(json.dumps({"python": platform.python_version(), "libraries": found}))
"""


def machine_of(command: Sequence[str]) -> dict[str, Any]:
    """Of this machine; libraries are those of the program's own interpreter, where its first word is a Python."""
    facts = environment()
    del facts["python"], facts["libraries"]  # of Craton's Python, which need not be the program's
    return facts | _interpreter(command[0])


class ChildCost:
    """What the children of this process took."""

    def __init__(self) -> None:
        self._cost, self._before = Cost(), _children()

    def so_far(self) -> dict[str, float]:
        return self._cost.so_far() | {"processor_seconds": round(_children() - self._before, 3)}


def _children() -> float:
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return used.ru_utime + used.ru_stime


def _interpreter(program: str) -> dict[str, Any]:
    if not os.path.basename(program).startswith("python"):
        return {}
    try:
        found: dict[str, Any] = msgspec.json.decode(said_by(program, "-c", PROBE))
    except msgspec.DecodeError:
        return {}
    libraries = sorted(found["libraries"].items())
    return found | {"libraries": dict(libraries[:MAX_LIBRARIES])}
