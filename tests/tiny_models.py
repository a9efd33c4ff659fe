"""Tiny models of every architecture, built from a config with random weights, in a folder as Hugging Face writes it."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

from tokenizers import AddedToken, Regex, Tokenizer
from tokenizers.models import BPE
from tokenizers.normalizers import Prepend, Replace
from tokenizers.normalizers import Sequence as Normalizers
from tokenizers.pre_tokenizers import ByteLevel, Digits, PreTokenizer, Punctuation, Sequence, Split
from tokenizers.processors import TemplateProcessing
from tokenizers.trainers import BpeTrainer

VOCABULARY = 384
TEXT = "The quick brown fox jumps over the lazy dog. It's 2026, and the models don't sleep: they'll answer 12345 times."
CHAT = (
    "{% for message in messages %}<|im_start|>{{ message['role'] }}\n{{ message['content'] }}<|im_end|>\n{% endfor %}"
    "{% if add_generation_prompt %}<|im_start|>assistant\n{% endif %}"
)
_LLAMA3 = (
    r"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}{1,3}| ?[^\s\p{L}\p{N}]+[\r\n]*"
    r"|\s*[\r\n]+|\s+(?!\S)|\s+"
)
_DEEPSEEK3 = (
    r"""[!"#$%&'()*+,\-./:;<=>?@\[\\\]^_`{|}~][A-Za-z]+|[^\r\n\p{L}\p{P}\p{S}]?[\p{L}\p{M}]+| ?[\p{P}\p{S}]+[\r\n]*"""
    r"|\s*[\r\n]+|\s+(?!\S)|\s+"
)


def _split(pattern: str) -> PreTokenizer:
    return Split(Regex(pattern), "isolated")


def _bytes(use_regex: bool = False) -> PreTokenizer:
    return ByteLevel(add_prefix_space=False, use_regex=use_regex)


SPLITTING: dict[str, Callable[[], PreTokenizer]] = {
    "gpt-2": lambda: _bytes(use_regex=True),
    "smollm": lambda: Sequence([Digits(individual_digits=True), _bytes(use_regex=True)]),
    "llama-bpe": lambda: Sequence([_split(_LLAMA3), _bytes()]),
    "qwen2": lambda: Sequence([_split(_LLAMA3.replace("{1,3}", "")), _bytes()]),
    "deepseek-v3": lambda: Sequence(
        [_split(r"\p{N}{1,3}"), _split("[一-龥぀-ゟ゠-ヿ]+"), _split(_DEEPSEEK3), _bytes()]  # noqa: RUF001
    ),
    "falcon": lambda: Sequence(
        [Punctuation("contiguous"), _bytes(use_regex=True), Digits(), _split("[0-9][0-9][0-9]")]
    ),
}
"""llama.cpp's name -> the same rules in the tokenizers library."""

_SPECIALS = ("<|endoftext|>", "<|im_start|>", "<|im_end|>")


def byte_level(name: str, whole_words: bool = False) -> Tokenizer:
    """A vocabulary trained on a few sentences, split as `name` says."""
    tokenizer = Tokenizer(BPE(ignore_merges=whole_words))
    tokenizer.pre_tokenizer = SPLITTING[name]()
    trainer = BpeTrainer(
        vocab_size=VOCABULARY - 8,
        special_tokens=list(_SPECIALS),
        initial_alphabet=ByteLevel.alphabet(),
        show_progress=False,
    )
    tokenizer.train_from_iterator([TEXT] * 4, trainer)
    return tokenizer


