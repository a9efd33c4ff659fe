"""A LoRA adapter as llama.cpp reads it, made from PEFT's files for one base, and the proof that it does something.

Source: llama.cpp `convert_lora_to_gguf.py` and `src/llama-adapter.cpp`. Where each pair goes: `layouts`.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from pathlib import Path

import numpy as np

from craton.core.chat import Json
from craton.core.errors import Damaged, ModelFailed, Unsupported
from craton.engines.llama_cpp.layouts import Array, Layout
from craton.formats.gguf import read_gguf_file
from craton.formats.gguf_writing import write_gguf
from craton.formats.peft import CONFIG, WEIGHTS, Adapter, read_adapter
from craton.formats.safetensors import read_safetensors_file
from craton.formats.tensors import TensorInfo

Ask = Callable[[Json], list[Json]]

_MAX_CONFIG = 1 << 20
_PROBE = "Once upon a time, in a small town by the sea, 17 people"
_PROBED = 20
"""Tokens whose probabilities are compared, at each of the next few places."""
_PLACES = 8


def convert(files: Mapping[str, str], base: str, target: Path) -> None:
    """Writes the adapter of these files (name in the repository -> local path) as a GGUF file. base: the local path of
    the GGUF file that it is for. The scale is in B already: without an alpha llama.cpp adds B A x as it is.

    Raises Unsupported for what the adapter or its base would need beyond this, Damaged for shapes that do not fit.
    """
    if WEIGHTS not in files:
        raise Damaged("the adapter", f"it has no {WEIGHTS}")
    if CONFIG not in files:
        raise Damaged(WEIGHTS, f"there is no {CONFIG} beside it")
    with Path(files[CONFIG]).open("rb") as file:
        config = file.read(_MAX_CONFIG + 1)
    if len(config) > _MAX_CONFIG:
        raise Damaged(CONFIG, "it is too large to be a configuration")
    weights = Path(files[WEIGHTS])
    header = read_safetensors_file(weights, WEIGHTS)
    adapter = read_adapter(config, header)
    layout = Layout(read_gguf_file(Path(base), "the base"))
    shapes: dict[str, tuple[int, ...]] = {}
    for module, pair in adapter.pairs.items():
        name = layout.check(module, pair)
        shapes[f"{name}.lora_a"], shapes[f"{name}.lora_b"] = pair.a.shape, pair.b.shape
    metadata = {"general.type": "adapter", "general.architecture": layout.architecture, "adapter.type": "lora"}
    number = np.dtype("<f2") if layout.quantised else np.dtype("<f4")
    tensors = _tensors(weights, header.data_offset, adapter, layout)
    write_gguf(target, metadata, shapes, (_written(tensor, number) for tensor in tensors), number.itemsize)


class Effect:
    """Tells whether an adapter changes the logits of its base: one that does not would answer in its name only.

    ask: one completion, its chunks.
    """

    def __init__(self, model: str, ask: Ask) -> None:
        self._model, self._ask = model, ask
        self._without: list[tuple[int, float]] = []

    def check(self, adapter: str, index: int) -> None:
        """index: the adapter's among those of its server. Raises Unsupported."""
        self._without = self._without or _logprobs(self._model, self._ask, index, 0.0)
        if _logprobs(self._model, self._ask, index, 1.0) == self._without:
            raise Unsupported(
                "An adapter that changes no logits", f"{adapter!r} says the same with it as without it. Was it trained?"
            )


def _logprobs(model: str, ask: Ask, index: int, scale: float) -> list[tuple[int, float]]:
    body: Json = {
        "prompt": _PROBE,
        "n_predict": _PLACES,  # llama.cpp tells no probabilities where a token is a part of a letter
        "ignore_eos": True,
        "temperature": 0,
        "n_probs": _PROBED,
        "cache_prompt": False,
        "lora": [{"id": index, "scale": scale}],
    }
    found: list[tuple[int, float]] = []
    for chunk in ask(body):
        for choice in chunk.get("choices", ()):
            for place in (choice.get("logprobs") or {}).get("content") or ():
                found += [(one["id"], one["logprob"]) for one in place["top_logprobs"]]
    if not found:
        raise ModelFailed(model, "it did not answer the probe that tells whether an adapter does anything")
    return found


def _tensors(weights: Path, offset: int, adapter: Adapter, layout: Layout) -> Iterator[Array]:
    for module, pair in adapter.pairs.items():
        yield _read(weights, offset, pair.a)
        yield layout.arrange(module, _read(weights, offset, pair.b) * np.float32(adapter.scale(pair)))


def _written(tensor: Array, number: np.dtype[np.floating]) -> bytes:
    if number.itemsize == 2 and np.abs(tensor).max(initial=0) > np.finfo(np.float16).max:
        raise Damaged(WEIGHTS, "it holds values above 65504, which are no small change of any weight")
    return tensor.astype(number).tobytes()


def _read(path: Path, offset: int, tensor: TensorInfo) -> Array:
    raw = np.fromfile(path, dtype=np.uint8, count=tensor.size, offset=offset + tensor.offset)
    if tensor.dtype == "F32":
        values = raw.view("<f4")
    elif tensor.dtype == "F16":
        values = raw.view("<f2").astype(np.float32)
    else:  # BF16: the upper half of a float32
        values = (raw.view("<u2").astype(np.uint32) << 16).view(np.float32)
    if not np.isfinite(values).all():
        raise Damaged(WEIGHTS, f"{tensor.name[:120]} holds values that are not finite")
    return values.reshape(tensor.shape)
