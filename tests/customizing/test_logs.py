"""Bedrock's invocation logs as records to distil from."""

from __future__ import annotations

import gzip
import json
from typing import Any

import pytest

from craton.core.errors import InvalidRequest
from craton.customizing.logs import read_filter, read_log


def entry(question: str, answer: str, **metadata: str) -> dict[str, Any]:
    """As Converse is logged."""
    return {
        "schemaType": "ModelInvocationLog",
        "operation": "Converse",
        "requestMetadata": metadata,
        "input": {
            "inputBodyJson": {
                "system": [{"text": "Be short."}],
                "messages": [{"role": "user", "content": [{"text": question}]}],
            }
        },
        "output": {"outputBodyJson": {"output": {"message": {"role": "assistant", "content": [{"text": answer}]}}}},
    }


ANTHROPIC = {
    "schemaType": "ModelInvocationLog",
    "operation": "InvokeModel",
    "input": {"inputBodyJson": {"messages": [{"role": "user", "content": [{"type": "text", "text": "Why?"}]}]}},
    "output": {"outputBodyJson": {"role": "assistant", "content": [{"type": "text", "text": "Because."}]}},
}


def lines(*entries: Any) -> bytes:
    return b"".join(json.dumps(entry).encode() + b"\n" for entry in entries)


def said(record: Any) -> list[tuple[str, str]]:
    return [(message["role"], message["content"]) for message in record["messages"]]


@pytest.mark.parametrize("packed", [False, True])
def test_what_was_asked_and_answered_comes_out_of_both_formats(packed: bool) -> None:
    log = lines(entry("How?", "So."), ANTHROPIC)
    blocks = [gzip.compress(log) if packed else log]
    both = [said(record) for record in read_log(blocks, read_filter(None), answers=True)]
    assert both == [
        [("system", "Be short."), ("user", "How?"), ("assistant", "So.")],
        [("user", "Why?"), ("assistant", "Because.")],
    ]
    asked = [said(record) for record in read_log(blocks, read_filter(None), answers=False)]
    assert asked == [both[0][:2], both[1][:1]]


def test_entries_of_no_use_are_told_and_other_entries_go_on() -> None:
    picture = entry("Look", "A cat.")
    picture["input"]["inputBodyJson"]["messages"][0]["content"].append({"image": {"format": "png"}})
    log = lines(picture, {"schemaType": "ModelInvocationLog"}, "no object", entry("How?", "So."))
    found = list(read_log([log], read_filter(None), answers=True))
    assert [record is None for record in found] == [True, True, True, False]


@pytest.mark.parametrize(
    ("rules", "taken"),
    [
        ({"equals": {"team": "a"}}, ["1", "2"]),
        ({"notEquals": {"team": "a"}}, ["3"]),
        ({"andAll": [{"equals": {"team": "a"}}, {"notEquals": {"kind": "x"}}]}, ["2"]),
        ({"orAll": [{"equals": {"kind": "x"}}, {"equals": {"team": "b"}}]}, ["1", "3"]),
    ],
)
def test_metadata_chooses(rules: dict[str, Any], taken: list[str]) -> None:
    log = lines(entry("1", "a", team="a", kind="x"), entry("2", "a", team="a", kind="y"), entry("3", "a", team="b"))
    found = [said(record)[-1][1] for record in read_log([log], read_filter(rules), answers=False) if record]
    assert found == taken


def test_a_log_whose_compression_is_broken_is_refused() -> None:
    with pytest.raises(InvalidRequest, match="compression"):
        list(read_log([gzip.compress(lines(ANTHROPIC))[:12] + b"rubbish" * 9], read_filter(None), answers=True))
