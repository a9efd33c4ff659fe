"""A base of a few thousand weights, made from a config, and records to tune it on."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from craton.training.tuning.given import Given, Read
from craton.training.tuning.records import Record

TEMPLATE = (
    "{% for message in messages %}<|im_start|>{{ message['role'] }}\n{{ message['content'] }}<|im_end|>\n{% endfor %}"
    "{% if add_generation_prompt %}<|im_start|>assistant\n{% endif %}"
)
WORDS = ("red", "green", "blue", "black", "white", "grey")


@pytest.fixture(autouse=True, scope="session")
def one_thread() -> None:
    """Small work is done sooner without waiting for each other; and the numbers are the same on every machine."""
    torch = pytest.importorskip("torch")
    torch.set_num_threads(1)


@pytest.fixture(scope="session")
def tiny(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder as the Hub has it: a Llama of two layers, with weights by chance."""
    pytest.importorskip("peft")
    folder = tmp_path_factory.mktemp("tiny")
    make_tiny(folder, tmp_path_factory.mktemp("tokenizer"))
    return folder


def make_tiny(folder: Path, scratch: Path) -> None:
    import torch

    from craton.training.specification.tuning import Architecture
    from craton.training.tuning.beginning import learn_tokenizer, make_model

    scratch.mkdir(exist_ok=True)
    texts = [f"What is {word}? It is a colour. {word} " * 3 for word in WORDS]
    tokenizer = learn_tokenizer(iter(texts), 300, scratch)
    tokenizer.chat_template = TEMPLATE
    tokenizer.eos_token = "<|im_end|>"
    torch.manual_seed(0)
    make_model(Architecture(layers=2, width=32, heads=2, context=256), tokenizer).save_pretrained(folder)
    tokenizer.save_pretrained(folder)


def pairs(count: int) -> list[dict[str, Any]]:
    return [
        {"prompt": f"What is {WORDS[number % 6]}? {number}", "completion": f"{WORDS[number % 6]} is a colour."}
        for number in range(count)
    ]


def read(values: list[dict[str, Any]]) -> Read:
    def records() -> Iterator[Record]:
        return (Record(f"line {number}", value) for number, value in enumerate(values, 1))

    return records


def given(values: list[dict[str, Any]], base: str = "tiny@main") -> Given:
    return Given(read(values), None, base)
