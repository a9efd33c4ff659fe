"""A student learns what a teacher answers; no question is asked twice."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

import pytest

pytest.importorskip("peft")

from craton.core.chat import ChatRequest
from craton.core.errors import InvalidRequest
from craton.core.job import JobCancelled
from craton.training.protocol import Answer
from craton.training.specification.tuning import Distillation, Records, TextFit
from craton.training.tuning.distillation import taught, train
from craton.training.tuning.invocations import read_invocation
from tests.training.memory import MemoryRun
from tests.training.tuning.conftest import WORDS, given, read

SPEC = Distillation(
    data=Records("s3://train/prompts.jsonl", share=0.2),
    base="tiny",
    teacher="wise",
    sampling={"temperature": 0.0},
    train=TextFit(steps=10, batch=4, length=128, learning_rate=5e-3, packing=False),
)
PROMPTS = [{"prompt": f"What is {WORDS[n % 6]}? {n}"} for n in range(20)]


class Teacher:
    """Answers in any order; dies after so many answers. asked: the texts of all questions."""

    def __init__(self, dies_after: int = 1000) -> None:
        self.asked: list[str] = []
        self._left = dies_after

    def pinned(self, model: str) -> str:
        return f"{model}@7"

    def answers(self, requests: Iterable[ChatRequest]) -> Iterator[tuple[int, Answer]]:
        for number, request in reversed(list(enumerate(requests))):
            assert request.model == "wise@7"
            if not self._left:
                raise JobCancelled
            self._left -= 1
            text = request.messages[-1].text()
            self.asked.append(text)
            cut = text.endswith(" 3")
            yield number, Answer("It is a colour.", "max_tokens" if cut else "end_turn")


def memory_run(folder: Path, tiny: Path, teacher: Teacher) -> MemoryRun:
    folder.mkdir(exist_ok=True)
    return MemoryRun(folder, repositories={"model:tiny@main": tiny}, outside=teacher)


@pytest.mark.slow
def test_a_student_learns_what_the_teacher_says(tiny: Path, tmp_path: Path) -> None:
    first = Teacher(dies_after=12)
    with pytest.raises(JobCancelled):
        train(SPEC, given(PROMPTS), memory_run(tmp_path / "run", tiny, first))
    with (tmp_path / "run" / "answers.jsonl").open("ab") as file:
        file.write(b'{"number": 0, "te')  # as a crash leaves it
    second = Teacher()
    run = memory_run(tmp_path / "run", tiny, second)
    trained = train(SPEC, given(PROMPTS), run)
    assert sorted(first.asked + second.asked) == sorted(record["prompt"] for record in PROMPTS)
    assert trained.metrics["validation_loss"] < trained.metrics["validation_loss_before"] - 0.2
    assert trained.metrics["perplexity"] < trained.metrics["perplexity_before"]
    assert run.parameters["teacher"] == "wise@7"
    assert any(line.startswith("1 answers are longer than 512 tokens") for line in run.warnings)


def test_what_was_answered_already_is_not_asked(tiny: Path, tmp_path: Path) -> None:
    log = {
        "schemaType": "ModelInvocationLog",
        "operation": "Converse",
        "input": {"inputBodyJson": {"messages": [{"role": "user", "content": [{"text": "What is red?"}]}]}},
        "output": {
            "outputBodyJson": {
                "output": {"message": {"role": "assistant", "content": [{"text": "It is a colour."}]}},
                "stopReason": "end_turn",
            }
        },
    }
    assert read_invocation(log)[-1] == {"role": "assistant", "content": "It is a colour."}
    teacher = Teacher()
    done = [{**record, "completion": "It is a colour."} for record in PROMPTS]
    records = [*taught(SPEC, read([log, *done]), memory_run(tmp_path / "run", tiny, teacher), "answers")()]
    assert not teacher.asked
    assert len(records) == 21
    assert {record.value["messages"][-1]["content"] for record in records if record.value} == {"It is a colour."}


@pytest.mark.parametrize("change", [{"operation": "InvokeModel"}, {"output": {}}])
def test_a_log_of_something_else_is_refused(change: dict[str, Any]) -> None:
    with pytest.raises(InvalidRequest):
        read_invocation({"schemaType": "ModelInvocationLog", "operation": "Converse", "input": {}, **change})