def pieces(prefix: bool = True) -> Tokenizer:
    """A vocabulary as sentencepiece makes them: pieces with "▁" for a space, and bytes for what is not in it."""
    words = ["<unk>", "<s>", "</s>", *(f"<0x{byte:02X}>" for byte in range(256))]
    merges: list[tuple[str, str]] = []
    letters = sorted(set(TEXT.replace(" ", "▁")) | set("▁"))
    words += letters
    for pair in ("▁ t", "h e", "▁t he", "▁ a", "o r", "▁ s", "e r", "▁m o", "▁ m", "l l", "▁ d", "▁d o"):
        left, right = pair.split()
        if left in words and right in words and left + right not in words:
            merges.append((left, right))
            words.append(left + right)
    tokenizer = Tokenizer(
        BPE({word: i for i, word in enumerate(words)}, merges, unk_token="<unk>", byte_fallback=True, fuse_unk=True)
    )
    steps = [Prepend("▁")] if prefix else []
    tokenizer.normalizer = Normalizers([*steps, Replace(" ", "▁")])
    tokenizer.add_special_tokens([AddedToken(word, normalized=False) for word in words[:3]])
    tokenizer.post_processor = TemplateProcessing(single="<s> $A", pair="<s> $A $B", special_tokens=[("<s>", 1)])
    return tokenizer


def add_fill_in(tokenizer: Tokenizer) -> Tokenizer:
    """Code Llama's tokens for filling a gap."""
    tokenizer.add_special_tokens(
        [AddedToken(word, normalized=False) for word in ("▁<PRE>", "▁<SUF>", "▁<MID>", "▁<EOT>")]
    )
    return tokenizer


_SMALL: dict[str, Any] = {
    "vocab_size": VOCABULARY,
    "hidden_size": 64,
    "intermediate_size": 96,
    "num_hidden_layers": 2,
    "num_attention_heads": 4,
    "num_key_value_heads": 2,
    "max_position_embeddings": 256,
    "bos_token_id": 1,
    "eos_token_id": 2,
    "initializer_range": 0.15,
}
_LATENT: dict[str, Any] = {
    **_SMALL,
    "num_key_value_heads": 4,
    "num_hidden_layers": 3,
    "first_k_dense_replace": 1,
    "kv_lora_rank": 32,
    "q_lora_rank": 24,
    "qk_rope_head_dim": 16,
    "qk_nope_head_dim": 32,
    "v_head_dim": 32,
    "moe_intermediate_size": 32,
    "n_routed_experts": 8,
    "n_shared_experts": 1,
    "num_experts_per_tok": 2,
    "n_group": 4,
    "topk_group": 2,
    "routed_scaling_factor": 1.5,
}
MODELS: dict[str, tuple[str, dict[str, Any], Callable[[], Tokenizer]]] = {
    "llama": ("Llama", {**_SMALL}, lambda: byte_level("smollm")),
    "llama3": (
        "Llama",
        {
            **_SMALL,
            "head_dim": 24,
            "tie_word_embeddings": True,
            "rope_parameters": {
                "rope_type": "llama3",
                "rope_theta": 500000.0,
                "factor": 8.0,
                "low_freq_factor": 1.0,
                "high_freq_factor": 4.0,
                "original_max_position_embeddings": 64,
            },
        },
        lambda: byte_level("llama-bpe", whole_words=True),
    ),
    "code_llama": (
        "Llama",
        {**_SMALL, "rope_parameters": {"rope_type": "default", "rope_theta": 1e6}},
        lambda: add_fill_in(pieces()),
    ),
    "mistral": ("Mistral", {**_SMALL, "sliding_window": None}, pieces),
    "qwen2": ("Qwen2", {**_SMALL}, lambda: byte_level("qwen2")),
    "qwen3": ("Qwen3", {**_SMALL, "head_dim": 32}, lambda: byte_level("qwen2")),
    "gemma": ("Gemma", {**_SMALL, "head_dim": 16}, lambda: pieces(prefix=False)),
    "gemma2": (
        "Gemma2",
        {**_SMALL, "head_dim": 16, "query_pre_attn_scalar": 16, "sliding_window": 8},
        lambda: pieces(prefix=False),
    ),
    "gemma3": (
        "Gemma3",
        {**_SMALL, "head_dim": 16, "num_hidden_layers": 7, "query_pre_attn_scalar": 16, "sliding_window": 8},
        lambda: pieces(prefix=False),
    ),
    "gpt2": (
        "GPT2",
        {
            "vocab_size": VOCABULARY,
            "n_embd": 64,
            "n_layer": 2,
            "n_head": 4,
            "n_positions": 256,
            "bos_token_id": 0,
            "eos_token_id": 0,
            "initializer_range": 0.15,
        },
        lambda: byte_level("gpt-2"),
    ),
    "falcon": (
        "Falcon",
        {
            "vocab_size": VOCABULARY,
            "hidden_size": 64,
            "num_hidden_layers": 2,
            "num_attention_heads": 4,
            "multi_query": True,
            "parallel_attn": True,
            "bias": False,
            "alibi": False,
            "bos_token_id": 0,
            "eos_token_id": 0,
            "initializer_range": 0.15,
            "max_position_embeddings": 256,
        },
        lambda: byte_level("falcon"),
    ),
    "falcon40b": (
        "Falcon",
        {
            "vocab_size": VOCABULARY,
            "hidden_size": 64,
            "num_hidden_layers": 2,
            "num_attention_heads": 4,
            "new_decoder_architecture": True,
            "num_kv_heads": 2,
            "bias": False,
            "alibi": False,
            "bos_token_id": 0,
            "eos_token_id": 0,
            "initializer_range": 0.15,
            "max_position_embeddings": 256,
        },
        lambda: byte_level("falcon"),
    ),
    "gpt_oss": (
        "GptOss",
        {
            **_SMALL,
            "intermediate_size": 64,
            "head_dim": 32,
            "num_local_experts": 4,
            "num_experts_per_tok": 2,
            "sliding_window": 8,
            "rope_parameters": {"rope_type": "default", "rope_theta": 150000.0},
        },
        lambda: byte_level("gpt-2"),
    ),
    "deepseek_v2": (
        "DeepseekV2",
        {**_LATENT, "topk_method": "greedy", "norm_topk_prob": False},
        lambda: byte_level("deepseek-v3"),
    ),
    "deepseek_v3": ("DeepseekV3", {**_LATENT, "norm_topk_prob": True}, lambda: byte_level("deepseek-v3")),
}
"""A name -> transformers' class, its settings, its tokenizer."""


