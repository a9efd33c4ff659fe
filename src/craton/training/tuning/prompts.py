"""Prompts to learn from, and those held out: as tokens, with the record and the place each came from."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

from craton.core.chat import Json
from craton.core.errors import InvalidRequest
from craton.training.protocol import Run
from craton.training.specification.tuning import RewardTuning
from craton.training.tuning.conversations import read_prompt
from craton.training.tuning.given import Given, Read
from craton.training.tuning.learner import Learner, rows, split
from craton.training.tuning.records import Record, good
from craton.training.tuning.sampling import Sampler

if TYPE_CHECKING:
    from datasets import Dataset


def prompts(spec: RewardTuning, given: Given, learner: Learner, place: Path, run: Run) -> tuple[Dataset, Dataset]:
    """Those to learn from, and those held out (may be none). Their columns are texts, "prompt" JSON of tokens, "place"
    and "record", and "number", each prompt's own."""
    length = min(spec.train.length, learner.context - spec.tokens)
    if length < 1:
        raise InvalidRequest(f"leaves no room for a prompt in the base's context of {learner.context:,}", "tokens")
    everything = _gather(given.train, learner, place / "train.arrow", length, run)
    if given.validation is not None:
        learning, held = everything, _gather(given.validation, learner, place / "validation.arrow", length, run)
    else:
        learning, held = split(everything, spec.data.share, spec.seed)
    run.log(f"{len(learning):,} prompts to learn from, {len(held):,} held out")
    return learning, held


def _gather(source: Read, learner: Learner, path: Path, length: int, run: Run) -> Dataset:
    from datasets import Value

    sampler, left_out = Sampler(learner.tokenizer), 0

    def fitting() -> Iterator[Json]:
        nonlocal left_out
        for number, (place, record, ids) in enumerate(good(_placed(source()), lambda value: _read(value, sampler))):
            if number % 64 == 0:
                run.check()
            if len(ids) > length:
                left_out += 1
            else:
                yield {"prompt": json.dumps(ids), "number": number, "place": place, "record": json.dumps(record)}

    texts = {name: Value("string") for name in ("prompt", "place", "record")}
    found = rows(fitting(), {**texts, "number": Value("int64")}, path)
    if left_out:
        run.warn(f"{left_out:,} prompts are longer than {length:,} tokens (train.length, or the context): left out")
    if not len(found):
        raise InvalidRequest(f"no prompt fits in {length:,} tokens", "train.length")
    return found


def _placed(records: Iterator[Record]) -> Iterator[Record]:
    """The place goes with what the record holds, for what is said of the grader."""
    for place, value, fault in records:
        yield Record(place, None if value is None else {"place": place, "record": value}, fault)


def _read(placed: Json, sampler: Sampler) -> tuple[str, Json, list[int]]:
    record = placed["record"]
    return placed["place"], record, sampler.asked(read_prompt(record))
