"""Records are read as a stream; what is wrong with them is said once, with the numbers of the lines."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from craton.core.errors import InvalidRequest
from craton.training.tuning import records
from craton.training.tuning.conversations import read_conversation, read_plain, read_prompt
from craton.training.tuning.records import good, read_lines, read_text

EXAMPLES = Path(__file__).parents[3] / "examples"


def blocks(text: str, size: int = 7) -> list[bytes]:
    content = text.encode()
    return [content[start : start + size] for start in range(0, len(content), size)]


def test_lines_are_whole_wherever_blocks_end() -> None:
    values = [{"text": f"Zeile {number} mit ä"} for number in range(20)]
    text = "\n".join(json.dumps(value, ensure_ascii=False) for value in values)
    for size in (1, 2, 5, 1000):
        assert [record.value for record in read_lines(blocks(text, size))] == values


def test_bad_lines_are_told_with_their_numbers_and_how_many_are_good() -> None:
    lines = [
        '{"prompt": "a", "completion": "b"}',
        "{",
        "",
        "[1]",
        '{"prompt": "a"}',
        '{"prompt": "a", "completion": "c"}',
    ]
    with pytest.raises(InvalidRequest) as refused:
        list(good(read_lines(blocks("\n".join(lines))), read_conversation))
    said = str(refused.value)
    assert "line 2: it is not JSON" in said
    assert "line 4: it is not a JSON object" in said
    assert 'line 5: it has neither "messages"' in said
    assert said.endswith("2 of 5 records are good")
    assert refused.value.field == "data.ref"


def test_of_many_bad_lines_the_first_are_told() -> None:
    with pytest.raises(InvalidRequest, match=r"line 5: .* and 95 more\. 0 of 100 records are good"):
        list(good(read_lines([b"{\n" * 100]), read_plain))


def test_a_line_without_an_end_is_not_held(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(records, "MAX_LINE", 100)
    found = list(read_lines([b'{"text": "', *[b"x" * 50] * 20, b'"}\n{"text": "y"}\n']))
    assert [(one.place, one.value) for one in found] == [("line 1", None), ("line 2", {"text": "y"})]
    assert "longer than 100 bytes" in found[0].fault


def test_the_examples_pairs_are_records(tmp_path: Path) -> None:
    made = tmp_path / "support.jsonl"
    subprocess.run([sys.executable, EXAMPLES / "python_support.py", made], check=True, capture_output=True, timeout=120)
    found = list(good(read_lines([made.read_bytes()]), read_conversation))
    assert len(found) == 300


def test_nothing_is_refused() -> None:
    with pytest.raises(InvalidRequest, match="holds no records"):
        list(good(read_lines([b"\n\n"]), read_plain))


def test_plain_text_becomes_records_that_together_are_the_text(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(records, "TEXT_BLOCK", 40)
    text = "".join(f"line {number}\n" for number in range(50))
    found = [record.value["text"] for record in read_text(blocks(text)) if record.value]
    assert "".join(found) == text
    assert len(found) > 5


CONVERSATION = [
    {"role": "system", "content": "Be short."},
    {"role": "user", "content": "Hi"},
    {"role": "assistant", "content": "Hello"},
]
BEDROCK = {
    "schemaVersion": "bedrock-conversation-2024",
    "system": [{"text": "Be short."}],
    "messages": [
        {"role": "user", "content": [{"text": "Hi"}]},
        {"role": "assistant", "content": [{"text": "Hello"}]},
    ],
}


def test_the_forms_of_bedrock_and_openai_say_the_same() -> None:
    assert read_conversation({"messages": CONVERSATION}).messages == CONVERSATION
    assert read_conversation(BEDROCK).messages == CONVERSATION
    pair = read_conversation({"prompt": "Hi", "completion": "Hello"})
    assert (pair.messages, pair.plain) == (CONVERSATION[1:], True)
    asked = read_conversation({"prompt": CONVERSATION[:2], "completion": CONVERSATION[2:]})
    assert (asked.messages, asked.plain) == (CONVERSATION, False)
    assert read_prompt({"messages": CONVERSATION}) == read_prompt({"prompt": CONVERSATION[:2]}) == CONVERSATION[:2]


@pytest.mark.parametrize(
    ("record", "reason"),
    [
        ({"messages": CONVERSATION[:2]}, "the last message is not the assistant's"),
        ({"messages": []}, "no list, or an empty one"),
        ({"messages": [{"role": "robot", "content": "x"}]}, r"messages\[0\].role is none of"),
        ({"messages": [{"role": "user", "content": [{"image": {}}]}]}, "something else than text"),
        ({"messages": [*CONVERSATION, CONVERSATION[0]]}, "only the first message may be the system's"),
        ({"schemaVersion": "other", "messages": CONVERSATION}, "schemaVersion is not"),
        ({"prompt": "a", "completion": ""}, "its completion is empty"),
        ({"prompt": 3, "completion": "b"}, "prompt is no text"),
        ({"text": "a"}, 'neither "messages"'),
    ],
)
def test_what_cannot_be_learned_from_is_refused(record: dict[str, Any], reason: str) -> None:
    with pytest.raises(InvalidRequest, match=reason):
        read_conversation(record)
