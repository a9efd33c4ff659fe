"""What a tuning specification would run, and why: said before anything is."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Protocol

from craton.training.specification.explaining import Explanation, Line, judging
from craton.training.specification.reading import method_of
from craton.training.specification.tuning import LINEAR, Pretraining, Tuned


class Pinned(Protocol):
    """References with their revisions in full."""

    @property
    def data(self) -> str: ...

    @property
    def validation(self) -> str: ...

    @property
    def base(self) -> str: ...


def explain_tuning(spec: Tuned, pinned: Pinned) -> Explanation:
    return Explanation(tuple(_lines(spec, pinned)))


def _lines(spec: Tuned, pinned: Pinned) -> Iterator[Line]:
    yield Line("method", method_of(spec), "method")
    limited = "" if spec.data.limit is None else f", the first {spec.data.limit:,} records"
    yield Line("data", f"{pinned.data}{limited}", f"data.ref is {spec.data.ref!r}; pinned to what it is now")
    if pinned.validation:
        yield Line("held out", pinned.validation, "data.validation")
    else:
        yield Line("held out", f"{spec.data.share:.0%} of the samples", "data.share")
    if isinstance(spec, Pretraining):
        shape = spec.model
        how = f"{shape.layers} layers of width {shape.width}, {shape.heads} heads, {shape.vocabulary:,} pieces"
        yield Line("model", f"Llama from nothing: {how}, context {shape.context:,}", "model")
    else:
        yield Line("base", pinned.base, "base; pinned to the revision that it has now")
        if spec.tune == "lora":
            parts = "all linear parts" if spec.lora.modules == LINEAR else ", ".join(spec.lora.modules)
            yield Line("tuned", f"an adapter of rank {spec.lora.rank} on {parts}", "tune, lora")
        else:
            yield Line("tuned", "all weights", "tune")
    fit = spec.train
    end = f"{fit.steps:,} updates" if fit.steps else f"{fit.epochs:g} epochs"
    size = f"{fit.batch * fit.accumulate} sequences of at most {fit.length:,} tokens an update"
    packed = ", several samples in one" if fit.packing else ""
    yield Line("training", f"{end}, {size}{packed}, {fit.schedule} rate", "train")
    if fit.processes > 1:
        yield Line("processes", f"{fit.processes}, which share each step and the weights", "train.processes")
    yield Line("seed", str(spec.seed), "seed: of the order, the split and what is drawn")
    yield from judging(spec)
