"""A converted model computes what the original does: llama.cpp's probabilities are transformers' own."""

from __future__ import annotations

from pathlib import Path

import pytest

from craton.formats.conversion import to_gguf
from craton.formats.gguf import read_gguf_file
from tests.exact_llama import exactly
from tests.tiny_models import MODELS, TEXT, VOCABULARY, build

torch = pytest.importorskip("torch")
transformers = pytest.importorskip("transformers")

EXACT = 2e-5
TABLED = 5e-3  # ggml looks GELU up in a table of 16-bit floats
TABLED_MODELS = {"gemma", "gemma2", "gemma3", "gpt2", "falcon", "falcon40b"}


@pytest.mark.parametrize("name", sorted(MODELS))
def test_what_was_converted_has_the_same_tokens_and_probabilities(name: str, tmp_path: Path) -> None:
    folder = build(name, tmp_path / name)
    target = tmp_path / "model.gguf"
    to_gguf(folder, target, "f32")
    read_gguf_file(target, name)  # our own reader, which trusts nothing, takes it too
    from tokenizers import Tokenizer

    ids = Tokenizer.from_file(str(folder / "tokenizer.json")).encode(TEXT).ids
    model = transformers.AutoModelForCausalLM.from_pretrained(folder, dtype=torch.float32, attn_implementation="eager")
    compared, worst = 0, 0.0
    with exactly(target) as llama:
        assert llama.tokens(TEXT) == ids
        for length in (1, 5, 11, 23, 35):  # beyond the windows of the models that have one
            found = llama.after(ids[:length], VOCABULARY)
            with torch.no_grad():
                expected = torch.log_softmax(model(torch.tensor([ids[:length]])).logits[0, -1], -1)
            compared += len(found)
            worst = max([worst, *(abs(value - expected[token].item()) for token, value in found.items())])
    assert compared >= 2 * VOCABULARY
    assert worst < (TABLED if name in TABLED_MODELS else EXACT)
