"""What a search may choose from, for each parameter a list of values or a range."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from msgspec import Struct

from craton.core.errors import InvalidRequest
from craton.training.specification.suggesting import unknown

if TYPE_CHECKING:
    import optuna

MOST_COMBINATIONS = 10_000
_KEYS = {"low", "high", "log", "int"}


class Choice(Struct, frozen=True):
    """Values of any kind, without an order."""

    values: tuple[Any, ...]

    def suggest(self, trial: optuna.Trial, name: str) -> Any:
        """By place: a value may be a list, which nothing can look up."""
        return self.values[trial.suggest_categorical(name, range(len(self.values)))]


class Range(Struct, frozen=True):
    """Both ends may be chosen. log: small numbers are looked at as closely as large ones."""

    low: float
    high: float
    log: bool = False
    whole: bool = False

    def suggest(self, trial: optuna.Trial, name: str) -> Any:
        if self.whole:
            return trial.suggest_int(name, int(self.low), int(self.high), log=self.log)
        return trial.suggest_float(name, self.low, self.high, log=self.log)


Space = dict[str, Choice | Range]


def read_space(document: Mapping[str, Any]) -> Space:
    """Raises InvalidRequest that names the parameter."""
    if not document:
        raise InvalidRequest("names no parameter to try", "search.space")
    return {name: _dimension(name, value) for name, value in document.items()}


def combinations(space: Space) -> int:
    """Of a grid. Raises InvalidRequest for a range, and for more than MOST_COMBINATIONS."""
    for name, dimension in space.items():
        if isinstance(dimension, Range):
            raise InvalidRequest("a grid needs a list of values; strategy tpe or random takes ranges", _place(name))
    found = math.prod(len(dimension.values) for dimension in space.values() if isinstance(dimension, Choice))
    if found > MOST_COMBINATIONS:
        raise InvalidRequest(f"makes {found:,} combinations, at most {MOST_COMBINATIONS:,} are tried", "search.space")
    return found


def _dimension(name: str, value: Any) -> Choice | Range:
    if isinstance(value, list):
        if not value:
            raise InvalidRequest("an empty list", _place(name))
        return Choice(tuple(value))
    if isinstance(value, dict):
        return _range(name, value)
    raise InvalidRequest("is a list of values, or a range {low: , high: , log: , int: }", _place(name))


def _range(name: str, value: dict[str, Any]) -> Range:
    for key in value:
        if key not in _KEYS:
            raise InvalidRequest(unknown("key of a range", str(key), _KEYS), _place(name))
    low, high, log, whole = (value.get(key) for key in ("low", "high", "log", "int"))
    for end in (low, high):
        if isinstance(end, bool) or not isinstance(end, int | float) or not math.isfinite(end):
            raise InvalidRequest("a range needs low and high, two numbers", _place(name))
    for switch in (log, whole):
        if switch not in {None, True, False}:
            raise InvalidRequest("log and int are true or false", _place(name))
    assert low is not None
    assert high is not None
    if not low < high:
        raise InvalidRequest(f"low ({low:g}) must be less than high ({high:g})", _place(name))
    if log and low <= 0:
        raise InvalidRequest("low must be above zero where log is true", _place(name))
    if whole is None:
        whole = isinstance(low, int) and isinstance(high, int)
    if whole and not (float(low).is_integer() and float(high).is_integer()):
        raise InvalidRequest("low and high must be whole where int is true", _place(name))
    return Range(float(low), float(high), bool(log), bool(whole))


def _place(name: str) -> str:
    return f"search.space.{name}"
