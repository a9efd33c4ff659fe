"""Records (rows, objects of an API) as documents: a text, a title, metadata."""

from __future__ import annotations

import hashlib
import math
import re
from collections.abc import Mapping, Sequence
from decimal import Decimal
from typing import Any

import msgspec
from msgspec import Struct

from craton.core.errors import InvalidRequest
from craton.core.knowledge import Metadata, MetadataValue

_FIELD = re.compile(r"\{([^{}]+)\}")


class Record(Struct, frozen=True):
    """A document as it waits in the spool. uri: its address for people."""

    text: str
    uri: str
    title: str = ""
    metadata: Metadata = {}

    @property
    def etag(self) -> str:
        """Of what it says, wherever it stands."""
        return digest(msgspec.msgpack.encode((self.text, self.title, self.metadata), order="deterministic"))


def template_fields(template: str) -> list[str]:
    return list(dict.fromkeys(_FIELD.findall(template)))


def render(values: Mapping[str, Any], text: Sequence[str], template: str = "") -> str:
    """The template with {name} replaced (once, so values cannot bring fields of their own); without one the named
    values, all of them when none is named: one alone as it is, several as "name: value", a line each."""
    if template:
        return _FIELD.sub(lambda found: as_text(values.get(found[1])), template)
    names = list(text) or list(values)
    if len(names) == 1:
        return as_text(values.get(names[0]))
    return "\n".join(f"{name}: {as_text(values[name])}" for name in names if values.get(name) is not None)


def as_text(value: Any) -> str:
    """None is nothing; lists of plain values are joined by commas; other structures are JSON."""
    if value is None:
        return ""
    if isinstance(value, str):
        return value
    if isinstance(value, list | tuple) and all(isinstance(one, str | int | float) for one in value):
        return ", ".join(as_text(one) for one in value)
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, int | float | Decimal):
        return str(value)
    if isinstance(value, bytes | memoryview):
        return ""
    return msgspec.json.encode(value, enc_hook=str).decode()


def as_metadata(value: Any) -> MetadataValue | None:
    """None for what there is nothing to filter on."""
    if value is None or isinstance(value, bytes | memoryview):
        return None
    if isinstance(value, bool | str):
        return value
    if isinstance(value, int | float | Decimal):
        number = _as_float(value)
        return number if math.isfinite(number) else None
    if isinstance(value, list | tuple):
        return tuple(as_text(one) for one in value)
    if hasattr(value, "isoformat"):  # dates and times: in this form they sort as they stand
        return str(value.isoformat())
    return as_text(value) if isinstance(value, dict) else str(value)


def _as_float(value: int | float | Decimal) -> float:
    try:
        return float(value)
    except OverflowError:
        return math.inf


def metadata_of(values: Mapping[str, Any], names: Mapping[str, str]) -> Metadata:
    """names: of the metadata -> of the value."""
    found = {name: as_metadata(values.get(source)) for name, source in names.items()}
    return {name: value for name, value in found.items() if value is not None}


def digest(value: bytes) -> str:
    return hashlib.sha256(value).hexdigest()


def check_names(given: Sequence[str], known: Sequence[str], option: str) -> None:
    """Raises InvalidRequest for a column that is not there."""
    missing = [name for name in given if name and name not in known]
    if missing:
        raise InvalidRequest(f"there is no column {missing[0]!r}", f"options.{option}")
