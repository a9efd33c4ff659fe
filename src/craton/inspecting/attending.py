"""What each head of each layer attends to, as transformers computes it: softmax(Q K^T / sqrt(d)) of every head.

Vaswani et al., "Attention Is All You Need", 2017 (arXiv 1706.03762), section 3.2. Only the "eager" implementation keeps
these numbers; the fused kernels that are used otherwise never have them in memory as a whole.
"""

from __future__ import annotations

import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from craton.core.errors import ContextExceeded, InvalidRequest, TooLarge, Unsupported
from craton.inspecting.cutting import cut, gguf_file
from craton.inspecting.limits import MAX_ATTENDED, MAX_CELLS
from craton.inspecting.values import Seen

if TYPE_CHECKING:
    import torch

    from craton.inspecting.frames import Look, Source

_THREADS = 2
_HELD: dict[str, Any] = {}
_GGUF = "model.gguf"
_TAKEN = (".json", ".safetensors")


def look(order: Look) -> Seen:
    """Raises InvalidRequest for a layer or head that is not there, ContextExceeded, TooLarge, Unsupported, Damaged."""
    pieces = cut(order.source, order.text)
    if len(pieces) > MAX_ATTENDED:
        raise TooLarge("A text whose attention is looked at", MAX_ATTENDED, len(pieces), "tokens")
    if not pieces:
        raise InvalidRequest("it has no tokens", "text")
    grids = _attended(order.source, [piece.id for piece in pieces])
    layers, heads = grids.shape[:2]
    chosen = [
        (layer, head) for layer in _chosen(order.layer, layers, "layer") for head in _chosen(order.head, heads, "head")
    ]
    if len(chosen) * len(pieces) ** 2 > MAX_CELLS and not order.picture:
        raise TooLarge("The answer (choose a layer or a head)", MAX_CELLS, len(chosen) * len(pieces) ** 2, "numbers")
    wanted = grids[[layer for layer, _ in chosen], [head for _, head in chosen]]
    picture = b""
    if order.picture:
        from craton.inspecting.drawing import draw

        picture = draw(order.source.model, [piece.text for piece in pieces], chosen, wanted.numpy())
    weights = b"" if picture else wanted.numpy().astype("<f4").tobytes()
    return Seen(layers, heads, pieces, tuple(chosen), weights, picture)


def _chosen(one: int | None, count: int, field: str) -> range:
    if one is None:
        return range(count)
    if not 0 <= one < count:
        raise InvalidRequest(f"from 0 to {count - 1}", field)
    return range(one, one + 1)


def _attended(source: Source, ids: list[int]) -> torch.Tensor:
    """Of shape (layers, heads, tokens, tokens)."""
    import torch

    torch.set_num_threads(_THREADS)
    model = _loaded(source)
    vocabulary, most = model.config.vocab_size, getattr(model.config, "max_position_embeddings", None)
    if max(ids) >= vocabulary:
        raise Unsupported(f"Looking into {source.model!r}", "Its tokenizer knows more tokens than its weights do.")
    if most is not None and len(ids) > most:
        raise ContextExceeded(source.model, most, len(ids))
    with torch.inference_mode():
        found = model(input_ids=torch.tensor([ids]), output_attentions=True, use_cache=False).attentions
    if not found or any(layer is None for layer in found):
        raise Unsupported(f"Looking at the attention of {source.model!r}", "Not every layer of it has attention.")
    return torch.stack([layer[0].float() for layer in found])


def _loaded(source: Source) -> Any:
    """The model, kept for the next question about it."""
    key = repr((sorted(source.files.items()), sorted(source.overlay.items())))
    if key not in _HELD:
        _HELD.clear()
        _HELD[key] = _load(source)
    return _HELD[key]


def _load(source: Source) -> Any:
    """In float32, with the adapter over it, if there is one."""
    import torch
    import transformers

    gguf = gguf_file(source.files)
    with tempfile.TemporaryDirectory(prefix="craton-look-") as name:
        folder = Path(name)
        options: dict[str, Any] = {
            "attn_implementation": "eager",
            "dtype": torch.float32,
            "local_files_only": True,
            "trust_remote_code": False,
        }
        if gguf is None:
            _link(folder, source.files)
            options["use_safetensors"] = True
        else:
            (folder / _GGUF).symlink_to(gguf)
            options["gguf_file"] = _GGUF
        whole = transformers.AutoModelForCausalLM if gguf or source.overlay else transformers.AutoModel
        model = whole.from_pretrained(folder, **options)
        if source.overlay:
            from peft import PeftModel

            adapter = folder / "adapter"
            adapter.mkdir()
            _link(adapter, source.overlay)
            model = PeftModel.from_pretrained(model, str(adapter), local_files_only=True)
    return model.eval()


def _link(folder: Path, files: Mapping[str, str]) -> None:
    """The files that transformers reads, under the names that it knows: those at the top, without any code."""
    for name, path in files.items():
        if "/" not in name and name.endswith(_TAKEN):
            (folder / name).symlink_to(path)
