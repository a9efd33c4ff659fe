"""What a program that runs elsewhere tells of its run: values, and the lines of its output that say them.

    craton-metric {"loss": 0.31, "accuracy": 0.9, "step": 10}
    craton-parameter {"rate": 0.01}

Nothing heavy is imported here: the command line does it.
"""

from __future__ import annotations

import json
from typing import Annotated, Any, Literal

import msgspec
from msgspec import Meta, Struct

from craton.core.chat import Json
from craton.core.errors import InvalidRequest
from craton.core.job import Level

KIND = "script"
METRIC, PARAMETER = "craton-metric ", "craton-parameter "
STEP = "step"
MAX_STEP = 2**53

Name = Annotated[str, Meta(min_length=1, max_length=200)]


class Begin(Struct, frozen=True, forbid_unknown_fields=True):
    """command: as it was typed. data: "namespace/name@revision" of a dataset that it reads, "" for none. environment,
    source: facts of its machine and of its folder (git), for people. parameters: known at the beginning."""

    command: Annotated[list[str], Meta(min_length=1, max_length=1000)]
    name: Annotated[str, Meta(max_length=300)] = ""
    data: Annotated[str, Meta(max_length=300)] = ""
    output: Annotated[str, Meta(max_length=200)] = ""
    environment: Json = {}
    source: Json = {}
    parameters: Json = {}


class ToldPoint(Struct, frozen=True, forbid_unknown_fields=True):
    """value: a number, or "NaN", "Infinity", "-Infinity". step: none for a figure of the whole run. time: seconds since
    the epoch; default: when the server hears of it."""

    name: Name
    value: float | Literal["NaN", "Infinity", "-Infinity"]
    step: Annotated[int, Meta(ge=-MAX_STEP, le=MAX_STEP)] | None = None
    time: float | None = None


class Line(Struct, frozen=True, forbid_unknown_fields=True):
    message: str
    level: Level = "info"


class Told(Struct, frozen=True, forbid_unknown_fields=True):
    """An empty one says no more than that it still runs. batch: ascends from 1; one that was heard already (its answer
    was lost on its way) is not kept twice. 0: whatever it is, it is kept."""

    batch: Annotated[int, Meta(ge=0, le=MAX_STEP)] = 0
    points: Annotated[list[ToldPoint], Meta(max_length=10_000)] = []
    parameters: Json = {}
    lines: Annotated[list[Line], Meta(max_length=1_000)] = []


class End(Struct, frozen=True, forbid_unknown_fields=True):
    """exit_code: of the command, negative for a signal. error: why the run failed although the command did not.
    model, revision: the repository that its output became. cost: seconds, processor_seconds, joules."""

    exit_code: int
    cancelled: bool = False
    error: Annotated[str, Meta(max_length=2000)] = ""
    model: Annotated[str, Meta(max_length=200)] = ""
    revision: Annotated[str, Meta(max_length=64)] = ""
    cost: dict[str, float] = {}


class Heard(Struct, frozen=True):
    """cancelling: its owner asked it to stop."""

    status: str
    cancelling: bool


def points_of(said: Any) -> list[ToldPoint]:
    """{"loss": 0.3, "step": 10}, or several of these in a list. Raises InvalidRequest."""
    found = []
    for each in said if isinstance(said, list) else [said]:
        if not isinstance(each, dict):
            raise InvalidRequest('must be like {"loss": 0.3, "step": 10}')
        values = {name: value for name, value in each.items() if name != STEP}
        found += [{"name": name, "value": value, "step": each.get(STEP)} for name, value in values.items()]
    try:
        return msgspec.convert(found, list[ToldPoint])
    except msgspec.ValidationError as error:
        raise InvalidRequest(str(error).partition(" - at")[0].replace("`", "")) from error


def told_by(line: str) -> Told | None:
    """What a line of output says to the run; None when it is any other line. Raises InvalidRequest."""
    line = line.strip()
    if line.startswith(METRIC):
        return Told(points=points_of(_said(line, METRIC)))
    if line.startswith(PARAMETER):
        parameters = _said(line, PARAMETER)
        if not isinstance(parameters, dict):
            raise InvalidRequest('must be like {"rate": 0.01}')
        return Told(parameters=parameters)
    return None


def _said(line: str, mark: str) -> Any:
    """Python's own JSON writes NaN and Infinity without quotes, which others refuse."""
    try:
        return json.loads(line[len(mark) :], parse_constant=str)
    except (ValueError, RecursionError) as error:
        raise InvalidRequest(f"is not JSON: {error}") from error
