"""What the files beside the weights say: the architecture's sizes, how vectors are pooled, how long inputs may be.

Families: BERT; RoBERTa, whose positions begin behind that of padding; DistilBERT, which has no token types.

Formats: `config.json` as transformers writes it; `modules.json`, `1_Pooling/config.json` and
`sentence_bert_config.json` as sentence-transformers writes them.
"""

from __future__ import annotations

from typing import Any, Literal

from msgspec import Struct

from craton.core.errors import Damaged, Unsupported
from craton.engines.bert.files import optional, require
from craton.engines.bert.labels import Labels, read_labels

Pooling = Literal["mean", "cls"]
Activation = Literal["erf", "tanh", "relu"]
Family = Literal["bert", "roberta", "distilbert"]
Task = Literal["embed", "classify", "fill"]

_ACTIVATIONS: dict[str, Activation] = {
    "gelu": "erf",
    "gelu_python": "erf",
    "gelu_new": "tanh",
    "gelu_fast": "tanh",
    "gelu_pytorch_tanh": "tanh",
    "relu": "relu",
}
_POOLINGS: dict[str, Pooling] = {"mean": "mean", "cls": "cls"}
_FAMILIES: dict[str, Family] = {"bert": "bert", "roberta": "roberta", "distilbert": "distilbert"}
_MAX_LAYERS = 256
_MAX_SIZE = 1 << 20


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
    pad_token_id: int | None = None


class _Distilled(Struct):
    """DistilBERT's config.json: the same by other names."""

    dim: int
    n_layers: int
    n_heads: int
    hidden_dim: int
    vocab_size: int
    max_position_embeddings: int
    activation: str = "gelu"

    def plain(self) -> _Architecture:
        return _Architecture(
            hidden_size=self.dim,
            num_hidden_layers=self.n_layers,
            num_attention_heads=self.n_heads,
            intermediate_size=self.hidden_dim,
            vocab_size=self.vocab_size,
            max_position_embeddings=self.max_position_embeddings,
            type_vocab_size=0,
            model_type="distilbert",
            hidden_act=self.activation,
        )


class _Kind(Struct):
    model_type: str = ""


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
    """A BERT encoder that this engine can compute. window: tokens of one input, [CLS] and [SEP] included.

    first: the row of the position embeddings that the first token has. labels: of a classifier."""

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
    family: Family = "bert"
    task: Task = "embed"
    first: int = 0
    labels: Labels | None = None

    @classmethod
    def read(cls, files: dict[str, str], task: Task = "embed") -> BertConfig:
        """files: name in the repository -> local path.

        Raises Unsupported for what would need other computations, Damaged for files that make no sense.
        """
        kind = require(files, "config.json", _Kind).model_type
        family = _FAMILIES.get(kind)
        if family is None:
            raise Unsupported(f"The architecture {kind[:60]!r}", f"Encoders are: {', '.join(_FAMILIES)}.")
        distilled = family == "distilbert"
        read = (
            require(files, "config.json", _Distilled).plain()
            if distilled
            else require(files, "config.json", _Architecture)
        )
        activation = _ACTIVATIONS.get(read.hidden_act)
        if activation is None:
            raise Unsupported(f"The activation {read.hidden_act!r} of a BERT model")
        if read.position_embedding_type != "absolute":
            raise Unsupported(f"The position embedding {read.position_embedding_type!r} of a BERT model")
        if read.is_decoder:
            raise Unsupported("A BERT decoder for embeddings")
        _check_sizes(read, least_types=0 if distilled else 1)
        first = (1 if read.pad_token_id is None else read.pad_token_id) + 1 if family == "roberta" else 0
        room = read.max_position_embeddings - first
        defaults = optional(files, "config_sentence_transformers.json", _Defaults)
        if defaults is not None and defaults.default_prompt_name:
            raise Unsupported("An embedding model with a default prompt")
        window = optional(files, "sentence_bert_config.json", _Window) or _Window()
        longest = min(window.max_seq_length or room, room)
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
            family=family,
            task=task,
            first=first,
            labels=read_labels(files) if task == "classify" else None,
        )

    @property
    def width(self) -> int:
        """Numbers that come out for each input."""
        if self.labels is not None:
            return len(self.labels.names)
        return self.vocabulary if self.task == "fill" else self.hidden


def _check_sizes(read: _Architecture, least_types: int) -> None:
    sizes = (
        read.hidden_size,
        read.num_attention_heads,
        read.intermediate_size,
        read.vocab_size,
        read.max_position_embeddings,
    )
    if not 0 <= (read.pad_token_id or 0) < read.vocab_size or not least_types <= read.type_vocab_size <= _MAX_SIZE:
        raise Damaged("config.json", "a size is not positive, or absurd")
    if not all(0 < size <= _MAX_SIZE for size in sizes) or not 0 < read.num_hidden_layers <= _MAX_LAYERS:
        raise Damaged("config.json", "a size is not positive, or absurd")
    if read.hidden_size % read.num_attention_heads:
        raise Damaged("config.json", "the hidden size is not a multiple of the number of heads")
    if not 0 < read.layer_norm_eps < 1:
        raise Damaged("config.json", "layer_norm_eps is not between 0 and 1")


def _pooling(files: dict[str, str]) -> Pooling:
    """The mode that modules.json leads to; mean when the model does not say."""
    path = "1_Pooling"
    modules = optional(files, "modules.json", list[_Module])
    if modules is not None:
        path = ""
        for module in modules:
            kind = module.type.rpartition(".")[2]
            if kind == "Pooling":
                path = module.path
            elif kind not in ("Transformer", "Normalize"):
                raise Unsupported(f"The module {kind!r} after a BERT encoder")
    config = optional(files, f"{path}/config.json", dict[str, Any]) if path else None
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
