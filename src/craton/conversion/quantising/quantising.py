"""One model with fewer bits: rewritten, measured, and reported beside what it was."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import msgspec
from msgspec import Struct

from craton.conversion.quantising.measuring import MAX_CASES, MAX_TEXT, TOKENS, Case, Measured, Wanted, measure
from craton.conversion.quantising.recipes import recipe
from craton.conversion.quantising.rewriting import Progress, rewrite
from craton.conversion.quantising.text import HELD_OUT
from craton.core.errors import InvalidRequest


class Order(Struct, frozen=True):
    """to: a name in `recipes.RECIPES`. text: what perplexity is measured on, "" for Craton's own. tokens: of it, at
    most. cases: a test set. template: the model's own chat template, "" for none."""

    to: str
    text: str = ""
    tokens: int = TOKENS
    cases: tuple[Case, ...] = ()
    template: str = ""
    threads: int = 1


class Report(Struct, frozen=True):
    """kinds: tensors by the kind of their numbers, now. requantised: what weights were quantised to before, ""."""

    to: str
    before: Measured
    after: Measured
    kinds: dict[str, int]
    requantised: str = ""


def quantise(source: Path, target: Path, order: Order, progress: Progress = lambda _done, _all: None) -> Report:
    """Blocks. Raises InvalidRequest for an unknown kind, Damaged for a broken file, ModelUnavailable when llama.cpp
    runs one of the two not."""
    chosen = recipe(order.to)
    text = order.text[:MAX_TEXT] or HELD_OUT
    wanted = Wanted(str(source), text, order.tokens, order.threads, order.template, order.cases)
    before = measure(wanted)
    made = rewrite(source, target, chosen, progress)
    after = measure(msgspec.structs.replace(wanted, file=str(target)))
    return Report(order.to.lower(), before, after, made.kinds, made.requantised)


def read_cases(path: Path) -> tuple[Case, ...]:
    """A test set: one {"prompt", "completion"} a line. Raises InvalidRequest with the line's number."""
    return tuple(_cases(path))


def _cases(path: Path) -> Iterator[Case]:
    with path.open("rb") as lines:
        for number, line in enumerate(lines, 1):
            if number > MAX_CASES:
                raise InvalidRequest(f"at most {MAX_CASES:,} lines are tried", "test")
            if line.strip():
                try:
                    yield msgspec.convert(json.loads(line), Case)
                except (ValueError, RecursionError) as error:
                    raise InvalidRequest(f"line {number}: {str(error)[:120]}", "test") from None
