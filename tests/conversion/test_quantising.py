"""Fewer bits: written as ggml's reference does, the rest of the file untouched, perplexity as transformers has it."""

from __future__ import annotations

import json
import math
from pathlib import Path

import gguf
import numpy as np
import pytest

from craton.conversion.quantising.kernels import quantised
from craton.conversion.quantising.measuring import Case, Wanted, measure
from craton.conversion.quantising.quantising import Order, quantise, read_cases
from craton.conversion.quantising.recipes import RECIPES, recipe
from craton.conversion.quantising.rewriting import rewrite
from craton.core.errors import Damaged, InvalidRequest
from craton.formats.conversion import to_gguf
from craton.formats.gguf import read_gguf_file
from tests.servers import clean_environment, craton
from tests.tiny_models import TEXT, build

torch = pytest.importorskip("torch")
transformers = pytest.importorskip("transformers")


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return build("llama3", tmp_path_factory.mktemp("tiny") / "llama3")


@pytest.fixture(scope="module")
def file(folder: Path) -> Path:
    to_gguf(folder, folder.parent / "f32.gguf", "f32")
    return folder.parent / "f32.gguf"


@pytest.mark.parametrize("kind", ["Q8_0", "Q5_0", "Q5_1", "Q4_0", "Q4_1"])
def test_the_kernels_write_what_the_reference_in_python_writes(kind: str) -> None:
    rows = np.random.default_rng(0).standard_normal((6, 256)).astype(np.float32)
    number = gguf.GGMLQuantizationType[kind]
    made = gguf.quants.dequantize(quantised(rows, kind), number)
    reference = gguf.quants.dequantize(gguf.quants.quantize(rows, number), number)
    assert np.abs(made - reference).max() < 1e-6


def test_more_bits_lose_less() -> None:
    rows = np.random.default_rng(1).standard_normal((8, 512)).astype(np.float32)
    lost = [
        float(np.square(gguf.quants.dequantize(quantised(rows, kind), gguf.GGMLQuantizationType[kind]) - rows).mean())
        for kind in ("Q8_0", "Q6_K", "Q5_K", "Q4_K")
    ]
    assert lost == sorted(lost)
    assert 0 < lost[0] < lost[-1] < 0.02


def test_the_rest_of_the_file_stays_as_it_was(file: Path, tmp_path: Path) -> None:
    made = rewrite(file, tmp_path / "small.gguf", recipe("q8_0"))
    before, after = read_gguf_file(file, "before"), read_gguf_file(tmp_path / "small.gguf", "after")
    assert {**before.metadata, "general.file_type": 7} == after.metadata
    assert [(tensor.name, tensor.shape) for tensor in before.tensors] == [
        (tensor.name, tensor.shape) for tensor in after.tensors
    ]
    assert {tensor.dtype for tensor in after.tensors} == {"F32", "Q8_0"} == set(made.kinds)
    assert made.requantised == ""
    assert rewrite(tmp_path / "small.gguf", tmp_path / "smaller.gguf", recipe("q4_0")).requantised == "Q8_0"


def test_perplexity_is_transformers_own(file: Path, folder: Path) -> None:
    from tokenizers import Tokenizer

    ids = Tokenizer.from_file(str(folder / "tokenizer.json")).encode(TEXT).ids
    model = transformers.AutoModelForCausalLM.from_pretrained(folder, dtype=torch.float32)
    with torch.no_grad():
        loss = model(torch.tensor([ids]), labels=torch.tensor([ids])).loss.item()
    found = measure(Wanted(str(file), TEXT, tokens=len(ids)))
    assert found.tokens == len(ids) - 1
    assert found.perplexity == pytest.approx(math.exp(loss), rel=0.01)
    assert found.read > 0 < found.write


def test_a_report_holds_both_sides(file: Path, tmp_path: Path) -> None:
    order = Order("q4_0", text=TEXT, cases=(Case("The quick", "there is no such answer"),))
    report = quantise(file, tmp_path / "q4.gguf", order)
    assert report.after.size < 0.5 * report.before.size
    assert report.after.perplexity != report.before.perplexity
    assert report.before.tokens == report.after.tokens
    assert report.before.score == report.after.score == 0.0


def test_bad_input_names_its_place(tmp_path: Path, file: Path) -> None:
    with pytest.raises(InvalidRequest, match="q4_k_m"):
        recipe("int3")
    (tmp_path / "test.jsonl").write_text('{"prompt": "a", "completion": "b"}\n{"prompt": 1}\n')
    with pytest.raises(InvalidRequest, match="line 2"):
        read_cases(tmp_path / "test.jsonl")
    cut = tmp_path / "cut.gguf"
    cut.write_bytes(file.read_bytes()[:-4096])
    with pytest.raises(Damaged):
        rewrite(cut, tmp_path / "never.gguf", RECIPES["q8_0"])
    assert not (tmp_path / "never.gguf").exists()
    assert not list(tmp_path.glob("*.partial"))


def test_the_command_line_converts_quantises_and_exports(folder: Path, tmp_path: Path) -> None:
    environment = clean_environment(tmp_path / "home")

    def run(*arguments: str) -> dict[str, object]:
        made = json.loads(craton("models", *arguments, "--json", environment=environment).stdout)
        return dict(made[0] if isinstance(made, list) else made)

    run("pull", str(folder), "--name", "acme/tiny")
    assert run("convert", "acme/tiny")["result"] == "acme/tiny-gguf"
    report = run("quantize", "acme/tiny-gguf", "--to", "q8_0", "--tokens", "32")
    assert report["model"] == "acme/tiny-gguf-q8-0"
    assert report["base"] == "acme/tiny-gguf"
    run("export", "acme/tiny-gguf-q8-0", str(tmp_path / "out"))
    assert (tmp_path / "out" / "model-q8_0.gguf").stat().st_size == report["after"]["size"]  # type: ignore[index]
    refused = craton("models", "quantize", "acme/tiny", "--to", "q8_0", environment=environment, check=False)
    assert refused.returncode == 1
    assert "craton models convert acme/tiny" in refused.stderr


@pytest.mark.slow
def test_an_adapter_is_exported_merged_into_its_base(folder: Path, tmp_path: Path) -> None:
    peft = pytest.importorskip("peft")
    environment = clean_environment(tmp_path / "home")
    base = transformers.AutoModelForCausalLM.from_pretrained(folder, dtype=torch.float32)
    torch.manual_seed(1)
    config = peft.LoraConfig(
        task_type="CAUSAL_LM", r=4, target_modules=["q_proj", "down_proj"], init_lora_weights=False
    )
    tuned = peft.get_peft_model(base, config)
    tuned.peft_config["default"].base_model_name_or_path = "acme/tiny"
    tuned.save_pretrained(tmp_path / "adapter", save_embedding_layers=False)  # else it asks a hub
    for source, name in ((folder, "acme/tiny"), (tmp_path / "adapter", "acme/adapter")):
        craton("models", "pull", str(source), "--name", name, environment=environment)
    craton("models", "export", "acme/adapter", str(tmp_path / "out"), "--merged", "--gguf", environment=environment)
    merged = transformers.AutoModelForCausalLM.from_pretrained(tmp_path / "out", dtype=torch.float32)
    ids = torch.tensor([[5, 60, 7, 81]])
    with torch.no_grad():
        assert torch.allclose(merged(ids).logits, tuned(ids).logits, atol=0.02)
        with tuned.disable_adapter():
            assert not torch.allclose(merged(ids).logits, tuned(ids).logits, atol=0.02)
    assert (tmp_path / "out" / "model.gguf").is_file()
