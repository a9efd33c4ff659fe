"""Decoders compiled from a service model: a JSON value in, Python values as boto3's users know them out.

A shape is compiled once into a closure; nothing of the model is looked at while a request is read.
"""

from __future__ import annotations

import binascii
from collections.abc import Callable
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from typing import Any

from craton.core.errors import InvalidRequest
from craton.wire.aws.model import ServiceModel, Shape, ShapeRef

Decode = Callable[[Any], Any]

_INTEGER_BITS = {"byte": 8, "short": 16, "integer": 32, "long": 64}


class ConstraintViolated(InvalidRequest):
    """A member is not what the service model says, in the words that AWS uses for it.

    field is the path in AWS' notation: "messages.1.member.content", list places counted from 1.
    """

    def under(self, step: str) -> ConstraintViolated:
        """The same, seen from the value that holds it."""
        self.field = f"{step}.{self.field}" if self.field else step
        return self

    def __str__(self) -> str:
        where = f"Value at '{self.field}'" if self.field else "The request body"
        return f"1 validation error detected: {where} failed to satisfy constraint: {self.reason}"


class Decoders:
    """The decoders of one service, made when first asked for. Recursive shapes are allowed."""

    def __init__(self, model: ServiceModel) -> None:
        self._model = model
        self._made: dict[tuple[str, str], Decode] = {}
        self._makers: dict[str, Callable[[Shape, ShapeRef], Decode]] = {
            "structure": self._structure,
            "list": self._list,
            "map": self._map,
            "string": _string,
            "character": _string,
            "blob": _blob,
            "boolean": lambda _shape, _ref: _boolean,
            "timestamp": _timestamp,
            "float": _number,
            "double": _number,
        } | dict.fromkeys(_INTEGER_BITS, _integer)

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
        decode_item, check_size = self.of(shape.member), _bounds(shape, "length")

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
        decode_key, decode_value, check_size = self.of(shape.key), self.of(shape.value), _bounds(shape, "length")

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


def from_text(shape: Shape, decode: Decode) -> Callable[[str], Any]:
    """A decoder for a value that stands in a path, query or header."""

    def parse(text: str) -> Any:
        try:
            if shape.type in _INTEGER_BITS:
                return decode(int(text))
            if shape.type in ("float", "double"):
                return decode(float(text))
        except ValueError as error:
            if isinstance(error, ConstraintViolated):
                raise
            raise ConstraintViolated("Member must be a number") from None
        if shape.type == "boolean" and text in ("true", "false"):
            return text == "true"
        return decode(text)

    return parse


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


def _bounds(shape: Shape, what: str) -> Callable[[float], None]:
    low = shape.minimum if shape.minimum is not None else float("-inf")
    high = shape.maximum if shape.maximum is not None else float("inf")
    words = "have length" if what == "length" else "have value"

    def check(size: float) -> None:
        if not low <= size <= high:
            order, limit = ("greater", low) if size < low else ("less", high)
            raise ConstraintViolated(f"Member must {words} {order} than or equal to {limit:g}")

    return check


def _string(shape: Shape, _ref: ShapeRef) -> Decode:
    allowed, check_size = frozenset(shape.enum), _bounds(shape, "length")
    bounded = shape.minimum is not None or shape.maximum is not None

    def decode(value: Any) -> str:
        if type(value) is not str:
            raise ConstraintViolated("Member must be a string")
        if allowed and value not in allowed:
            raise ConstraintViolated(f"Member must satisfy enum value set: [{', '.join(shape.enum)}]")
        if bounded:
            check_size(len(value))
        return value

    return decode


def _blob(shape: Shape, _ref: ShapeRef) -> Decode:
    check_size = _bounds(shape, "length")

    def decode(value: Any) -> bytes:
        if type(value) is not str:
            raise ConstraintViolated("Member must be a base64 string")
        try:
            data = binascii.a2b_base64(value, strict_mode=True)
        except ValueError:
            raise ConstraintViolated("Member must be a base64 string") from None
        check_size(len(data))
        return data

    return decode


def _boolean(value: Any) -> bool:
    if type(value) is not bool:
        raise ConstraintViolated("Member must be a boolean")
    return value


def _integer(shape: Shape, _ref: ShapeRef) -> Decode:
    check_value, bits = _bounds(shape, "value"), _INTEGER_BITS[shape.type] - 1

    def decode(value: Any) -> int:
        if type(value) is float and value.is_integer():
            value = int(value)
        if type(value) is not int:
            raise ConstraintViolated("Member must be an integer")
        if not -(1 << bits) <= value < 1 << bits:
            raise ConstraintViolated(f"Member must fit {bits + 1} bits")
        check_value(value)
        return value

    return decode


def _number(shape: Shape, _ref: ShapeRef) -> Decode:
    check_value = _bounds(shape, "value")

    def decode(value: Any) -> float:
        if type(value) is not float and type(value) is not int:
            raise ConstraintViolated("Member must be a number")
        number = float(value)
        if number - number != 0:
            raise ConstraintViolated("Member must be a finite number")
        check_value(number)
        return number

    return decode


def _timestamp(shape: Shape, ref: ShapeRef) -> Decode:
    """Takes any of AWS' three formats, whichever the model asks for: they cannot be mistaken for one another."""
    http_date = "rfc822" in (ref.timestamp_format, shape.timestamp_format)

    def decode(value: Any) -> datetime:
        try:
            if type(value) is int or type(value) is float:
                return datetime.fromtimestamp(value, UTC)
            moment = parsedate_to_datetime(value) if http_date else datetime.fromisoformat(value)
        except (ValueError, TypeError, OverflowError, OSError):
            raise ConstraintViolated("Member must be a timestamp") from None
        return moment if moment.tzinfo else moment.replace(tzinfo=UTC)

    return decode
