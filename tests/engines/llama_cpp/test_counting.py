"""Tokens are counted from the file's metadata exactly as the loaded model counts them."""

from __future__ import annotations

import random
import struct
from collections.abc import Callable
from pathlib import Path

import pytest
from msgspec.structs import replace

from craton.core.chat import ChatRequest, Message, Sampling, TextPart, Tool, ToolChoice, ToolResultPart, ToolUsePart
from craton.core.errors import Damaged, Unsupported
from craton.engines.llama_cpp.counter import TokenCounter
from craton.engines.llama_cpp.engine import LlamaCppEngine
from craton.engines.llama_cpp.tokenizer import GgufTokenizer
from craton.engines.protocol import EngineSpec
from craton.formats.gguf import read_gguf

pytestmark = pytest.mark.anyio

PIECES = [
    *["a", "B", " ", "  ", "\n", "\r\n", "\t", "1", "23", "4567", "'s", "'LL", "don't", "é", "世界", "😀", "👩‍👩‍👧"],
    *["\u202e", "٣", "½", "_", "...", "<|im_start|>", "<|im_end|>", "<|endoftext|>", "Hello", " the", "\u00a0"],
    *["\u3000", "\ufb01", "e\u0301", '{"a": 1}', "$", "€", "\u0085", "\n\n ", " \n"],
]


@pytest.fixture(scope="module")
def tokenizer(starter_files: Path) -> GgufTokenizer:
    return GgufTokenizer.read(str(starter_files / "SmolLM2-135M-Instruct.Q4_1.gguf"))


async def test_texts_are_cut_into_the_same_tokens(engine: LlamaCppEngine, tokenizer: GgufTokenizer) -> None:
    dice = random.Random(7)
    for _ in range(150):
        text = "".join(dice.choices(PIECES, k=dice.randrange(1, 40)))
        assert tokenizer.tokens(text) == await engine.tokens(text)


@pytest.mark.parametrize("pre", ["gpt-2", "llama3", "llama-v3", "llama-bpe", "qwen2"])
async def test_every_pre_tokenizer_that_is_known_cuts_as_llama_cpp_does(
    pre: str, starter_files: Path, spec_of: Callable[..., EngineSpec], tmp_path: Path
) -> None:
    """Over the starter's vocabulary, its file saying that it was split in another way."""
    path = tmp_path / "model.gguf"
    path.write_bytes(with_pre_tokenizer((starter_files / "SmolLM2-135M-Instruct.Q4_1.gguf").read_bytes(), pre))
    loaded = LlamaCppEngine.load(replace(spec_of(context=64, parallel=1), files={"model.gguf": str(path)}))
    try:
        tokenizer = GgufTokenizer.read(str(path))
        dice = random.Random(pre)
        for _ in range(60):
            text = "".join(dice.choices(PIECES, k=dice.randrange(1, 40)))
            assert tokenizer.tokens(text) == await loaded.tokens(text)
    finally:
        await loaded.close()
        path.unlink()


def with_pre_tokenizer(content: bytes, name: str) -> bytes:
    """The file with another `tokenizer.ggml.pre`; `general.name` gives or takes the bytes, so that nothing moves."""
    header = read_gguf(content, "starter").metadata
    old, title = str(header["tokenizer.ggml.pre"]), str(header["general.name"])
    room = len(title) + len(old) - len(name)

    def entry(key: str, value: str) -> bytes:
        raw = value.encode()
        return key.encode() + struct.pack("<IQ", 8, len(raw)) + raw

    for key, before, after in (
        ("tokenizer.ggml.pre", old, name),
        ("general.name", title, title[:room].ljust(room, "_")),
    ):
        assert content.count(entry(key, before)) == 1
        content = content.replace(entry(key, before), entry(key, after))
    return content


def test_a_pre_tokenizer_that_no_test_has_held_against_llama_cpp_is_refused(
    starter_files: Path, tmp_path: Path
) -> None:
    path = tmp_path / "model.gguf"
    path.write_bytes(with_pre_tokenizer((starter_files / "SmolLM2-135M-Instruct.Q4_1.gguf").read_bytes(), "mpt"))
    with pytest.raises(Unsupported, match="'mpt'"):
        GgufTokenizer.read(str(path))


async def test_conversations_are_counted_alike(
    engine: LlamaCppEngine, tokenizer: GgufTokenizer, spec_of: Callable[..., EngineSpec]
) -> None:
    counter = TokenCounter(tokenizer, spec_of().info.chat_template or "", parallel=4)
    tool = Tool(name="get", schema={"type": "object", "properties": {"city": {"type": "string"}}})
    hello = Message(role="user", parts=(TextPart(text="Grüße, 世界! 12345"),))
    called = Message(role="assistant", parts=(ToolUsePart(id="a", name="get", arguments={"city": "Rome"}),))
    result = Message(role="user", parts=(ToolResultPart(tool_use_id="a", content=(TextPart(text="rain"),)),))
    said = Message(role="assistant", parts=(TextPart(text="One, two,"),))
    system = (TextPart(text="Be brief."),)
    for request in (
        ChatRequest(model="m", messages=(hello,)),
        ChatRequest(model="m", messages=(hello, said, hello), system=system, sampling=Sampling(max_tokens=5)),
        ChatRequest(model="m", messages=(hello, called, result), tools=(tool,)),
        ChatRequest(model="m", messages=(hello,), tools=(tool,), tool_choice=ToolChoice(mode="any")),
    ):
        assert await counter.count_tokens(request) == await engine.count_tokens(request)
    with pytest.raises(Unsupported):
        await counter.count_tokens(ChatRequest(model="m", messages=(hello, said)))


def test_what_would_not_be_exact_is_refused(
    tokenizer: GgufTokenizer, spec_of: Callable[..., EngineSpec], tmp_path: Path
) -> None:
    with pytest.raises(Unsupported):
        TokenCounter(tokenizer, "{{ tools }}{{ messages[0].content }}", parallel=1)
    with pytest.raises(Unsupported):
        TokenCounter.load(spec_of(template=None))
    broken = tmp_path / "broken.gguf"
    broken.write_bytes(b"GGUF\x03\x00\x00\x00" + b"\xff" * 64)
    with pytest.raises(Damaged):
        GgufTokenizer.read(str(broken))
