"""Reads a JSON body into typed wire structs, with errors that name the member."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any, NamedTuple, TypeVar

import msgspec

from craton.core.errors import InvalidRequest, TooLarge, Unsupported
from craton.wire.http import MAX_JSON_DEPTH, decode_json, is_deep

T = TypeVar("T")
MAX_BRACKETS = 300_000  # opening ones in one body, those in its strings too: some 0.3 s of work
_PLACE = re.compile(r"(?s)(.*?)(?: - at (?:`key` in )?`\$\.?(.*)`)?\Z")
_MEMBERS = msgspec.json.Decoder(dict[str, msgspec.Raw])


class Refusal(NamedTuple):
    """A member that is understood and refused. harmless: its values that ask for nothing; null is always one."""

    harmless: tuple[Any, ...] = ()
    hint: str = ""


def read_body(decoder: msgspec.json.Decoder[T], body: bytes, refused: Mapping[str, Refusal]) -> T:
    """The body as the decoder's type; members that it does not know are passed over.

    Raises InvalidRequest for bad UTF-8, bad JSON, nesting deeper than MAX_JSON_DEPTH and values of the wrong type
    (`field` names the place), TooLarge for more than MAX_BRACKETS, and Unsupported for a member in `refused`.
    """
    brackets = body.count(b"[") + body.count(b"{")
    if brackets > MAX_BRACKETS:
        raise TooLarge("The body's JSON", MAX_BRACKETS, brackets, "brackets")
    try:
        if not body.isascii():
            str(body, "utf-8")
        value = decoder.decode(body)
        members = _MEMBERS.decode(body)
    except UnicodeDecodeError as error:
        raise InvalidRequest("the body is not valid UTF-8") from error
    except msgspec.ValidationError as error:
        raise _invalid(error) from error
    except (msgspec.DecodeError, RecursionError) as error:
        raise InvalidRequest(f"the body is not valid JSON: {error}") from error
    if brackets > MAX_JSON_DEPTH and is_deep(body):
        raise InvalidRequest(f"the body's JSON is nested deeper than {MAX_JSON_DEPTH} levels")
    for name in members.keys() & refused.keys():
        _refuse(name, members[name], refused[name])
    return value


def _refuse(name: str, raw: msgspec.Raw, refusal: Refusal) -> None:
    asked = decode_json(bytes(raw))
    if asked is not None and asked not in refusal.harmless:
        raise Unsupported(
            f"The member {name!r} with this value" if refusal.harmless else f"The member {name!r}", refusal.hint
        )


def _invalid(error: msgspec.ValidationError) -> InvalidRequest:
    match = _PLACE.fullmatch(str(error))
    reason, place = (match[1], match[2] or "") if match else (str(error), "")
    return InvalidRequest(reason.replace("`", "")[:300], place[:300])


def check_portable(value: dict[str, Any] | None, field: str) -> None:
    """Raises InvalidRequest when a number in free-form JSON is too large to travel to an engine."""
    try:
        msgspec.msgpack.encode(value)
    except OverflowError as error:
        raise InvalidRequest("a whole number in it does not fit 64 bits", field) from error
