"""Metadata files: NAME.metadata.json beside NAME, as Bedrock knowledge bases have them.

{"metadataAttributes": {"year": 2024, "team": {"value": {"type": "STRING", "stringValue": "core"}}},
 "accessControlList": [{"name": "ann", "type": "USER", "access": "ALLOW"}]}

`includeForEmbedding` is read and has no effect: metadata is filtered on, never embedded.
An access list that cannot be kept refuses its document, for to ignore it would show the document to everyone.
"""

from __future__ import annotations

from typing import Annotated, Any, Literal

import msgspec
from msgspec import Meta, Struct, field

from craton.core.errors import Damaged, TooLarge, Unsupported
from craton.core.knowledge import Access, Metadata, MetadataValue

SUFFIX = ".metadata.json"
MAX_BYTES = 64 * 1024
MAX_ATTRIBUTES = 500
MAX_KEY = 256

_Name = Annotated[str, Meta(min_length=1, max_length=MAX_KEY)]


class _String(Struct, tag_field="type", tag="STRING"):
    value: str = field(name="stringValue")


class _Number(Struct, tag_field="type", tag="NUMBER"):
    value: float = field(name="numberValue")


class _Boolean(Struct, tag_field="type", tag="BOOLEAN"):
    value: bool = field(name="booleanValue")


class _List(Struct, tag_field="type", tag="STRING_LIST"):
    value: tuple[str, ...] = field(name="stringListValue")


class _Attribute(Struct, forbid_unknown_fields=True):
    value: _String | _Number | _Boolean | _List
    embedded: bool = field(name="includeForEmbedding", default=False)


class _Entry(Struct, forbid_unknown_fields=True):
    name: _Name
    type: Literal["USER", "GROUP"]
    access: Literal["ALLOW", "DENY"]


class _Sidecar(Struct, forbid_unknown_fields=True):
    attributes: Annotated[dict[_Name, Any], Meta(max_length=MAX_ATTRIBUTES)] = field(
        name="metadataAttributes", default_factory=dict
    )
    entries: tuple[_Entry, ...] | None = field(name="accessControlList", default=None)


class Sidecar(Struct, frozen=True):
    metadata: Metadata = {}
    access: Access = Access()


def is_sidecar(key: str) -> bool:
    return key.endswith(SUFFIX)


def read_sidecar(data: bytes, name: str) -> Sidecar:
    """name: of the document, for errors. Raises TooLarge, Damaged, Unsupported (an access list of groups)."""
    what = f"The metadata file of {name!r}"
    if len(data) > MAX_BYTES:
        raise TooLarge(what, MAX_BYTES, len(data))
    try:
        read = msgspec.json.decode(data.removeprefix(b"\xef\xbb\xbf"), type=_Sidecar)
        metadata = {key: _value(given) for key, given in read.attributes.items()}
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError) as error:
        raise Damaged(what, str(error)) from error
    return Sidecar(metadata, Access() if read.entries is None else _access(read.entries, what))


def _value(given: Any) -> MetadataValue:
    """Raises msgspec.ValidationError."""
    if isinstance(given, dict):
        return msgspec.convert(given, _Attribute).value.value
    value = msgspec.convert(given, bool | float | str | tuple[str, ...])
    return value if isinstance(value, bool | str | tuple) else float(value)


def _access(entries: tuple[_Entry, ...], what: str) -> Access:
    if not entries:  # a list that names nobody: open or shut? its owner has to say
        raise Damaged(what, "its access list is empty; leave it out for a document that everyone may see.")
    if any(entry.type == "GROUP" for entry in entries):
        raise Unsupported("An access list with groups", "Name the users.")
    return Access(
        tuple(entry.name for entry in entries if entry.access == "ALLOW"),
        tuple(entry.name for entry in entries if entry.access == "DENY"),
    )
