"""Tiny models for looking into: one Llama as safetensors and as GGUF, a BERT, and their tokenizer."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from tests.engines.llama_cpp.tiny_llama import (
    EPSILON,
    HEADS,
    HIDDEN,
    KV_HEADS,
    LAYERS,
    SIZE,
    THETA,
    VOCABULARY,
    WIDE,
    random_weights,
    write_gguf,
)

TEXT = "w1 w2 w9 w2 w5"
IDS = [260, 261, 268, 261, 264]
"""Of TEXT: w0 is 259, after three marks and 256 bytes."""


def files_of(folder: Path) -> dict[str, str]:
    """Name in the repository -> local path."""
    return {path.name: str(path) for path in folder.iterdir()}


def tokenizer(folder: Path) -> None:
    """Whole words, w0, w1 ..., with the ids that `write_gguf` gives them."""
    from tokenizers import Tokenizer
    from tokenizers.models import WordLevel
    from tokenizers.pre_tokenizers import WhitespaceSplit

    words = {f"w{number}": 259 + number for number in range(VOCABULARY - 259)}
    made = Tokenizer(WordLevel(words | {"<unk>": 0}, unk_token="<unk>"))
    made.pre_tokenizer = WhitespaceSplit()
    made.save(str(folder / "tokenizer.json"))


def llama_config(**changes: Any) -> Any:
    from transformers import LlamaConfig

    return LlamaConfig(
        vocab_size=VOCABULARY,
        hidden_size=HIDDEN,
        intermediate_size=WIDE,
        num_hidden_layers=LAYERS,
        num_attention_heads=HEADS,
        num_key_value_heads=KV_HEADS,
        head_dim=SIZE,
        max_position_embeddings=128,
        rms_norm_eps=EPSILON,
        rope_theta=THETA,
        tie_word_embeddings=False,
        attn_implementation="eager",
        **changes,
    )


def llama(weights: dict[str, Any] | None = None) -> Any:
    """transformers' own, with these weights."""
    import torch
    from transformers import LlamaForCausalLM

    model = LlamaForCausalLM(llama_config())
    values = weights or random_weights()
    state = {
        name if name.startswith("lm_head") else f"model.{name}": torch.tensor(value).float()
        for name, value in values.items()
    }
    model.load_state_dict(state)
    return model.eval()


def save_llama(folder: Path) -> dict[str, str]:
    folder.mkdir()
    llama().save_pretrained(folder)
    tokenizer(folder)
    return files_of(folder)


def save_gguf(folder: Path) -> dict[str, str]:
    folder.mkdir()
    write_gguf(folder / "tiny.gguf", random_weights())
    tokenizer(folder)
    return files_of(folder)


def save_bert(folder: Path) -> tuple[Any, dict[str, str]]:
    """The model too."""
    from transformers import BertConfig, BertModel

    folder.mkdir()
    config = BertConfig(
        vocab_size=VOCABULARY,
        hidden_size=32,
        num_hidden_layers=3,
        num_attention_heads=2,
        intermediate_size=48,
        max_position_embeddings=64,
        attn_implementation="eager",
    )
    model = BertModel(config).eval()
    model.save_pretrained(folder)
    tokenizer(folder)
    return model, files_of(folder)


def attentions(model: Any, ids: list[int]) -> Any:
    """Of shape (layers, heads, tokens, tokens), as transformers itself gives them."""
    import torch

    with torch.inference_mode():
        found = model(input_ids=torch.tensor([ids]), output_attentions=True).attentions
    return torch.stack([layer[0] for layer in found]).numpy()
