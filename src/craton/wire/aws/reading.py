"""Decoders compiled from a service model: a JSON value in, Python values as boto3's users know them out.

A shape is compiled once into a closure; nothing of the model is looked at while a request is read.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from craton.wire.aws.model import ServiceModel, Shape, ShapeRef
from craton.wire.aws.scalars import SCALARS, ConstraintViolated, Decode, bounds


class Decoders:
    """The decoders of one service, made when first asked for. Recursive shapes are allowed."""

    def __init__(self, model: ServiceModel) -> None:
        self._model = model
        self._made: dict[tuple[str, str], Decode] = {}
        self._makers: dict[str, Callable[[Shape, ShapeRef], Decode]] = {
            "structure": self._structure,
            "list": self._list,
            "map": self._map,
            **SCALARS,
        }

    def of(self, ref: ShapeRef) -> Decode:
        key = (ref.shape, ref.timestamp_format)
        if key not in self._made:

            def later(value: Any) -> Any:
                return self._made[key](value)

            self._made[key] = later  # for a shape that holds itself
            shape = self._model.shapes[ref.shape]
            self._made[key] = self._makers[shape.type](shape, ref)
        return self._made[key]

    def fields(self, shape: Shape, names: list[str]) -> Callable[[Any], dict[str, Any]]:
        """A decoder of a JSON object with these members of `shape`; others are skipped, as AWS does."""
        members = {shape.members[name].location_name or name: (name, self.of(shape.members[name])) for name in names}
        required = frozenset(shape.required).intersection(names)

        def decode(value: Any) -> dict[str, Any]:
            if type(value) is not dict:
                raise ConstraintViolated("Member must be an object")
            result = {}
            for wire_name, item in value.items():
                if item is None or (member := members.get(wire_name)) is None:
                    continue
                try:
                    result[member[0]] = member[1](item)
                except ConstraintViolated as violation:
                    raise violation.under(wire_name) from None
            if not required <= result.keys():
                missing = min(required - result.keys())
                raise ConstraintViolated("Member must not be null", missing)
            return result

        return decode

    def _structure(self, shape: Shape, _ref: ShapeRef) -> Decode:
        if shape.document:
            return _document
        fields = self.fields(shape, list(shape.members))
        return _one_of(fields) if shape.union else fields

    def _list(self, shape: Shape, _ref: ShapeRef) -> Decode:
        assert shape.member is not None
        decode_item, check_size = self.of(shape.member), bounds(shape, "length")

        def decode(value: Any) -> list[Any]:
            if type(value) is not list:
                raise ConstraintViolated("Member must be a list")
            check_size(len(value))
            result = []
            for item in value:
                try:
                    if item is None:
                        raise ConstraintViolated("Member must not be null")
                    result.append(decode_item(item))
                except ConstraintViolated as violation:
                    raise violation.under(f"{len(result) + 1}.member") from None
            return result

        return decode

    def _map(self, shape: Shape, _ref: ShapeRef) -> Decode:
        assert shape.key is not None
        assert shape.value is not None
        decode_key, decode_value, check_size = self.of(shape.key), self.of(shape.value), bounds(shape, "length")

        def decode(value: Any) -> dict[str, Any]:
            if type(value) is not dict:
                raise ConstraintViolated("Member must be an object")
            check_size(len(value))
            result = {}
            for key, item in value.items():
                try:
                    if item is None:
                        raise ConstraintViolated("Member must not be null")
                    result[decode_key(key)] = decode_value(item)
                except ConstraintViolated as violation:
                    raise violation.under(key) from None
            return result

        return decode


def _document(value: Any) -> Any:
    return value


def _one_of(fields: Callable[[Any], dict[str, Any]]) -> Decode:
    def decode(value: Any) -> dict[str, Any]:
        result = fields(value)
        if len(result) != 1:
            given = ", ".join(sorted(map(str, value))) or "none"
            raise ConstraintViolated(f"Member must have exactly one known member set, got: {given[:200]}")
        return result

    return decode
