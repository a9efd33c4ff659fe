"""Tiny models that were taught one answer by heart: what they say is known, marks of thoughts and of channels too."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from tests.tiny_models import build

QUESTION = "Hi"
THOUGHT, ANSWER = "dog sleeps", "fox jumps"

R1 = (
    "{% if not add_generation_prompt is defined %}{% set add_generation_prompt = false %}{% endif %}"
    "{% for message in messages %}"
    "{% if message['role'] == 'user' %}<|User|>{{ message['content'] }}{% endif %}"
    "{% if message['role'] == 'assistant' and message['content'] is not none %}{% set content = message['content'] %}"
    "{% if '</think>' in content %}{% set content = content.split('</think>')[-1] %}{% endif %}"
    "<|Assistant|>{{ content }}{% endif %}{% endfor %}"
    "{% if add_generation_prompt %}<|Assistant|><think>\n{% endif %}"
)
"""DeepSeek-R1's, but for its letters: the prompt opens the thoughts."""
HARMONY = (
    "{%- if reasoning_effort is not defined %}{%- set reasoning_effort = 'medium' %}{%- endif %}"
    "<|start|>system<|message|>Reasoning: {{ reasoning_effort }}<|end|>"
    "{%- for message in messages %}{%- if message['role'] == 'assistant' %}"
    "<|start|>assistant<|channel|>final<|message|>{{ message['content'] }}<|end|>{%- else %}"
    "<|start|>{{ message['role'] }}<|message|>{{ message['content'] }}<|end|>{%- endif %}{%- endfor %}"
    "{%- if add_generation_prompt %}<|start|>assistant{%- endif %}"
)
"""gpt-oss's own form (OpenAI's "harmony"), shortened."""


def deepseek_r1(folder: Path) -> Path:
    answer = f"{THOUGHT}\n</think>\n\n{ANSWER}<|endoftext|>"
    return _taught(
        folder, "deepseek_v3", R1, f"<|User|>{QUESTION}<|Assistant|><think>\n", answer, ("<think>", "</think>")
    )


def gpt_oss(folder: Path) -> Path:
    marks = ("<|start|>", "<|end|>", "<|message|>", "<|channel|>", "<|return|>", "<|call|>")
    prompt = (
        f"<|start|>system<|message|>Reasoning: medium<|end|><|start|>user<|message|>{QUESTION}<|end|><|start|>assistant"
    )
    answer = (
        f"<|channel|>analysis<|message|>{THOUGHT}<|end|><|start|>assistant<|channel|>final<|message|>{ANSWER}<|return|>"
    )
    return _taught(folder, "gpt_oss", HARMONY, prompt, answer, marks)


def _taught(folder: Path, name: str, template: str, prompt: str, answer: str, marks: tuple[str, ...]) -> Path:
    import torch
    import transformers
    from tokenizers import AddedToken, Tokenizer

    build(name, folder, template)
    tokenizer = Tokenizer.from_file(str(folder / "tokenizer.json"))
    special = name == "gpt_oss"  # DeepSeek's own marks of thoughts are no special tokens
    tokenizer.add_tokens([AddedToken(mark, special=special, normalized=False) for mark in marks])
    tokenizer.save(str(folder / "tokenizer.json"))
    end = tokenizer.encode(answer).ids[-1]
    for file, member, value in (
        ("tokenizer_config.json", "eos_token", tokenizer.id_to_token(end)),
        ("config.json", "eos_token_id", end),
        ("generation_config.json", "eos_token_id", end),
    ):
        said = json.loads((folder / file).read_text())
        (folder / file).write_text(json.dumps(said | {member: value}))
    ids = torch.tensor([tokenizer.encode(prompt + answer).ids])
    begins = len(tokenizer.encode(prompt).ids)
    model: Any = transformers.AutoModelForCausalLM.from_pretrained(folder, dtype=torch.float32)
    optimizer = torch.optim.AdamW(model.parameters(), lr=5e-3, weight_decay=0.0)
    labels = ids.masked_fill(torch.arange(ids.shape[1]) < begins, -100)
    for _ in range(200):
        loss = model(ids, labels=labels).loss
        if float(loss) < 0.01:
            break
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    assert float(loss) < 0.05, "it did not learn its answer"
    model.save_pretrained(folder)
    return folder
