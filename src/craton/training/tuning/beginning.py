"""A model from nothing: a tokenizer learned from the texts, and a decoder of the Llama family with weights by chance.

Byte-level BPE: Sennrich et al., 2016 (arXiv 1508.07909), over bytes as GPT-2 has it, so that no text is unknown. Llama:
Touvron et al., 2023 (arXiv 2302.13971).
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from craton.training.specification.tuning import Architecture

END, START_TURN, END_TURN = "<|endoftext|>", "<|im_start|>", "<|im_end|>"
"""The signs of a turn are kept free for whoever tunes the model on conversations later."""
TEMPLATE = (
    "{% for message in messages %}{{ message['content'] }}"
    "{% if message['role'] == 'assistant' %}{{ eos_token }}{% endif %}{% endfor %}"
)
"""Nothing but what was said: such a model goes on with a text, and knows no turns."""
FILE = "tokenizer.json"


def learn_tokenizer(texts: Iterator[str], size: int, folder: Path) -> Any:
    """transformers' tokenizer. It is kept in the folder: a run that is taken up again has the same."""
    from tokenizers import Tokenizer, decoders, models, pre_tokenizers, trainers
    from transformers import PreTrainedTokenizerFast

    kept = folder / FILE
    if kept.is_file():
        made = Tokenizer.from_file(str(kept))
    else:
        made = Tokenizer(models.BPE())
        made.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
        made.decoder = decoders.ByteLevel()
        trainer = trainers.BpeTrainer(
            vocab_size=size,
            special_tokens=[END, START_TURN, END_TURN],
            initial_alphabet=pre_tokenizers.ByteLevel.alphabet(),
            show_progress=False,
        )
        made.train_from_iterator(texts, trainer)
        written = kept.with_suffix(".new")
        made.save(str(written))
        os.replace(written, kept)
    found: Any = PreTrainedTokenizerFast(  # type: ignore[no-untyped-call]
        tokenizer_object=made, bos_token=END, eos_token=END, pad_token=END
    )
    found.chat_template = TEMPLATE
    return found


def make_model(shape: Architecture, tokenizer: Any) -> Any:
    """With weights drawn from torch's generator."""
    from transformers import LlamaConfig, LlamaForCausalLM

    config = LlamaConfig(
        vocab_size=len(tokenizer),
        hidden_size=shape.width,
        intermediate_size=hidden_of(shape),
        num_hidden_layers=shape.layers,
        num_attention_heads=shape.heads,
        num_key_value_heads=shape.heads,
        max_position_embeddings=shape.context,
        bos_token_id=tokenizer.bos_token_id,
        eos_token_id=tokenizer.eos_token_id,
        pad_token_id=tokenizer.pad_token_id,
        tie_word_embeddings=True,
        use_cache=False,
    )
    return LlamaForCausalLM(config)


def hidden_of(shape: Architecture) -> int:
    """8/3 of the width, rounded up to 32: as many weights as two matrices of four times the width had."""
    return shape.hidden or -(-(shape.width * 8 // 3) // 32) * 32


def parameters_of(shape: Architecture) -> int:
    layer = 4 * shape.width**2 + 3 * shape.width * hidden_of(shape) + 2 * shape.width
    return shape.vocabulary * shape.width + shape.layers * layer + shape.width
