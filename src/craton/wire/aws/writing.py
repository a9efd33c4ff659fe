"""Encoders compiled from a service model: Python values in, JSON values out (bytes stay: JSON writes them as base64).

They are strict about our own output: a member that the model does not know is a mistake in Craton.
"""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any

from craton.wire.aws.model import ServiceModel, Shape, ShapeRef

Encode = Callable[[Any], Any]


class Encoders:
    """The encoders of one service, made when first asked for. Recursive shapes are allowed."""

    def __init__(self, model: ServiceModel) -> None:
        self._model = model
        self._made: dict[tuple[str, str], Encode] = {}

    def of(self, ref: ShapeRef) -> Encode:
        key = (ref.shape, ref.timestamp_format)
        if key not in self._made:

            def later(value: Any) -> Any:
                return self._made[key](value)

            self._made[key] = later  # for a shape that holds itself
            self._made[key] = self._make(self._model.shapes[ref.shape], ref)
        return self._made[key]

    def fields(self, shape: Shape, names: list[str]) -> Callable[[dict[str, Any]], dict[str, Any]]:
        """An encoder of these members of `shape`. None means absent."""
        members = {name: (shape.members[name].location_name or name, self.of(shape.members[name])) for name in names}

        def encode(value: dict[str, Any]) -> dict[str, Any]:
            result = {}
            for name, item in value.items():
                wire_name, encode_member = members[name]
                if item is not None:
                    result[wire_name] = encode_member(item)
            return result

        return encode

    def _make(self, shape: Shape, ref: ShapeRef) -> Encode:
        if shape.type == "structure" and not shape.document:
            return self.fields(shape, list(shape.members))
        if shape.type == "list" and shape.member is not None:
            encode_item = self.of(shape.member)
            return lambda value: [encode_item(item) for item in value]
        if shape.type == "map" and shape.value is not None:
            encode_value = self.of(shape.value)
            return lambda value: {key: encode_value(item) for key, item in value.items()}
        if shape.type == "timestamp":
            return _iso8601 if "iso8601" in (ref.timestamp_format, shape.timestamp_format) else _seconds
        return _as_it_is


def to_text(value: Any) -> str:
    """A value as it stands in a header."""
    return str(value).lower() if isinstance(value, bool) else str(value)


def _as_it_is(value: Any) -> Any:
    return value


def _iso8601(value: datetime | float) -> str:
    moment = value if isinstance(value, datetime) else datetime.fromtimestamp(value, UTC)
    return moment.astimezone(UTC).isoformat().replace("+00:00", "Z")


def _seconds(value: datetime | float) -> float:
    return value.timestamp() if isinstance(value, datetime) else value
