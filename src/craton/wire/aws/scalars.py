"""Decoders of the simple types of a service model, and the error of a value that does not fit its type."""

from __future__ import annotations

import binascii
from collections.abc import Callable
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from typing import Any

from craton.core.errors import InvalidRequest
from craton.wire.aws.model import Shape, ShapeRef

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


def bounds(shape: Shape, what: str) -> Callable[[float], None]:
    """A check of a "length" or a "value" against the shape's bounds."""
    low = shape.minimum if shape.minimum is not None else float("-inf")
    high = shape.maximum if shape.maximum is not None else float("inf")
    words = "have length" if what == "length" else "have value"

    def check(size: float) -> None:
        if not low <= size <= high:
            order, limit = ("greater", low) if size < low else ("less", high)
            raise ConstraintViolated(f"Member must {words} {order} than or equal to {limit:g}")

    return check


def _string(shape: Shape, _ref: ShapeRef) -> Decode:
    allowed, check_size = frozenset(shape.enum), bounds(shape, "length")
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
    check_size = bounds(shape, "length")

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


def _boolean(_shape: Shape, _ref: ShapeRef) -> Decode:
    def decode(value: Any) -> bool:
        if type(value) is not bool:
            raise ConstraintViolated("Member must be a boolean")
        return value

    return decode


def _integer(shape: Shape, _ref: ShapeRef) -> Decode:
    check_value, bits = bounds(shape, "value"), _INTEGER_BITS[shape.type] - 1

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
    check_value = bounds(shape, "value")

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


SCALARS: dict[str, Callable[[Shape, ShapeRef], Decode]] = {
    "string": _string,
    "character": _string,
    "blob": _blob,
    "boolean": _boolean,
    "timestamp": _timestamp,
    "float": _number,
    "double": _number,
} | dict.fromkeys(_INTEGER_BITS, _integer)
"""By type: makes the decoder of a shape, as one member uses it."""
