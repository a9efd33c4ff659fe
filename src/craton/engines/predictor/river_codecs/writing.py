"""A model as JSON: a list of nodes, the first one the model itself.

A value is None, a bool, a str, an int, a finite float, or a list that says what else it is:

    [7]                            node 7
    ["float", "inf"]               a float that JSON does not have
    ["float64", 0.5]               numpy's

A node is a list too: ["object", class, {attribute: value}], ["dict" | "counter", [[key, value], ...]],
["defaultdict", factory, pairs], ["list" | "set" | "tuple" | "frozenset", values], ["deque", bound, values],
["normal", mean, deviation], ["random", state], ["method", object, name], ["vector", pairs, initializer],
["window", arguments, base64]. What two objects share is one node, so they share it again.
"""

from __future__ import annotations

import base64
import math
import random
from collections import Counter, OrderedDict, defaultdict, deque
from statistics import NormalDist
from types import MethodType
from typing import Any

from craton.engines.predictor.river_codecs.classes import CLASSES, METHODS, factory_name, name_of, renewed

MAX_NODES = 5_000_000


def to_json(model: object) -> list[Any]:
    """Raises TypeError for anything that is not on the lists."""
    return _Writer().write(model)


class _Writer:
    def __init__(self) -> None:
        self._numbers: dict[int, int] = {}
        self._kept: list[object] = []  # as long as we write, so that no id is given to another object

    def write(self, model: object) -> list[Any]:
        self._number(model)
        nodes: list[Any] = []
        while len(nodes) < len(self._kept):
            if len(nodes) >= MAX_NODES:
                raise TypeError(f"the model has more than {MAX_NODES:,} parts")
            nodes.append(self._node(self._kept[len(nodes)]))
        return nodes

    def _number(self, value: object) -> int:
        if id(value) not in self._numbers:
            self._numbers[id(value)] = len(self._kept)
            self._kept.append(value)
        return self._numbers[id(value)]

    def _value(self, value: Any) -> Any:
        if value is None or type(value) in {bool, str, int}:
            return value
        if type(value) is float:
            return value if math.isfinite(value) else ["float", repr(value)]
        if type(value).__module__ == "numpy" and type(value).__name__ == "float64":
            return ["float64", self._value(float(value))]
        return [self._number(value)]

    def _values(self, values: Any) -> list[Any]:
        return [self._value(value) for value in values]

    def _pairs(self, values: dict[Any, Any]) -> list[Any]:
        return [[self._value(key), self._value(value)] for key, value in values.items()]

    def _node(self, value: Any) -> list[Any]:
        kind = type(value)
        if kind in {dict, OrderedDict}:
            return ["dict", self._pairs(value)]
        if kind is Counter:
            return ["counter", self._pairs(value)]
        if kind is defaultdict:
            factory = factory_name(value.default_factory)
            if factory is None:
                raise TypeError("a defaultdict with a factory that is not known")
            return ["defaultdict", factory, self._pairs(value)]
        if kind in {list, set, tuple, frozenset}:
            return [kind.__name__, self._values(value)]
        if kind is deque:
            return ["deque", value.maxlen, self._values(value)]
        if kind is random.Random:
            version, state, gauss = value.getstate()
            return ["random", version, list(state), self._value(gauss)]
        if kind is NormalDist:
            return ["normal", self._value(value.mean), self._value(value.stdev)]
        if kind is MethodType:
            return self._method(value)
        if kind.__module__ == "river._river_rust.vectordict":
            return self._vector(value)
        if kind.__module__ == "river._river_rust.drift" and kind.__name__ == "AdaptiveWindowing":
            _, arguments, state = value.__reduce_ex__(2)[:3]
            return ["window", self._values(arguments[1:]), base64.b64encode(state).decode()]
        return self._object(value, name_of(kind))

    def _method(self, value: MethodType) -> list[Any]:
        owner, name = value.__self__, value.__func__.__name__
        kind = owner if isinstance(owner, type) else type(owner)
        if name not in METHODS.get(name_of(kind), set()):
            raise TypeError(f"a method {name} of {name_of(kind)}")
        return ["method", name_of(owner) if isinstance(owner, type) else self._value(owner), name]

    def _vector(self, value: Any) -> list[Any]:
        data, initializer, mask, _ = value.__reduce__()[1]
        if mask is not None:
            raise TypeError("a vector in the middle of learning")
        return ["vector", self._pairs(data), self._value(initializer)]

    def _object(self, value: Any, name: str) -> list[Any]:
        if name not in CLASSES:
            raise TypeError(f"{name} has no codec")
        known = renewed(name)
        return ["object", name, {key: self._value(one) for key, one in attributes(value).items() if key not in known}]


def attributes(value: object) -> dict[str, Any]:
    """All that an object holds, in its dictionary and in its slots."""
    found: dict[str, Any] = dict(getattr(value, "__dict__", {}))
    for kind in type(value).__mro__:
        slots = kind.__dict__.get("__slots__", ())
        for name in (slots,) if isinstance(slots, str) else slots:
            if hasattr(value, name):
                found[name] = getattr(value, name)
    return found
