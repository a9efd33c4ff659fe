"""Weights in 8-bit floats and in MXFP4, and positions stretched by yarn: the numbers are those that transformers makes
of the same files by itself."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any
from unittest.mock import patch

import gguf
import pytest

from craton.core.errors import Unsupported
from craton.formats.conversion import to_gguf
from craton.training.tuning.base import load_model, look_at
from tests import tiny_models
from tests.exact_llama import exactly
from tests.tiny_models import TEXT, VOCABULARY, build

torch = pytest.importorskip("torch")
transformers = pytest.importorskip("transformers")

EXACT = 2e-5
ROUNDED = 0.2
YARN = {"rope_type": "yarn", "rope_theta": 10_000.0, "factor": 4.0, "original_max_position_embeddings": 64}
BLOCK = 8


def worst(folder: Path, tmp_path: Path) -> float:
    """The largest difference of log-probabilities between llama.cpp, over the converted file, and transformers."""
    from tokenizers import Tokenizer

    target = tmp_path / "model.gguf"
    to_gguf(folder, target, "f32")
    ids = Tokenizer.from_file(str(folder / "tokenizer.json")).encode(TEXT).ids
    model = transformers.AutoModelForCausalLM.from_pretrained(folder, dtype=torch.float32, attn_implementation="eager")
    found, compared = 0.0, 0
    with exactly(target) as llama:
        for length in (5, 11, 35):
            told = llama.after(ids[:length], VOCABULARY)
            with torch.no_grad():
                expected = torch.log_softmax(model(torch.tensor([ids[:length]])).logits[0, -1].float(), -1)
            compared += len(told)
            found = max([found, *(abs(value - expected[token].item()) for token, value in told.items())])
    assert compared >= VOCABULARY
    return found


def rewrite(folder: Path, change: Any, quantisation: dict[str, Any]) -> None:
    """change: tensors by name -> those that are written instead."""
    from safetensors.torch import load_file, save_file

    save_file(change(load_file(folder / "model.safetensors")), folder / "model.safetensors", {"format": "pt"})
    config = json.loads((folder / "config.json").read_text())
    (folder / "config.json").write_text(json.dumps(config | {"quantization_config": quantisation}))


def in_float8(tensors: dict[str, Any]) -> dict[str, Any]:
    """Each block of a linear weight has its own factor, as in DeepSeek-V3's files."""
    found = {}
    for name, tensor in tensors.items():
        if not name.endswith("_proj.weight") and "kv_a_proj_with_mqa" not in name:
            found[name] = tensor
            continue
        rows, columns = tensor.shape
        blocks = tensor.reshape(rows // BLOCK, BLOCK, columns // BLOCK, BLOCK)
        factors = blocks.abs().amax((1, 3)) / 448
        scaled = (blocks / factors[:, None, :, None]).reshape(rows, columns)
        found[name], found[f"{name}_scale_inv"] = scaled.to(torch.float8_e4m3fn), factors
    return found


def in_mxfp4(tensors: dict[str, Any]) -> dict[str, Any]:
    """Experts of random codes and exponents, in gpt-oss's own names."""
    drawn = torch.Generator().manual_seed(5)
    found = {}
    for name, tensor in tensors.items():
        if not name.endswith(("experts.gate_up_proj", "experts.down_proj")):
            found[name] = tensor
            continue
        experts, inputs, outputs = tensor.shape
        shape = (experts, outputs, inputs // 32)
        found[f"{name}_blocks"] = torch.randint(0, 256, (*shape, 16), generator=drawn, dtype=torch.uint8)
        found[f"{name}_scales"] = torch.randint(122, 126, shape, generator=drawn, dtype=torch.uint8)
    return found


def test_weights_in_8_bit_floats_are_the_numbers_that_they_stand_for(tmp_path: Path) -> None:
    folder = build("deepseek_v3", tmp_path / "model")
    quantisation = {
        "quant_method": "fp8",
        "fmt": "e4m3",
        "activation_scheme": "dynamic",
        "weight_block_size": [BLOCK, BLOCK],
    }
    rewrite(folder, in_float8, quantisation)
    assert worst(folder, tmp_path) < EXACT


def test_mxfp4_stays_in_its_blocks_and_means_the_same(tmp_path: Path) -> None:
    """ggml multiplies it with values rounded to 8 bits, so what is exact are the weights."""
    folder = build("gpt_oss", tmp_path / "model")
    rewrite(folder, in_mxfp4, {"quant_method": "mxfp4"})
    assert worst(folder, tmp_path) < ROUNDED
    model = load_model(look_at(folder, "it"))  # as it would be tuned
    assert not model.is_quantized
    original = dict(model.named_parameters())
    held = {tensor.name: tensor for tensor in gguf.GGUFReader(tmp_path / "model.gguf").tensors}
    for layer in range(2):
        experts = f"model.layers.{layer}.mlp.experts"
        both = original[f"{experts}.gate_up_proj"].detach().transpose(1, 2)
        down = original[f"{experts}.down_proj"].detach().transpose(1, 2)
        for name, expected in (("gate", both[:, ::2]), ("up", both[:, 1::2]), ("down", down)):
            tensor = held[f"blk.{layer}.ffn_{name}_exps.weight"]
            assert tensor.tensor_type == gguf.GGMLQuantizationType.MXFP4
            assert (gguf.quants.dequantize(tensor.data, tensor.tensor_type) == expected.numpy()).all()


@pytest.mark.parametrize(
    ("name", "more"),
    [
        ("llama", {}),
        ("qwen3", {}),
        ("deepseek_v3", {"mscale": 1.0, "mscale_all_dim": 1.0}),
        ("gpt_oss", {"rope_theta": 150_000.0}),
    ],
)
def test_positions_stretched_by_yarn_turn_alike(tmp_path: Path, name: str, more: dict[str, float]) -> None:
    family, settings, tokenizer = tiny_models.MODELS[name]
    stretched = {**settings, "rope_parameters": {**YARN, **more}}
    with patch.dict(tiny_models.MODELS, {name: (family, stretched, tokenizer)}):
        folder = build(name, tmp_path / "model")
    assert worst(folder, tmp_path) < EXACT


def test_yarn_that_llama_cpp_would_round_is_refused_but_for_gpt_oss(tmp_path: Path) -> None:
    for name in ("llama", "gpt_oss"):
        folder = build(name, tmp_path / name)
        config = json.loads((folder / "config.json").read_text())
        config["rope_parameters"] = {**YARN, "truncate": False}
        (folder / "config.json").write_text(json.dumps(config))
    with pytest.raises(Unsupported, match="truncate"):
        to_gguf(tmp_path / "llama", tmp_path / "llama.gguf")
    to_gguf(tmp_path / "gpt_oss", tmp_path / "gpt_oss.gguf")


@pytest.mark.parametrize("method", ["gptq", "awq", "bitsandbytes"])
def test_other_quantised_weights_are_refused_by_name(tmp_path: Path, method: str) -> None:
    folder = build("llama", tmp_path / "model")
    rewrite(folder, dict, {"quant_method": method})
    with pytest.raises(Unsupported, match=method):
        to_gguf(folder, tmp_path / "model.gguf")
