"""The reader of JSON bodies that the OpenAI and Anthropic dialects share."""

from __future__ import annotations

import json
from typing import Any

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from craton.core.errors import InvalidRequest, TooLarge, Unsupported
from craton.wire.body import MAX_BRACKETS, Refusal, read_body
from craton.wire.http import MAX_JSON_DEPTH

DECODER = msgspec.json.Decoder(dict[str, Any])
VALUES = st.recursive(
    st.none() | st.text(st.sampled_from('[]{}"\\a/é\n')),
    lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner),
)


def wrapped(levels: int, value: Any) -> dict[str, Any]:
    """value, `levels` containers deep below the body's own object."""
    for level in range(levels):
        value = [value] if level % 2 else {"x": value}
    return {"value": value}


def depth(value: Any) -> int:
    if not isinstance(value, dict | list):
        return 0
    return 1 + max((depth(inner) for inner in (value.values() if isinstance(value, dict) else value)), default=0)


@settings(deadline=None)
@given(value=VALUES, levels=st.integers(MAX_JSON_DEPTH - 8, MAX_JSON_DEPTH + 2), escape=st.booleans())
def test_nesting_is_measured_exactly_whatever_the_strings_hold(value: Any, levels: int, escape: bool) -> None:
    whole = wrapped(levels, value)
    body = json.dumps(whole, ensure_ascii=escape).encode()
    if depth(whole) > MAX_JSON_DEPTH:
        with pytest.raises(InvalidRequest, match="nested deeper"):
            read_body(DECODER, body, {})
    else:
        assert read_body(DECODER, body, {}) == whole


@pytest.mark.parametrize("value", [b"[],", b"{},", b"[[]],", b'"[{",'])
def test_too_many_brackets_are_refused_before_anything_is_built(value: bytes) -> None:
    with pytest.raises(TooLarge, match=f"{MAX_BRACKETS:,}"):
        read_body(DECODER, b'{"value": [' + value * (10_000_000 // len(value)) + b"0]}", {})


@pytest.mark.parametrize("value", [b'"a",', b"1,", b'"' + b"\\" * 1_000_000 + b'",', b'"' + b"a" * 1_000_000 + b'",'])
def test_a_huge_flat_body_is_read(value: bytes) -> None:
    body = b'{"x": [' + b"[]," * 100 + value * (10_000_000 // len(value)) + b"0]}"
    assert len(read_body(DECODER, body, {})["x"]) == 101 + 10_000_000 // len(value)


def test_a_refused_member_is_named_with_its_hint() -> None:
    table = {"never": Refusal(hint="Leave it out."), "sometimes": Refusal((False,))}
    assert read_body(DECODER, b'{"sometimes": false, "never": null}', table) == {"sometimes": False, "never": None}
    with pytest.raises(Unsupported, match=r"'never' is not supported\. Leave it out\.") as caught:
        read_body(DECODER, b'{"never": 0}', table)
    assert caught.value.hint == "Leave it out."
    with pytest.raises(Unsupported, match="'sometimes' with this value"):
        read_body(DECODER, b'{"sometimes": [true]}', table)


def test_an_error_says_no_more_of_the_input_than_it_needs() -> None:
    class Body(msgspec.Struct):
        kind: bool

    with pytest.raises(InvalidRequest) as caught:
        read_body(
            msgspec.json.Decoder(dict[str, Body]), json.dumps({"x" * 10_000: {"kind": "y" * 10_000}}).encode(), {}
        )
    assert len(str(caught.value)) < 700
