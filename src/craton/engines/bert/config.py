"""What the files beside the weights say: the architecture's sizes, how vectors are pooled, how long inputs may be.

Formats: `config.json` as transformers writes it; `modules.json`, `1_Pooling/config.json` and
`sentence_bert_config.json` as sentence-transformers writes them.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any, Literal, TypeVar

import msgspec
from msgspec import Struct

from craton.core.errors import Damaged, Unsupported

Pooling = Literal["mean", "cls"]
Activation = Literal["erf", "tanh", "relu"]

_ACTIVATIONS: dict[str, Activation] = {
    "gelu": "erf",
    "gelu_python": "erf",
    "gelu_new": "tanh",
    "gelu_fast": "tanh",
    "gelu_pytorch_tanh": "tanh",
    "relu": "relu",
}
_POOLINGS: dict[str, Pooling] = {"mean": "mean", "cls": "cls"}
_MAX_JSON = 4 << 20
_MAX_LAYERS = 256
_MAX_SIZE = 1 << 20
_T = TypeVar("_T")


class _Architecture(Struct):
    """config.json; the fields that change what is computed."""

    hidden_size: int
    num_hidden_layers: int
    num_attention_heads: int
    intermediate_size: int
    vocab_size: int
    max_position_embeddings: int
    type_vocab_size: int = 2
    model_type: str = ""
    hidden_act: str = "gelu"
    layer_norm_eps: float = 1e-12
    position_embedding_type: str = "absolute"
    is_decoder: bool = False


class _Module(Struct):
    type: str
    path: str = ""


class _Window(Struct):
    """sentence_bert_config.json."""

    max_seq_length: int | None = None
    do_lower_case: bool = False


class _Defaults(Struct):
    """config_sentence_transformers.json."""

    default_prompt_name: str | None = None


class BertConfig(Struct, frozen=True):
    """A BERT encoder that this engine can compute. window: tokens of one input, [CLS] and [SEP] included."""

    hidden: int
    layers: int
    heads: int
    intermediate: int
    vocabulary: int
    positions: int
    token_types: int
    activation: Activation
    epsilon: float
    pooling: Pooling
    window: int
    lower_case: bool

    @classmethod
    def read(cls, files: dict[str, str]) -> BertConfig:
        """files: name in the repository -> local path.

        Raises Unsupported for what would need other computations, Damaged for files that make no sense.
        """
        read = _require(files, "config.json", _Architecture)
        activation = _ACTIVATIONS.get(read.hidden_act)
        if read.model_type != "bert":
            raise Unsupported(f"The architecture {read.model_type!r} for embeddings", "BERT encoders are.")
        if activation is None:
            raise Unsupported(f"The activation {read.hidden_act!r} of a BERT model")
        if read.position_embedding_type != "absolute":
            raise Unsupported(f"The position embedding {read.position_embedding_type!r} of a BERT model")
        if read.is_decoder:
            raise Unsupported("A BERT decoder for embeddings")
        _check_sizes(read)
        defaults = _optional(files, "config_sentence_transformers.json", _Defaults)
        if defaults is not None and defaults.default_prompt_name:
            raise Unsupported("An embedding model with a default prompt")
        window = _optional(files, "sentence_bert_config.json", _Window) or _Window()
        longest = min(window.max_seq_length or read.max_position_embeddings, read.max_position_embeddings)
        if longest < 3:
            raise Damaged("sentence_bert_config.json", f"an input of {longest} tokens has no room for text")
        return cls(
            hidden=read.hidden_size,
            layers=read.num_hidden_layers,
            heads=read.num_attention_heads,
            intermediate=read.intermediate_size,
            vocabulary=read.vocab_size,
            positions=read.max_position_embeddings,
            token_types=read.type_vocab_size,
            activation=activation,
            epsilon=read.layer_norm_eps,
            pooling=_pooling(files),
            window=longest,
            lower_case=window.do_lower_case,
        )


def _check_sizes(read: _Architecture) -> None:
    sizes = (
        read.hidden_size,
        read.num_attention_heads,
        read.intermediate_size,
        read.vocab_size,
        read.max_position_embeddings,
        read.type_vocab_size,
    )
    if not all(0 < size <= _MAX_SIZE for size in sizes) or not 0 < read.num_hidden_layers <= _MAX_LAYERS:
        raise Damaged("config.json", "a size is not positive, or absurd")
    if read.hidden_size % read.num_attention_heads:
        raise Damaged("config.json", "the hidden size is not a multiple of the number of heads")
    if not 0 < read.layer_norm_eps < 1:
        raise Damaged("config.json", "layer_norm_eps is not between 0 and 1")


def _pooling(files: dict[str, str]) -> Pooling:
    """The mode that modules.json leads to; mean when the model does not say."""
    path = "1_Pooling"
    modules = _optional(files, "modules.json", list[_Module])
    if modules is not None:
        path = ""
        for module in modules:
            kind = module.type.rpartition(".")[2]
            if kind == "Pooling":
                path = module.path
            elif kind not in ("Transformer", "Normalize"):
                raise Unsupported(f"The module {kind!r} after a BERT encoder")
    config = _optional(files, f"{path}/config.json", dict[str, Any]) if path else None
    if config is None:
        return "mean"
    chosen = [
        name.removeprefix("pooling_mode_") for name, on in config.items() if name.startswith("pooling_mode_") and on
    ]
    if "pooling_mode" in config:
        chosen = [config["pooling_mode"]] if isinstance(config["pooling_mode"], str) else list(config["pooling_mode"])
    chosen = [{"mean_tokens": "mean", "cls_token": "cls"}.get(name, name) for name in chosen]
    if len(chosen) != 1 or chosen[0] not in _POOLINGS:
        raise Unsupported(f"The pooling {' + '.join(chosen) or 'none'!r} of an embedding model", "Mean and CLS are.")
    return _POOLINGS[chosen[0]]


def _optional(files: dict[str, str], name: str, shape: type[_T]) -> _T | None:
    return _require(files, name, shape) if name in files else None


def _require(files: dict[str, str], name: str, shape: type[_T]) -> _T:
    if name not in files:
        raise Damaged("The embedding model", f"it has no {name}")
    with Path(files[name]).open("rb") as file:
        raw = file.read(_MAX_JSON + 1)
    if len(raw) > _MAX_JSON:
        raise Damaged(name, "it is too large to be a configuration")
    try:
        return msgspec.json.decode(raw, type=shape)
    except (msgspec.DecodeError, RecursionError) as error:
        raise Damaged(name, str(error)) from None
