"""What the scenarios share: they run inside a client's own virtual environment and import nothing of Craton.

A scenario is a script: it takes CRATON_URL and CRATON_TOKEN from its environment and prints one JSON line
{check, ok, detail} for each check. ok is null when this generation of the client has no such feature.
"""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

URL = os.environ["CRATON_URL"]
TOKEN = os.environ["CRATON_TOKEN"]
ACCESS_KEY_ID, SECRET_ACCESS_KEY = TOKEN.split("-", 2)[1:]
WRONG_TOKEN = f"{TOKEN[:-4]}AAAA"

HELLO = "hello there, world"
WEATHER_SCHEMA: Any = {"type": "object", "properties": {"city": {"type": "string"}}, "required": ["city"]}

# What the server's script (tests/compat/script.yaml) answers in its own way.
BREAKS_OFF = "please break off"
THROTTLED = "once too often"
THINKS_AND_CALLS = "think and call"


class Absent(Exception):
    """This generation of the client has no such feature."""


def need(owner: Any, *path: str) -> Any:
    """The attribute at this path. Raises Absent."""
    for name in path:
        owner = getattr(owner, name, None)
        if owner is None:
            raise Absent(f"this generation has no {'.'.join(path)}")
    return owner


def equal(found: Any, expected: Any) -> None:
    if found != expected:
        raise AssertionError(f"{found!r} is not {expected!r}")


def holds(condition: object, otherwise: str) -> None:
    if not condition:
        raise AssertionError(otherwise)


@contextmanager
def raises(kind: type[Exception], status: int | None = None, says: str = "") -> Iterator[None]:
    """The block must raise `kind`, with this HTTP status (where the client keeps one) and these words."""
    try:
        yield
    except kind as error:
        if status is not None:
            equal(_status(error), status)
        holds(says in str(error), f"{says!r} is not in {str(error)!r}")
    else:
        raise AssertionError(f"no {kind.__name__} was raised")


def _status(error: Exception) -> Any:
    response = getattr(error, "response", None)
    if isinstance(response, dict):  # botocore's
        return response["ResponseMetadata"]["HTTPStatusCode"]
    return getattr(error, "status_code", None) or getattr(response, "status_code", None)  # the latter huggingface_hub's


def run(checks: list[Callable[[], None]]) -> None:
    """Runs each check, named by its function, and reports it."""
    for check in checks:
        outcome: dict[str, Any] = {"check": check.__name__.replace("_", " "), "ok": True, "detail": ""}
        try:
            check()
        except Absent as absent:
            outcome |= {"ok": None, "detail": str(absent)}
        except Exception as error:
            outcome |= {"ok": False, "detail": f"{type(error).__name__}: {error}"[:400]}
        print(json.dumps(outcome), flush=True)
