"""What the bodies of embeddings are read into, and how vectors are written."""

from __future__ import annotations

import array
import json
from typing import Any

import pytest

from craton.core.errors import InvalidRequest
from craton.core.model import EmbedAnswer, EmbedRequest
from craton.wire.openai.embeddings import MAX_INPUTS, read_embeddings, write_embeddings


def read(**members: Any) -> EmbedRequest:
    return read_embeddings(json.dumps({"model": "m", **members}).encode()).request


@pytest.mark.parametrize(
    ("given", "inputs"),
    [
        ("a", ("a",)),
        (["a", "b"], ("a", "b")),
        ([1, 2], ((1, 2),)),
        ([[1, 2], [3]], ((1, 2), (3,))),
    ],
)
def test_each_form_of_input_is_read(given: Any, inputs: Any) -> None:
    assert read(input=given) == EmbedRequest("m", inputs)
    assert read(input=given, dimensions=5, user="u") == EmbedRequest("m", inputs, 5)


@pytest.mark.parametrize(
    ("given", "field"),
    [
        ("", "input"),
        ([], "input"),
        ([""], "input[0]"),
        (["a", ""], "input[1]"),
        ([[]], "input[0]"),
        (["a", 1], "input"),
        ([1, "a"], "input"),
        ([[1], "a"], "input"),
        ([1, [1]], "input"),
        ([1.5], "input[0]"),
        ([-1], "input[0]"),
        ([[1, "x"]], "input[0][1]"),
        (None, "input"),
        ({"a": 1}, "input"),
        (["x"] * (MAX_INPUTS + 1), "input"),
    ],
)
def test_a_wrong_input_is_refused_by_name(given: Any, field: str) -> None:
    with pytest.raises(InvalidRequest) as caught:
        read(input=given)
    assert caught.value.field == field


@pytest.mark.parametrize(
    ("members", "field"),
    [
        ({}, ""),
        ({"input": "a", "dimensions": 0}, "dimensions"),
        ({"input": "a", "encoding_format": "x"}, "encoding_format"),
    ],
)
def test_other_members_are_checked(members: dict[str, Any], field: str) -> None:
    with pytest.raises(InvalidRequest) as caught:
        read(**members)
    assert caught.value.field == field


def test_vectors_are_written_in_order() -> None:
    answer = EmbedAnswer(array.array("f", [1.0, 0.0, 0.0, 1.0]).tobytes(), 2, (3, 4))
    floats = json.loads(write_embeddings(answer, "m", base64=False))
    assert floats == {
        "object": "list",
        "data": [
            {"object": "embedding", "index": 0, "embedding": [1.0, 0.0]},
            {"object": "embedding", "index": 1, "embedding": [0.0, 1.0]},
        ],
        "model": "m",
        "usage": {"prompt_tokens": 7, "total_tokens": 7},
    }
    coded = json.loads(write_embeddings(answer, "m", base64=True))
    assert [row["embedding"] for row in coded["data"]] == ["AACAPwAAAAA=", "AAAAAAAAgD8="]
