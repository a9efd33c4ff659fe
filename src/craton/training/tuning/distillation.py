"""Distillation: a student learns to write what a teacher answered.

Sequence-level: Kim and Rush, 2016 (arXiv 1606.07947). The teacher is any model that is served here; its answers are
kept as they come, so a run that is killed asks no question twice. Then the student is tuned on them as by fine-tuning.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from typing import Any

import msgspec

from craton.core.chat import ChatRequest, Json, Message, Sampling, TextPart
from craton.core.errors import InvalidRequest
from craton.training.protocol import Answer, Run, Trained
from craton.training.specification.tuning import Distillation, FineTuning
from craton.training.tuning.answers import Answers
from craton.training.tuning.conversations import Messages, read_conversation, read_prompt
from craton.training.tuning.given import Given, Read
from craton.training.tuning.invocations import is_invocation, read_invocation
from craton.training.tuning.records import Record, good
from craton.training.tuning.training import train as fine_tune


def train(spec: Distillation, given: Given, run: Run) -> Trained:
    """Raises InvalidRequest for records and teachers that do not do, and what the teacher and fine-tuning raise."""
    learning = taught(spec, given.train, run, "answers")
    validation = None if given.validation is None else taught(spec, given.validation, run, "validation-answers")
    student = FineTuning(
        data=spec.data,
        base=spec.base,
        tune=spec.tune,
        lora=spec.lora,
        train=spec.train,
        output=spec.output,
        eval=spec.eval,
        seed=spec.seed,
        name=spec.name,
    )
    trained = fine_tune(student, Given(learning, validation, given.base), run)
    trained.notes.append(f"It learned from answers of {spec.teacher}, its mistakes included.")
    return trained


def taught(spec: Distillation, source: Read, run: Run, name: str) -> Read:
    """The same records, each with its answer. Those that the teacher could not answer whole are left out."""
    answers = Answers(run.folder / f"{name}.jsonl")
    total = sum(1 for _ in good(source(), lambda record: record if has_answer(record) else read_prompt(record)))
    if any(record.value is not None and not has_answer(record.value) for record in source()):
        teacher = answers.teacher or run.outside.pinned(spec.teacher)
        answers.begin(teacher)
        run.parameter("teacher", teacher)
        _ask(spec, teacher, source, answers, total, run)
    else:
        run.log("all records hold answers already: the teacher is not asked")
    kept = answers.read()
    _warn(kept, spec, run)

    def records() -> Iterator[Record]:
        for number, record in enumerate(source()):
            if record.value is None:
                yield record
            elif has_answer(record.value):
                yield record._replace(value={"messages": answered(record.value)})
            elif not why_not(answer := kept[number], spec.tokens):
                asked = read_prompt(record.value)
                yield record._replace(value={"messages": [*asked, {"role": "assistant", "content": answer.text}]})

    return records


def _ask(spec: Distillation, teacher: str, source: Read, answers: Answers, total: int, run: Run) -> None:
    known = answers.read()
    if known:
        run.log(f"{len(known):,} answers are here from before")
    sampling = _sampling(spec)
    numbers: list[int] = []

    def requests() -> Iterator[ChatRequest]:
        for number, record in enumerate(source()):
            if record.value is None or number in known or has_answer(record.value):
                continue
            numbers.append(number)
            yield request_of(teacher, read_prompt(record.value), sampling)

    done = len(known)
    for place, answer in run.outside.answers(requests()):
        answers.add(numbers[place], answer)
        done += 1
        run.progress(done, total, "answers")
    answers.close()


def _warn(kept: dict[int, Answer], spec: Distillation, run: Run) -> None:
    reasons = Counter(why_not(one, spec.tokens) for one in kept.values())
    whole = reasons.pop("", 0)
    for why, count in sorted(reasons.items()):
        run.warn(f"{count:,} {why}: left out")
    if kept and not whole:
        raise InvalidRequest("the teacher answered none of the prompts whole; give it more `tokens`", "teacher")


def why_not(answer: Answer, tokens: int) -> str:
    """Why nothing is learned from it, "" when it is whole."""
    if answer.stop == "context":
        return "prompts do not fit the teacher's context"
    if answer.stop == "max_tokens":
        return f"answers are longer than {tokens:,} tokens (`tokens`)"
    return "" if answer.text.strip() else "answers are empty"


def has_answer(record: Json) -> bool:
    """Whether somebody answered it already."""
    if "completion" in record or is_invocation(record):
        return True
    messages = record.get("messages")
    return isinstance(messages, list) and bool(messages) and _role(messages[-1]) == "assistant"


def answered(record: Json) -> Messages:
    """Raises InvalidRequest."""
    if is_invocation(record):
        return read_invocation(record)
    return read_conversation(record).messages


def request_of(model: str, messages: Messages, sampling: Sampling) -> ChatRequest:
    system = tuple(TextPart(one["content"]) for one in messages if one["role"] == "system")
    said = tuple(
        Message("user" if one["role"] == "user" else "assistant", (TextPart(one["content"]),))
        for one in messages
        if one["role"] != "system"
    )
    return ChatRequest(model, said, system=system, sampling=sampling)


def _sampling(spec: Distillation) -> Sampling:
    try:
        found = msgspec.convert({"max_tokens": spec.tokens, **spec.sampling}, Sampling)
    except msgspec.ValidationError as error:
        raise InvalidRequest(str(error), "sampling") from None
    if found.n != 1:
        raise InvalidRequest("one answer to each prompt is learned from", "sampling.n")
    return found


def _role(message: Any) -> Any:
    return message.get("role") if isinstance(message, dict) else None
