"""Samples that share a row do not see each other, whichever family the model is of."""

from __future__ import annotations

from pathlib import Path

import pytest

from craton.training.tuning.attention import Segments
from craton.training.tuning.base import load_model, look_at
from craton.training.tuning.batches import LanguageLoss, Row
from tests.tiny_models import build

torch = pytest.importorskip("torch")

LENGTHS = [12, 20]


@pytest.mark.parametrize("name", ["deepseek_v3", "falcon", "gemma3", "gpt2", "gpt_oss", "qwen3"])
def test_a_sample_is_computed_as_if_it_were_alone(name: str, tmp_path: Path) -> None:
    model = load_model(look_at(build(name, tmp_path / name), name))
    segments = Segments()
    segments.attach(model)
    loss = LanguageLoss(model, segments)
    ids = torch.randint(3, 300, (sum(LENGTHS),), generator=torch.Generator().manual_seed(1), dtype=torch.int32)
    learned = torch.ones(len(ids), dtype=torch.uint8)
    learned[[0, LENGTHS[0]]] = 0
    both, first, second = (
        Row(ids[part].numpy().tobytes(), learned[part].numpy().tobytes(), lengths).batch(torch.device("cpu"))
        for part, lengths in (
            (slice(None), LENGTHS),
            (slice(0, LENGTHS[0]), LENGTHS[:1]),
            (slice(LENGTHS[0], None), LENGTHS[1:]),
        )
    )
    with torch.no_grad():
        together, apart = loss.logits(both), torch.cat([loss.logits(first), loss.logits(second)])
    torch.testing.assert_close(together, apart, atol=2e-4, rtol=0)
