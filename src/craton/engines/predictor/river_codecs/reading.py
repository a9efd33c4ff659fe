"""The opposite of `writing`: known classes, filled with plain values. Nothing in a file is run or imported by name."""

from __future__ import annotations

import base64
import inspect
import random
from collections import Counter, defaultdict, deque
from collections.abc import Callable
from statistics import NormalDist
from typing import Any

from craton.core.errors import Damaged
from craton.engines.predictor.river_codecs.classes import METHODS, class_named, factories, renewed
from craton.engines.predictor.river_codecs.writing import MAX_NODES

MAX_WINDOW = 1 << 20  # bytes of one ADWIN's state; a full one has some kilobytes

_EMPTY: dict[str, Callable[[], Any]] = {"dict": dict, "counter": Counter, "list": list, "set": set}
_WHOLE = frozenset({"tuple", "frozenset", "normal", "random", "vector", "window", "method"})
"""What cannot be made empty and filled afterwards."""


def from_json(nodes: Any, what: str) -> Any:
    """The model. what: the file's name, for errors. Raises Damaged."""
    try:
        return _Reader(nodes).read()
    except (KeyError, IndexError, TypeError, ValueError, AttributeError, RecursionError, OverflowError) as error:
        raise Damaged(what, "it is not a model that was saved here") from error


class _Reader:
    """Makes the things that can be empty first, so that any of them may hold any other; then the rest; then fills."""

    def __init__(self, nodes: list[Any]) -> None:
        if not isinstance(nodes, list) or not 0 < len(nodes) <= MAX_NODES:
            raise ValueError("not a list of nodes")
        self._nodes = nodes
        self._made: dict[int, Any] = {}
        self._factories = factories()

    def read(self) -> Any:
        for number, node in enumerate(self._nodes):
            if node[0] not in _WHOLE:
                self._made[number] = self._empty(node)
        for number, node in enumerate(self._nodes):
            self._fill(self._get(number), node)
        return self._get(0)

    def _get(self, number: int) -> Any:
        if number not in self._made:
            self._made[number] = self._whole(self._nodes[number])
        return self._made[number]

    def _value(self, value: Any) -> Any:
        if not isinstance(value, list):
            if isinstance(value, dict):
                raise TypeError("a mapping where a value was expected")
            return value
        if len(value) == 1:
            number = value[0]
            if type(number) is not int or not 0 <= number < len(self._nodes):
                raise ValueError("a node that is not there")
            return self._get(number)
        kind, text = value
        if kind == "float":
            return float(text)
        if kind == "float64":
            import numpy as np

            return np.float64(self._value(text))
        raise ValueError(kind)

    def _pairs(self, pairs: list[Any]) -> dict[Any, Any]:
        return {self._value(key): self._value(value) for key, value in pairs}

    def _empty(self, node: list[Any]) -> Any:
        if node[0] == "object":
            return object.__new__(class_named(node[1]))
        if node[0] == "defaultdict":
            return defaultdict(self._factories[node[1]])
        if node[0] == "deque":
            return deque(maxlen=node[1])
        return _EMPTY[node[0]]()

    def _whole(self, node: list[Any]) -> Any:
        kind, *rest = node
        if kind in {"tuple", "frozenset"}:
            values = (self._value(value) for value in rest[0])
            return tuple(values) if kind == "tuple" else frozenset(values)
        if kind == "random":
            version, state, gauss = rest
            generator = random.Random()
            generator.setstate((version, tuple(state), gauss))
            return generator
        if kind == "normal":
            return NormalDist(self._value(rest[0]), self._value(rest[1]))
        if kind == "method":
            return self._method(*rest)
        if kind == "vector":
            from river.utils import VectorDict

            data = {self._value(key): float(self._value(value)) for key, value in rest[0]}
            return VectorDict(data, self._value(rest[1]))
        return self._window(*rest)

    def _window(self, arguments: list[Any], state: str) -> Any:
        from river._river_rust.drift import AdaptiveWindowing

        window = AdaptiveWindowing(*(self._value(argument) for argument in arguments))
        raw = base64.b64decode(state, validate=True)
        if len(raw) > MAX_WINDOW:
            raise ValueError("a window larger than any")
        try:
            window.__setstate__(raw)
        except BaseException as error:  # Rust's panics are no Exceptions
            if type(error).__name__ != "PanicException":
                raise
            raise ValueError("a window that cannot be read") from None
        return window

    def _method(self, owner: Any, name: str) -> Any:
        of_class = isinstance(owner, str)
        found = class_named(owner) if of_class else self._value(owner)
        kind = found if of_class else type(found)
        if name not in METHODS.get(f"{kind.__module__}:{kind.__qualname__}", set()):
            raise ValueError(name)
        return getattr(found, name)

    def _fill(self, made: Any, node: list[Any]) -> None:
        kind = node[0]
        if kind == "object":
            for name, value in {**node[2], **renewed(node[1])}.items():
                _set(made, name, value if name not in node[2] else self._value(value))
        elif kind in {"dict", "counter"}:
            made.update(self._pairs(node[1]))
        elif kind == "defaultdict":
            made.update(self._pairs(node[2]))
        elif kind in {"list", "deque"}:
            made.extend(self._value(value) for value in node[-1])
        elif kind == "set":
            made.update(self._value(value) for value in node[1])


def _set(made: Any, name: str, value: Any) -> None:
    """Data only: no attribute may hide a method or a property of its class."""
    known = inspect.getattr_static(type(made), name, None)
    if not name.isidentifier() or name.startswith("__") or callable(known):
        raise ValueError(name)
    if isinstance(known, property | staticmethod | classmethod):
        raise ValueError(name)
    object.__setattr__(made, name, value)
