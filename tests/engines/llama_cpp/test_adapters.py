"""LoRA adapters over GGUF bases: the numbers that come out, and what is refused."""

from __future__ import annotations

import asyncio
import json
import math
import struct
from collections.abc import Callable, Sequence
from pathlib import Path

import gguf
import numpy as np
import pytest
from msgspec.structs import replace

from craton.conversion.quantising.quantising import Order, quantise
from craton.core.chat import ChatRequest, Message, Sampling, TextPart
from craton.core.errors import ContextExceeded, Damaged, ModelUnavailable, Unsupported
from craton.core.events import fold_stream
from craton.core.model import ModelInfo
from craton.engines.llama_cpp.adapting import convert
from craton.engines.llama_cpp.engine import LlamaCppEngine
from craton.engines.protocol import AdapterSpec, EngineSpec
from tests.engines.llama_cpp.tiny_llama import TEMPLATE, VOCABULARY, Lora, logits, random_weights, write_gguf
from tests.formats.makers import GgufMaker

pytestmark = pytest.mark.anyio

TOKENS = [1, 90, 170, 40, 263, 11, 270]


@pytest.fixture(scope="module")
def base(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("tiny") / "tiny.gguf"
    write_gguf(path, random_weights())
    return path


def load(base: Path, adapter: dict[str, str]) -> LlamaCppEngine:
    return load_all(base, [AdapterSpec("tuned", "acme/tuned", adapter)] if adapter else [])


def load_all(base: Path, adapters: Sequence[AdapterSpec], parallel: int = 1) -> LlamaCppEngine:
    info = ModelInfo("acme/tiny", verbs=("chat",), engine="llama_cpp", context_length=128, chat_template=TEMPLATE)
    options = {"threads": 1, "parallel": parallel}
    files = {"tiny.gguf": str(base)}
    return LlamaCppEngine.load(EngineSpec("llama_cpp", "acme/tiny", info, files, options, tuple(adapters)))


def logprobs(base: Path, adapter: dict[str, str]) -> dict[int, float]:
    """token -> log probability of being the next one, as llama.cpp says."""
    engine = load(base, adapter)
    try:
        body = {"prompt": TOKENS, "n_predict": 1, "n_probs": VOCABULARY, "cache_prompt": False}
        body |= engine._adapters.applied("tuned" if adapter else "")
        body["logit_bias"] = [[100, 1000]]  # llama.cpp tells nothing beside a byte that is no letter
        [content] = [
            choice["logprobs"]["content"][0]
            for chunk in engine._server.ask(body)
            for choice in chunk.get("choices", ())
            if (choice.get("logprobs") or {}).get("content")
        ]
        assert len(content["top_logprobs"]) == VOCABULARY
        return {one["id"]: one["logprob"] for one in content["top_logprobs"]}
    finally:
        asyncio.run(engine.close())


def expected(weights: dict[str, np.ndarray], architecture: str = "llama") -> dict[int, float]:
    values = logits(weights, TOKENS, architecture)
    return dict(enumerate(values - np.log(np.exp(values - values.max()).sum()) - values.max()))


def difference(one: dict[int, float], other: dict[int, float]) -> float:
    """The largest, over the tokens that both tell of."""
    return max(abs(one[token] - other[token]) for token in one.keys() & other.keys())


@pytest.mark.parametrize("stabilised", [False, True])
def test_an_adapter_adds_what_the_paper_says_to_every_projection(base: Path, tmp_path: Path, stabilised: bool) -> None:
    lora = Lora(rank=4, alpha=6, use_rslora=stabilised)
    weights = random_weights()
    plain, tuned = logprobs(base, {}), logprobs(base, lora.save(tmp_path / "adapter"))
    assert difference(plain, expected(weights)) < 0.005
    assert difference(tuned, expected(lora.merged(weights, 6 / math.sqrt(4) if stabilised else 6 / 4))) < 0.02
    assert difference(tuned, plain) > 0.5


@pytest.mark.parametrize("architecture", ["qwen2", "qwen3"])
def test_so_it_is_over_bases_that_keep_their_rows_in_order(tmp_path: Path, architecture: str) -> None:
    path, weights, lora = tmp_path / "qwen.gguf", random_weights(), Lora(rank=4, alpha=6)
    write_gguf(path, weights, architecture=architecture)
    plain, tuned = logprobs(path, {}), logprobs(path, lora.save(tmp_path / "adapter"))
    assert difference(plain, expected(weights, architecture)) < 0.02
    assert difference(tuned, expected(lora.merged(weights, 1.5), architecture)) < 0.02
    assert difference(tuned, plain) > 0.5


def test_over_a_quantised_base_it_takes_half_the_memory_and_says_the_same(base: Path, tmp_path: Path) -> None:
    quantised, halves, whole = tmp_path / "q8.gguf", tmp_path / "halves.gguf", tmp_path / "whole.gguf"
    quantise(base, quantised, Order("q8_0"))
    files = Lora(rank=4, alpha=6).save(tmp_path / "adapter")
    convert(files, str(quantised), halves)
    convert(files, str(base), whole)
    one, other = gguf.GGUFReader(halves).tensors, gguf.GGUFReader(whole).tensors
    assert [tensor.name for tensor in one] == [tensor.name for tensor in other]
    assert 2 * sum(tensor.n_bytes for tensor in one) == sum(tensor.n_bytes for tensor in other)
    for half, full in zip(one, other, strict=True):
        np.testing.assert_allclose(half.data.astype(np.float32), full.data, rtol=1e-3, atol=1e-7)
    assert difference(logprobs(quantised, files), logprobs(quantised, {})) > 0.5


def test_a_number_too_large_for_half_precision_is_refused(base: Path, tmp_path: Path) -> None:
    quantised, lora = tmp_path / "q8.gguf", Lora()
    quantise(base, quantised, Order("q8_0"))
    name = next(name for name in lora.tensors if "lora_B" in name)
    lora.tensors[name] = lora.tensors[name] + np.float32(70000)
    with pytest.raises(Damaged, match="65504"):
        convert(lora.save(tmp_path / "adapter"), str(quantised), tmp_path / "adapter.gguf")


def test_an_adapter_over_the_starter_model_changes_what_it_says(
    spec_of: Callable[..., EngineSpec], tmp_path: Path
) -> None:
    lora, random = Lora(), np.random.default_rng(1)
    lora.tensors = {}
    for layer in range(30):
        for part, rows in (("q_proj", 576), ("k_proj", 192), ("v_proj", 192)):
            name = f"base_model.model.model.layers.{layer}.self_attn.{part}"
            lora.tensors[f"{name}.lora_A.weight"] = random.standard_normal((4, 576)).astype(np.float32) * 0.05
            lora.tensors[f"{name}.lora_B.weight"] = random.standard_normal((rows, 4)).astype(np.float32) * 0.05
    spec = spec_of(context=128, parallel=1, threads=1)
    tuned = replace(spec, adapters=(AdapterSpec("tuned", "acme/tuned", lora.save(tmp_path / "adapter")),))
    plain, changed = (told(LlamaCppEngine.load(it), key) for it, key in ((spec, ""), (tuned, "tuned")))
    assert plain.keys() & changed.keys()
    assert difference(plain, changed) > 0.05


def told(engine: LlamaCppEngine, adapter: str) -> dict[int, float]:
    """Of the likeliest tokens after a text."""
    try:
        body = {"prompt": "The capital of France is", "n_predict": 1, "n_probs": 50, "temperature": 0}
        body |= engine._adapters.applied(adapter)
        [first, *_] = engine._server.ask(body)
        return {one["id"]: one["logprob"] for one in first["choices"][0]["logprobs"]["content"][0]["top_logprobs"]}
    finally:
        asyncio.run(engine.close())


def test_an_adapter_over_some_modules_changes_those_alone(base: Path, tmp_path: Path) -> None:
    lora, weights = Lora(), random_weights()
    lora.tensors = {name: values for name, values in lora.tensors.items() if "layers.1" in name and "k_proj" in name}
    assert len(lora.tensors) == 2
    told = logprobs(base, lora.save(tmp_path / "adapter"))
    assert difference(told, expected(lora.merged(weights, 2.0))) < 0.02
    assert difference(told, expected(weights)) > 0.05


@pytest.mark.parametrize("kind", ["F16", "BF16"])
def test_half_precision_is_read_as_what_it_is(base: Path, tmp_path: Path, kind: str) -> None:
    lora, weights = Lora(), random_weights()
    files = lora.save(tmp_path / "adapter")
    for name, values in lora.tensors.items():
        if kind == "F16":
            lora.tensors[name] = values.astype(np.float16).astype(np.float32)
        else:
            lora.tensors[name] = (values.view(np.uint32) & 0xFFFF0000).view(np.float32)
    save_as(Path(files["adapter_model.safetensors"]), lora.tensors, kind)
    assert difference(logprobs(base, files), expected(lora.merged(weights, 2.0))) < 0.02


def save_as(path: Path, tensors: dict[str, np.ndarray], kind: str) -> None:
    header, data = {}, b""
    for name, values in tensors.items():
        raw = values.astype("<f2") if kind == "F16" else (values.view(np.uint32) >> 16).astype("<u2")
        header[name] = {
            "dtype": kind,
            "shape": list(values.shape),
            "data_offsets": [len(data), len(data) + raw.nbytes],
        }
        data += raw.tobytes()
    encoded = json.dumps(header).encode()
    path.write_bytes(struct.pack("<Q", len(encoded)) + encoded + data)


def test_an_adapter_that_changes_nothing_is_refused(base: Path, tmp_path: Path) -> None:
    lora = Lora()
    for name in lora.tensors:
        if "lora_B" in name:
            lora.tensors[name][:] = 0
    with pytest.raises(Unsupported, match="changes no logits"):
        load(base, lora.save(tmp_path / "adapter"))


def cut(name: str, tensors: dict[str, np.ndarray]) -> None:
    found = next(key for key in tensors if name in key)
    tensors[found] = np.ascontiguousarray(tensors[found][:-1])


def spoil(tensors: dict[str, np.ndarray]) -> None:
    next(iter(tensors.values()))[0, 0] = np.nan


def renamed(tensors: dict[str, np.ndarray], old: str, new: str) -> None:
    for name in [name for name in tensors if old in name]:
        tensors[name.replace(old, new)] = tensors.pop(name)


@pytest.mark.parametrize(
    ("change", "error", "said"),
    [
        (lambda it: cut("q_proj.lora_B", it), Damaged, "is for a weight of 63 x 64, the base's has 64 x 64"),
        (lambda it: cut("q_proj.lora_A", it), Damaged, "do not go together"),
        (lambda it: it.pop(next(iter(it))), Damaged, "only one of lora_A and lora_B"),
        (lambda it: renamed(it, "layers.1", "layers.7"), Damaged, "has no mlp.down_proj in layer 7"),
        (lambda it: renamed(it, "k_proj", "qkv_proj"), Unsupported, "self_attn.qkv_proj"),
        (lambda it: renamed(it, "layers.1.self_attn.q_proj", "lm_head"), Unsupported, "lm_head"),
        (lambda it: renamed(it, "lora_A", "lora_magnitude_vector"), Unsupported, "lora_magnitude_vector"),
        (lambda it: it.clear(), Damaged, "no tensors"),
        (spoil, Damaged, "not finite"),
    ],
)
def test_tensors_that_do_not_fit_are_refused_by_name(
    base: Path, tmp_path: Path, change: Callable[[dict[str, np.ndarray]], object], error: type[Exception], said: str
) -> None:
    lora = Lora()
    change(lora.tensors)
    with pytest.raises(error) as refused:
        load(base, lora.save(tmp_path / "adapter"))
    assert said in str(refused.value)


@pytest.mark.parametrize(
    ("config", "error", "said"),
    [
        ({"use_dora": True}, Unsupported, "use_dora"),
        ({"modules_to_save": ["lm_head"]}, Unsupported, "modules_to_save"),
        ({"bias": "all"}, Unsupported, "bias='all'"),
        ({"lora_bias": True}, Unsupported, "lora_bias"),
        ({"alora_invocation_tokens": [1, 2]}, Unsupported, "alora_invocation_tokens"),
        ({"something_of_2031": "on"}, Unsupported, "something_of_2031"),
        ({"init_lora_weights": "pissa"}, Unsupported, "pissa"),
        ({"alpha_pattern": {"q_proj": 3}}, Unsupported, "alpha_pattern"),
        ({"peft_type": "IA3"}, Unsupported, "IA3"),
        ({"task_type": "TOKEN_CLS"}, Unsupported, "TOKEN_CLS"),
        ({"base_model_name_or_path": None}, Damaged, "base_model_name_or_path"),
        ({"lora_alpha": 0}, Damaged, "lora_alpha"),
        ({"lora_alpha": "8"}, Damaged, "lora_alpha"),
    ],
)
def test_options_that_change_what_is_computed_are_refused_by_name(
    base: Path, tmp_path: Path, config: dict[str, object], error: type[Exception], said: str
) -> None:
    with pytest.raises(error) as refused:
        load(base, Lora(**config).save(tmp_path / "adapter"))  # type: ignore[arg-type]
    assert said in str(refused.value)


def test_a_base_of_an_unknown_architecture_takes_no_adapter(tmp_path: Path) -> None:
    path = tmp_path / "other.gguf"
    path.write_bytes(GgufMaker().model(architecture=GgufMaker().string("general.architecture", "phi3")))
    with pytest.raises(Unsupported, match="'phi3'"):
        load(path, Lora().save(tmp_path / "adapter"))


def files_of(tmp_path: Path, count: int) -> list[AdapterSpec]:
    return [
        AdapterSpec(f"key {seed}", f"acme/tuned-{seed}", Lora(seed=seed).save(tmp_path / f"adapter-{seed}"))
        for seed in range(count)
    ]


async def answers(engine: LlamaCppEngine, adapters: Sequence[str], text: str = "w1 w2 w3") -> list[str]:
    """What each says, asked one after the other."""
    found = []
    for key in adapters:
        message = Message("user", (TextPart(text),))
        sampling = Sampling(max_tokens=12, temperature=0, logprobs=0)
        request = ChatRequest("acme/tuned", (message,), sampling=sampling, adapter=key)
        folded = await fold_stream(engine.chat(request))
        found.append(folded.choices[0].text())
    return found


async def test_many_adapters_in_one_engine_say_what_each_says_alone(base: Path, tmp_path: Path) -> None:
    specs = files_of(tmp_path, 4)
    alone = []
    for spec in specs:
        engine = load_all(base, [spec])
        alone += await answers(engine, [spec.key])
        await engine.close()
    plain = load_all(base, [])
    alone += await answers(plain, [""])
    await plain.close()
    assert len(set(alone)) == 5
    together = load_all(base, specs, parallel=2)
    try:
        order = [*(spec.key for spec in specs), ""]
        # The same prompt each time: what a slot keeps of one adapter must never serve another, nor the base.
        for turn in (order, order[::-1], [key for key in order for _ in range(2)]):
            assert await answers(together, turn) == [alone[order.index(key)] for key in turn]
    finally:
        await together.close()


async def test_one_that_cannot_be_used_costs_the_others_nothing(base: Path, tmp_path: Path) -> None:
    good, other = files_of(tmp_path, 2)
    idle, narrow = Lora(), Lora()
    for name in list(idle.tensors):
        if "lora_B" in name:
            idle.tensors[name] = idle.tensors[name] * 0
    cut("q_proj.lora_B", narrow.tensors)
    broken = [
        AdapterSpec("idle", "bob/idle", idle.save(tmp_path / "idle")),
        AdapterSpec("narrow", "bob/narrow", narrow.save(tmp_path / "narrow")),
        AdapterSpec("empty", "bob/empty", {}),
        AdapterSpec("gone", "bob/gone", {name: str(tmp_path / "gone") for name in good.files}),
    ]
    engine = load_all(base, [broken[0], good, *broken[1:], other])
    try:
        assert {key: type(error) for key, error in engine.refused.items()} == {
            "idle": Unsupported,
            "narrow": Damaged,
            "empty": Damaged,
            "gone": Damaged,
        }
        one, two = await answers(engine, [good.key, other.key])
        assert one != two
        with pytest.raises(ModelUnavailable, match="bob/idle"):
            await answers(engine, ["idle"])
    finally:
        await engine.close()


async def test_errors_of_one_adapter_name_it_and_no_other(base: Path, tmp_path: Path) -> None:
    engine = load_all(base, files_of(tmp_path, 2))
    try:
        with pytest.raises(ContextExceeded) as refused:
            await answers(engine, ["key 1"], "w1 " * 400)
        assert refused.value.model == "acme/tuned-1"
    finally:
        await engine.close()
