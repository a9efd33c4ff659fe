"""A pretrained encoder of text (BERT, RoBERTa, DistilBERT) as a torch module, read from a folder as the Hub has it."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

import torch
from torch import Tensor, nn

from craton.core.errors import Damaged, Unsupported

if TYPE_CHECKING:
    from tokenizers import Tokenizer

FAMILIES = ("bert", "distilbert", "roberta")
CONFIG, TOKENIZER, WEIGHTS = "config.json", "tokenizer.json", "model.safetensors"
MAX_JSON = 4 << 20
SPARE = ("pooler.", "classifier.", "cls.", "lm_head.", "vocab_", "pre_classifier.")
"""The parts of a file that are not the encoder."""


class Encoder(nn.Module):
    """Ids and mask -> one vector for each text: the mean of its tokens' states, or the first one, not normalised."""

    def __init__(self, body: nn.Module, pooling: Literal["mean", "cls"]) -> None:
        super().__init__()
        self.body, self.pooling = body, pooling

    def forward(self, ids: Tensor, mask: Tensor) -> Tensor:
        states: Tensor = self.body(input_ids=ids, attention_mask=mask).last_hidden_state
        if self.pooling == "cls":
            return states[:, 0]
        weights = mask.unsqueeze(2).to(states.dtype)
        found: Tensor = (states * weights).sum(1) / weights.sum(1).clamp(min=1)
        return found

    @property
    def layers(self) -> list[nn.Module]:
        """From the text upwards."""
        body: Any = self.body
        stack = body.transformer if hasattr(body, "transformer") else body.encoder
        return list(stack.layer)

    @property
    def width(self) -> int:
        body: Any = self.body
        return int(body.config.hidden_size)


class Texts:
    """Texts as padded ids. window: the longest, the special tokens included."""

    def __init__(self, tokenizer: Tokenizer, window: int, padding: int) -> None:
        self._tokenizer, self.window, self._padding = tokenizer, window, padding
        tokenizer.no_padding()
        tokenizer.enable_truncation(window)

    def ids(self, texts: list[str]) -> tuple[list[list[int]], int]:
        """And how many texts were longer, of which the rest is left out."""
        found = self._tokenizer.encode_batch_fast(texts)
        return [one.ids for one in found], sum(bool(one.overflowing) for one in found)

    def padded(self, rows: list[list[int]]) -> tuple[Tensor, Tensor]:
        longest = max((len(row) for row in rows), default=1)
        ids = torch.full((len(rows), longest), self._padding)
        mask = torch.zeros((len(rows), longest), dtype=torch.long)
        for number, row in enumerate(rows):
            ids[number, : len(row)] = torch.tensor(row)
            mask[number, : len(row)] = 1
        return ids, mask


def read_encoder(folder: Path, window: int | None = None) -> tuple[Encoder, Texts]:
    """window: shorter than the folder says it is, None for that. Raises Damaged, Unsupported."""
    config = _json(folder / CONFIG)
    body = _body(config)
    expected = {name: value.shape for name, value in body.state_dict().items()}
    tensors = _tensors(folder / WEIGHTS, str(config["model_type"]))
    known = {name: value for name, value in tensors.items() if name in expected}
    strange = [name for name in tensors if name not in expected and not name.startswith(SPARE)]
    if {name: value.shape for name, value in known.items()} != expected or strange:
        raise Damaged(WEIGHTS, "its tensors are not those of the encoder that config.json describes")
    made = _body(config, "cpu")
    made.load_state_dict(known)
    texts = _texts(folder, config, window)
    return Encoder(made.eval(), _pooling(folder)), texts


def _body(config: dict[str, Any], device: str = "meta") -> nn.Module:
    """Without weights: on "meta" it takes no memory, whatever sizes the file claims."""
    from transformers import AutoConfig, AutoModel

    family = config.get("model_type")
    if family not in FAMILIES:
        raise Unsupported(f"An encoder of the kind {str(family)[:60]!r}", f"Encoders are: {', '.join(FAMILIES)}.")
    plain = {
        name: value for name, value in config.items() if name not in {"model_type", "auto_map", "torch_dtype", "dtype"}
    }
    try:
        described = AutoConfig.for_model(family, **plain)
        with torch.device(device):
            spare = {} if family == "distilbert" else {"add_pooling_layer": False}
            make: Any = AutoModel
            body: nn.Module = make.from_config(described, attn_implementation="sdpa", **spare)
    except (TypeError, ValueError, KeyError, RuntimeError) as error:
        raise Damaged(CONFIG, "no encoder can be made of it") from error
    return body.float()


def _tensors(path: Path, family: str) -> dict[str, Tensor]:
    from safetensors import SafetensorError
    from safetensors.torch import load_file

    try:
        found = load_file(path)
    except (OSError, SafetensorError) as error:
        raise Damaged(WEIGHTS, "it cannot be read") from error
    return {
        plain_name(name, family): value.float() for name, value in found.items() if not name.endswith("position_ids")
    }


def plain_name(name: str, family: str) -> str:
    """Task-specific files prefix the family's name; older ones call a norm's weight and bias gamma and beta."""
    name = name.removeprefix(f"{family}.")
    return name.replace("LayerNorm.gamma", "LayerNorm.weight").replace("LayerNorm.beta", "LayerNorm.bias")


def _texts(folder: Path, config: dict[str, Any], window: int | None) -> Texts:
    from tokenizers import Tokenizer

    try:
        tokenizer = Tokenizer.from_file(str(folder / TOKENIZER))
    except Exception as error:  # the library raises nothing more exact
        raise Damaged(TOKENIZER, "it is not a tokenizer") from error
    first = int(config.get("pad_token_id") or 0) + 1 if config["model_type"] == "roberta" else 0
    room = int(config["max_position_embeddings"]) - first
    said = folder / "sentence_bert_config.json"
    own = _json(said).get("max_seq_length") if said.is_file() else None
    return Texts(tokenizer, min(room, own or room, window or room), int(config.get("pad_token_id") or 0))


def _pooling(folder: Path) -> Literal["mean", "cls"]:
    path = folder / "1_Pooling" / CONFIG
    config = _json(path) if path.is_file() else {}
    chosen = {name for name, on in config.items() if name.startswith("pooling_mode_") and on is True}
    chosen |= {f"pooling_mode_{config['pooling_mode']}"} if isinstance(config.get("pooling_mode"), str) else set()
    known: dict[str, Literal["mean", "cls"]] = {
        "pooling_mode_mean_tokens": "mean",
        "pooling_mode_mean": "mean",
        "pooling_mode_cls_token": "cls",
        "pooling_mode_cls": "cls",
    }
    if not chosen:
        return "mean"
    if len(chosen) != 1 or not chosen <= known.keys():
        raise Unsupported("This pooling of an encoder", "Mean and CLS are.")
    return known[chosen.pop()]


def _json(path: Path) -> dict[str, Any]:
    try:
        if path.stat().st_size > MAX_JSON:
            raise Damaged(path.name, "it is too large to be a configuration")
        found = json.loads(path.read_bytes())
    except (OSError, ValueError, RecursionError) as error:
        raise Damaged(path.name, "it cannot be read") from error
    if not isinstance(found, dict):
        raise Damaged(path.name, "it is not a configuration")
    return found