def build(name: str, folder: Path, template: str | None = CHAT) -> Path:
    """Writes the model. Needs torch and transformers."""
    import torch
    import transformers

    family, settings, tokenizer = MODELS[name]
    torch.manual_seed(0)
    config_class = "Gemma3TextConfig" if family == "Gemma3" else f"{family}Config"
    head = "LMHeadModel" if family == "GPT2" else "ForCausalLM"
    config = getattr(transformers, config_class)(**settings)
    model = getattr(transformers, f"{family}{head}")(config)
    with torch.no_grad():
        for tensor_name, parameter in model.named_parameters():
            if parameter.ndim == 1 or "bias" in tensor_name or "sinks" in tensor_name:  # zeros and ones hide mistakes
                parameter.add_(torch.randn_like(parameter) * 0.1)
        for tensor_name, buffer in model.named_buffers():
            if "e_score_correction_bias" in tensor_name:
                buffer.add_(torch.randn_like(buffer) * 0.1)
    model.save_pretrained(folder)
    vocabulary = tokenizer()
    vocabulary.save(str(folder / "tokenizer.json"))
    has_pieces = vocabulary.token_to_id("</s>") is not None
    said = {
        "tokenizer_class": "PreTrainedTokenizerFast",
        "bos_token": "<s>" if has_pieces else "<|endoftext|>",
        "eos_token": "</s>" if has_pieces else "<|endoftext|>",
        **({"chat_template": template} if template else {}),
    }
    (folder / "tokenizer_config.json").write_text(json.dumps(said))
    return folder
