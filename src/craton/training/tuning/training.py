"""Fine-tuning, continued pre-training and pre-training from nothing: data -> tokens -> loop -> a repository."""

from __future__ import annotations

import math
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import msgspec

from craton.training.methods.deep.checkpoints import Position
from craton.training.methods.drawing import curves
from craton.training.protocol import Figure, Run, Trained
from craton.training.specification.tuning import FineTuning, Pretraining, TextFit, Tuned
from craton.training.tuning.attention import Segments
from craton.training.tuning.base import Base, load, open_base
from craton.training.tuning.batches import LanguageLoss
from craton.training.tuning.beginning import learn_tokenizer, make_model, parameters_of
from craton.training.tuning.conversations import read_conversation, read_plain
from craton.training.tuning.corpus import Corpus, gather, gather_blocks
from craton.training.tuning.given import Given
from craton.training.tuning.loop import Loop
from craton.training.tuning.lora import adapted, adapter_size
from craton.training.tuning.memory import Shared, check_steps, check_weights
from craton.training.tuning.precision import device_of, settled
from craton.training.tuning.records import Record, good
from craton.training.tuning.results import write_adapter, write_whole
from craton.training.tuning.sampling import Sampler
from craton.training.tuning.stepping import Alone, Stepping
from craton.training.tuning.together.gathering import gathered
from craton.training.tuning.together.group import Group, Scattered
from craton.training.tuning.together.leading import Together
from craton.training.tuning.trial import SAMPLES, Request, try_out

RATES = {"lora": 2e-4, "full": 2e-5, "pretraining": 1e-3}
"""The largest learning rate where none is given."""

LOST = 3  # times that a helper may be, until the run fails


def train(spec: Tuned, given: Given, run: Run) -> Trained:
    """Raises InvalidRequest for records, settings and bases that do not do, what `Run` and the loop raise, and
    Scattered where helpers are lost again and again."""
    for again in range(LOST, -1, -1):
        try:
            with (
                tempfile.TemporaryDirectory(prefix="craton-tokens-") as place,
                gathered(run, spec.train.processes) as group,
            ):
                return _Tuning(spec, given, run, Path(place), group).train()
        except Scattered:
            if not again:
                raise
            run.warn("A process was lost, and its part of the model: the run goes on from its last checkpoint.")
    raise AssertionError


