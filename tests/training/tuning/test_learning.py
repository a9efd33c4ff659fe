"""What is learned is the answers, each by itself; the loss is the one that can be computed on paper."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any

import pytest

pytest.importorskip("torch")
pytest.importorskip("peft")
pytest.importorskip("transformers")

import torch

from craton.core.errors import InvalidRequest
from craton.training.tuning.attention import Segments
from craton.training.tuning.base import load, look_at
from craton.training.tuning.batches import LanguageLoss, row_of
from craton.training.tuning.conversations import read_conversation
from craton.training.tuning.corpus import Corpus, gather, gather_blocks
from craton.training.tuning.packing import plan
from craton.training.tuning.sampling import Sample, Sampler
from craton.training.tuning.schedules import factor
from tests.training.tuning.conftest import pairs

CPU = torch.device("cpu")


@pytest.fixture(scope="module")
def base(tiny: Path) -> tuple[Any, Any]:
    return load(look_at(tiny, "tiny"))


def corpus(base: tuple[Any, Any], folder: Path, count: int = 12) -> Corpus:
    sampler = Sampler(base[1])
    return gather((sampler.conversation(read_conversation(pair)) for pair in pairs(count)), folder, "train", 200)


def test_only_answers_are_learned_and_where_they_end(base: tuple[Any, Any]) -> None:
    said = [
        *({"role": "user", "content": "What is red?"}, {"role": "assistant", "content": "A colour."}),
        *({"role": "user", "content": "And blue?"}, {"role": "assistant", "content": "Too."}),
    ]
    sample = Sampler(base[1]).conversation(read_conversation({"messages": said}))
    mine = [token for token, learned in zip(sample.ids, sample.learned, strict=True) if learned]
    assert base[1].decode(mine) == "A colour.<|im_end|>Too.<|im_end|>"
    assert base[1].decode(sample.ids) == (
        "<|im_start|>user\nWhat is red?<|im_end|>\n<|im_start|>assistant\nA colour.<|im_end|>\n"
        "<|im_start|>user\nAnd blue?<|im_end|>\n<|im_start|>assistant\nToo.<|im_end|>\n"
    )


def test_the_loss_of_a_model_that_knows_nothing_is_the_logarithm_of_its_words(
    base: tuple[Any, Any], tiny: Path, tmp_path: Path
) -> None:
    """All logits 0: each of the answer's tokens costs ln(vocabulary), and the prompt's cost nothing."""
    model, _ = load(look_at(tiny, "tiny"))
    torch.nn.init.zeros_(model.lm_head.weight)
    found = corpus(base, tmp_path)
    segments = Segments()
    assert segments.attach(model)
    row = row_of(found, [0, 1, 2])
    answers = sum(int(found.sample(number)[1].sum()) for number in (0, 1, 2))
    with torch.no_grad():
        loss = float(LanguageLoss(model, segments)(row.batch(CPU)))
    assert loss == pytest.approx(answers * math.log(model.config.vocab_size), rel=1e-5)
    assert row.counted == answers < row.tokens


def test_samples_in_one_row_do_not_see_each_other(base: tuple[Any, Any], tiny: Path, tmp_path: Path) -> None:
    """The loss of a row is the sum of its samples' own, by transformers' own attention and labels."""
    found, plain = corpus(base, tmp_path), base[0]
    model, _ = load(look_at(tiny, "tiny"))
    segments = Segments()
    segments.attach(model)
    expected = 0.0
    for number in range(4):
        ids, learned = found.sample(number)
        row = torch.tensor(ids.astype("int64"))[None]
        labels = torch.where(torch.tensor(learned.astype("int64"))[None] == 1, row, -100)
        with torch.no_grad():
            expected += float(plain(input_ids=row, labels=labels).loss) * int(learned.sum())
    with torch.no_grad():
        row_loss = float(LanguageLoss(model, segments)(row_of(found, [0, 1, 2, 3]).batch(CPU)))
    assert row_loss == pytest.approx(expected, rel=1e-5)


def test_a_plan_holds_every_sample_once_and_fits(base: tuple[Any, Any], tmp_path: Path) -> None:
    lengths = corpus(base, tmp_path, 40).lengths
    for packing in (True, False):
        sequences = plan(lengths, 150, 3, 0, packing=packing)
        assert sorted(number for one in sequences for number in one) == list(range(40))
        assert all(int(lengths[one].sum()) <= 150 for one in sequences)
        assert sequences == plan(lengths, 150, 3, 0, packing=packing) != plan(lengths, 150, 3, 1, packing=packing)
    packed = plan(lengths, 150, 3, 0, packing=True)
    assert len(packed) <= math.ceil(int(lengths.sum()) / 150) + 2


def test_longer_samples_are_cut_or_left_out_and_counted(tmp_path: Path) -> None:
    samples = [
        Sample([1] * 10, [False] * 5 + [True] * 5),  # fits
        Sample([1] * 20, [False] * 5 + [True] * 15),  # cut
        Sample([1] * 20, [False] * 15 + [True] * 5),  # its answer begins too late
    ]
    found = gather(samples, tmp_path, "train", 12)
    assert (len(found), found.cut, found.left_out) == (2, 1, 1)
    assert [len(found.sample(number)[0]) for number in (0, 1)] == [10, 12]
    with pytest.raises(InvalidRequest, match="no answer begins within 4 tokens"):
        gather(samples, tmp_path, "other", 4)


def test_texts_lose_nothing_when_they_are_cut_into_sequences(tmp_path: Path) -> None:
    samples = [Sample(list(range(start, start + 7)), [True] * 7) for start in (0, 10, 20, 30)]
    found = gather_blocks(samples, tmp_path, "texts", 5)
    kept = [int(token) for number in range(len(found)) for token in found.sample(number)[0]]
    assert kept == [token for sample in samples for token in sample.ids]
    learning, held = found.split(0.3, None)
    assert (len(learning), len(held)) == (4, 2)
    assert int(held.sample(1)[0][-1]) == 36


def test_schedules_rise_and_fall() -> None:
    assert [factor("linear", step, 12, 0.17) for step in (0, 1, 2)] == [1 / 3, 2 / 3, 1.0]
    assert factor("constant", 9, 10, 0) == 1.0
    assert factor("linear", 5, 10, 0) == pytest.approx(0.5)
    assert factor("cosine", 5, 10, 0) == pytest.approx(0.5)
