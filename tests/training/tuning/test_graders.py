"""Graders that work, and graders that fail, loop, lie or say something else than a number."""

from __future__ import annotations

import json
import time
from collections.abc import Iterable, Iterator
from typing import Any

import pytest

from craton.core.chat import ChatRequest
from craton.core.errors import InvalidRequest, Unsupported
from craton.training.protocol import Answer
from craton.training.specification.tuning import Grader
from craton.training.tuning.graders.opening import open_grader
from craton.training.tuning.graders.protocol import Sample
from craton.training.tuning.graders.python import PythonGrader

SAMPLES = [Sample(f"line {n}", "hi", "x" * n, {"prompt": "hi", "n": n}) for n in (1, 2, 3)]


class Outside:
    """Answers from lists. asked: what came."""

    def __init__(self, *, code: bool = True, said: Iterable[str] = (), posted: Any = None) -> None:
        self._code, self._said, self._posted = code, list(said), posted
        self.asked: list[Any] = []

    def allow_code(self) -> None:
        if not self._code:
            raise Unsupported("A grader that is a function")

    def pinned(self, model: str) -> str:
        return f"{model}@1"

    def answers(self, requests: Iterable[ChatRequest]) -> Iterator[tuple[int, Answer]]:
        self.asked += requests
        yield from reversed([(number, Answer(text, "end_turn")) for number, text in enumerate(self._said)])

    def post(self, url: str, body: bytes, key: str, seconds: float) -> bytes:
        self.asked.append((url, json.loads(body), key))
        if isinstance(self._posted, Exception):
            raise self._posted
        return json.dumps(self._posted).encode()


def python(body: str, seconds: float = 20.0) -> PythonGrader:
    return PythonGrader(f"def grade(prompt, answer, record):\n    {body}", seconds)


def test_a_function_scores_prompt_answer_and_record() -> None:
    grader = python("return len(prompt) + len(answer) * record['n'] + (record['n'] > 2)")
    assert grader.grade(SAMPLES) == [3.0, 6.0, 12.0]
    grader.close()


@pytest.mark.parametrize(
    ("body", "said"),
    [
        ("return float('nan') if record['n'] == 2 else 1", "line 2 it gave nan"),
        ("return 'good'", "line 1 it gave 'good', which is no number"),
        ("return 10 ** 400", "line 1 it gave inf"),
        ("print('looks fine'); return 1", "line 1 it printed 'looks fine"),
        ("return {}['missing']", "line 1 it failed: KeyError: 'missing'"),
        ("import sys; sys.exit(0)", "line 1 it failed: SystemExit"),
        ("import os; os._exit(3)", "line 1 it crashed: its process ended with exit code 3"),
        ("return len(bytearray(8 << 30))", "line 1 it failed: MemoryError"),
        ("import socket; socket.create_connection(('127.0.0.1', 1))", "line 1 it failed: .*no network"),
        ("import subprocess; subprocess.run(['true'])", "line 1 it failed: .*starts no programs"),
    ],
)
def test_a_function_that_fails_or_lies_is_named_with_its_record(body: str, said: str) -> None:
    grader = python(body)
    with pytest.raises(InvalidRequest, match=f"grader: for the record at {said}"):
        grader.grade(SAMPLES)
    grader.close()


def test_a_function_that_loops_is_killed_in_time() -> None:
    grader, began = python("\n    while record['n'] == 3: pass\n    return 1", 1.0), time.monotonic()
    with pytest.raises(InvalidRequest, match=r"line 3 it .*longer than 1 seconds|SIGPROF"):
        grader.grade(SAMPLES)
    assert time.monotonic() - began < 10
    grader.close()


def test_a_function_sees_no_keys(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CRATON_KEY", "secret")
    grader = python("import os; return sum('CRATON' in name for name in os.environ)")
    assert grader.grade(SAMPLES[:1]) == [0.0]
    grader.close()


@pytest.mark.parametrize(("text", "said"), [("def grade(", "SyntaxError"), ("x = 1", "no function grade")])
def test_a_module_without_a_function_is_refused(text: str, said: str) -> None:
    with pytest.raises(InvalidRequest, match=said):
        PythonGrader(text, 5.0)


def test_code_runs_only_where_the_operator_allows_it() -> None:
    with pytest.raises(Unsupported):
        open_grader(Grader(python="def grade(p, a, r): return 1"), Outside(code=False))


@pytest.mark.parametrize("grader", [Grader(), Grader(url="https://g.test", judge="m"), Grader(url="ftp://g.test")])
def test_exactly_one_grader_that_can_be(grader: Grader) -> None:
    with pytest.raises(InvalidRequest):
        open_grader(grader, Outside())


def test_an_address_gets_a_batch_and_the_same_key_for_the_same_batch() -> None:
    outside = Outside(posted={"scores": [0, 0.5, 1]})
    grader = open_grader(Grader(url="https://g.test/grade"), outside)
    assert grader.grade(SAMPLES) == grader.grade(SAMPLES) == [0.0, 0.5, 1.0]
    (url, body, key), (_, _, again) = outside.asked
    assert (url, key) == ("https://g.test/grade", again)
    assert body["samples"][1] == {"prompt": "hi", "answer": "xx", "record": {"prompt": "hi", "n": 2}}


@pytest.mark.parametrize(
    ("posted", "said"),
    [
        ({"scores": [1, 2]}, "gave 2 scores for 3 answers"),
        ({"scores": [1, "high", 0]}, "line 2 it gave 'high'"),
        ({"rewards": []}, "answered .*rewards"),
        ([1, 2, 3], "answered"),
        (ConnectionError("it answered with the status 500"), "line 1 to line 3: it answered with the status 500"),
    ],
)
def test_an_address_that_fails_or_lies_is_named(posted: Any, said: str) -> None:
    grader = open_grader(Grader(url="https://g.test/grade"), Outside(posted=posted))
    with pytest.raises(InvalidRequest, match=said):
        grader.grade(SAMPLES)


def test_a_judge_may_only_write_a_score() -> None:
    outside = Outside(said=['{"score": 0.1}', '{"score": 0.9}', '{"score": 1}'])
    grader = open_grader(Grader(judge="wise", instruction="Is it long?"), outside)
    assert grader.grade(SAMPLES) == [0.1, 0.9, 1.0]
    request = outside.asked[2]
    assert request.model == "wise@1"
    assert request.output_schema is not None
    assert "Is it long?" in request.system[0].text
    assert "xxx" in request.messages[0].text()


@pytest.mark.parametrize(("text", "said"), [("fine", "wrote 'fine'"), ('{"score": 7}', "line 1 it gave 7")])
def test_a_judge_that_lies_is_named(text: str, said: str) -> None:
    grader = open_grader(Grader(judge="wise"), Outside(said=[text]))
    with pytest.raises(InvalidRequest, match=said):
        grader.grade(SAMPLES[:1])