class _Tuning:
    def __init__(self, spec: Tuned, given: Given, run: Run, folder: Path, group: Group | None) -> None:
        """group: of the processes that share the work; None for this one alone."""
        self._spec, self._given, self._run, self._folder = spec, given, run, folder
        self._group = group
        self._shared = Shared(gpu=device_of().type == "cuda") if group is None else group.shared
        self._lora = spec.tune == "lora" and not isinstance(spec, Pretraining)
        self._base: Base | None = None

    def train(self) -> Trained:
        import torch

        spec, run = self._spec, self._run
        torch.manual_seed(spec.seed)
        model, tokenizer = self._begin()
        learning, held = self._corpora(tokenizer, _context(model))
        if self._lora:
            torch.manual_seed(spec.seed)
        fit = settled(spec.train)
        segments = Segments()
        segments.attach(model)
        if self._lora:
            model = adapted(model, spec.lora)
        trained = sum(weight.numel() for weight in model.parameters() if weight.requires_grad)
        run.parameter("trained_weights", trained)
        run.parameter("precision", fit.precision)
        tokens = min(learning.tokens, fit.batch * (fit.length if fit.packing else int(learning.lengths.max())))
        check_steps(model, trained, tokens, round(tokens * learning.learned), fit, run, self._shared)
        stepping = self._stepping(model, segments, fit)
        del model  # several processes have other ones
        rate = fit.learning_rate or RATES["pretraining" if isinstance(spec, Pretraining) else spec.tune]
        settings = msgspec.json.encode((spec, self._given.base)).decode()
        loop = Loop(stepping, fit, rate, spec.seed, run, settings=settings)
        before = loop.measure(held) if len(held) else None
        at = loop.run(learning, held if len(held) else None)
        if not self._lora:
            stepping.round_off()
        metrics = _figures(before, loop.measure(held) if len(held) else None)
        few = (held if len(held) else learning).first(SAMPLES)
        expected = loop.measure(few)
        folder = Path(tempfile.mkdtemp(prefix="craton-tuned-"))
        self._write(stepping.whole(), tokenizer, folder)
        self._try_out(folder, few, expected)
        bases = (self._given.base,) if self._given.base else ()
        return Trained(None, metrics, [loss_figure(at)], self._notes(learning, held, at), folder, bases)

    def _stepping(self, model: Any, segments: Segments, fit: TextFit) -> Stepping:
        spec = self._spec
        if self._group is not None:
            return Together(model, segments, fit, spec.seed, self._group, spec.lora if self._lora else None)
        if fit.checkpointing:
            model.activation_checkpointing_enable({"use_reentrant": False})
        model.to(device_of())
        return Alone(model, LanguageLoss(model, segments), fit, spec.seed)

    def _begin(self) -> tuple[Any, Any]:
        """The model that learns, and its tokenizer."""
        spec, run = self._spec, self._run
        if isinstance(spec, Pretraining):
            size = parameters_of(spec.model)
            check_weights(size, size, run, self._shared)
            run.log("learning a tokenizer from the texts")
            texts = good(self._given.train(), read_plain)
            tokenizer = learn_tokenizer(_checked(texts, run), spec.model.vocabulary, run.folder)
            return make_model(spec.model, tokenizer), tokenizer
        self._base = open_base(run, self._given.base)
        size = self._base.parameters
        check_weights(size, adapter_size(size) if self._lora else size, run, self._shared)
        run.log(f"loading {spec.base}: {size:,} weights, stored as {self._base.stored}")
        return load(self._base)

    def _corpora(self, tokenizer: Any, context: int) -> tuple[Corpus, Corpus]:
        """What is learned from, and what is only judged on (may be empty)."""
        data, length = self._spec.data, min(self._spec.train.length, context)
        seed = self._spec.seed if isinstance(self._spec, FineTuning) else None  # of texts, the last ones
        everything = self._gather(tokenizer, self._given.train, "train", length)
        if self._given.validation is not None:
            learning, held = everything, self._gather(tokenizer, self._given.validation, "validation", length)
        else:
            learning, held = everything.split(data.share, seed)
        self._tell(everything, learning, held, length)
        return learning, held

    def _gather(self, tokenizer: Any, source: Callable[[], Iterator[Record]], name: str, length: int) -> Corpus:
        sampler = Sampler(tokenizer)
        if isinstance(self._spec, FineTuning):
            samples = good(source(), lambda record: sampler.conversation(read_conversation(record)))
            return gather(_checked(samples, self._run), self._folder, name, length)
        texts = good(source(), lambda record: sampler.text(read_plain(record)))
        return gather_blocks(_checked(texts, self._run), self._folder, name, length)

    def _tell(self, everything: Corpus, learning: Corpus, held: Corpus, length: int) -> None:
        run = self._run
        what = "samples" if isinstance(self._spec, FineTuning) else "sequences"
        run.log(f"{len(learning):,} {what} ({learning.tokens:,} tokens) to learn from, {len(held):,} held out")
        run.parameter("tokens", learning.tokens)
        longer = f"longer than {length:,} tokens (train.length, or the context of the base)"
        if everything.cut:
            run.warn(f"{everything.cut:,} samples are {longer}: their ends were cut off")
        if everything.left_out:
            run.warn(f"{everything.left_out:,} samples are {longer} and were left out: no answer begins before that")

    def _write(self, model: Any, tokenizer: Any, folder: Path) -> None:
        if self._lora:
            write_adapter(model, folder, self._given.base)
        else:
            write_whole(model, tokenizer, folder)

    def _try_out(self, folder: Path, few: Corpus, expected: float) -> None:
        import torch

        samples = [(ids.tolist(), learned.tolist()) for ids, learned in (few.sample(n) for n in range(len(few)))]
        base = "" if self._base is None or not self._lora else str(self._base.folder)
        request = Request(str(folder), base, samples, torch.get_num_threads())
        answer = try_out(request, expected, rough=self._rough())
        self._run.log(f"loaded again in a fresh process: the same loss ({answer.loss:.4f}) on {len(samples)} samples")

    def _rough(self) -> bool:
        return device_of().type != "cpu" or settled(self._spec.train).precision != "float32"

    def _notes(self, learning: Corpus, held: Corpus, at: Position) -> list[str]:
        spec = self._spec
        notes = [f"{learning.tokens:,} tokens to learn from, {held.tokens:,} held out; {at.step:,} updates."]
        if not len(held):
            notes.append("Nothing was held out: how good it is on other texts is not known.")
        if self._lora:
            notes.append(f"An adapter of rank {spec.lora.rank}: it works over {self._given.base} and no other model.")
        notes.append("It says what its texts made likely, which may be wrong: check what matters.")
        return notes


def _figures(before: float | None, after: float | None) -> dict[str, float]:
    if before is None or after is None:
        return {}
    return {
        "validation_loss_before": before,
        "validation_loss": after,
        "perplexity_before": math.exp(min(before, 700.0)),
        "perplexity": math.exp(min(after, 700.0)),
    }


def loss_figure(at: Position) -> Figure:
    lines = {
        name: [(line["step"], line[key]) for line in at.history if key in line]
        for name, key in (("training", "training_loss"), ("validation", "validation_loss"))
    }
    return curves("loss", "Loss", {name: line for name, line in lines.items() if line}, "update", "nats a token")


def _context(model: Any) -> int:
    """Tokens that the model can place."""
    return int(getattr(model.config.get_text_config(), "max_position_embeddings", None) or 1 << 20)


def _checked(values: Iterator[Any], run: Run) -> Iterator[Any]:
    """Reading may take long, and can be cancelled all the same."""
    for number, value in enumerate(values):
        if number % 64 == 0:
            run.check()
        yield value
