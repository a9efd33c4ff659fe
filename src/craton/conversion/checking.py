"""Is a converted file what the folder was? llama.cpp loads it in a worker, cuts texts as the original tokenizer does,
and answers.

That its numbers are right too follows from the architecture, for which tests hold them against transformers'.
"""

from __future__ import annotations

import asyncio
from pathlib import Path

from craton.core.chat import ChatRequest, Message, Sampling, TextPart
from craton.core.errors import Damaged, Unsupported
from craton.core.model import ModelInfo
from craton.engines.protocol import EngineSpec
from craton.engines.worker.supervisor import Worker

PLAIN = "{% for message in messages %}{{ message['content'] }}{% endfor %}"
"""The chat template of a model that has none: what it is told, it goes on writing."""

TEXTS = (
    "Hello world",
    "  It's 2026 -- they'll pay $1,234.50 (or 3 33 333 3333)!!\n\n\tWe'RE here...",
    "Größe, naïve café, ελληνικά, на русском, 日本語のテキスト, 한국어, עברית, ไทย",
    "def f(x_1):\n    return {'a': [1, 2, 3], \"b\": x_1 ** 2}  # <b>&amp;</b>\n",
    "emoji \U0001f999\U0001f680 and a\u200djoiner, ~~~tilde~~~ ``code`` \u2026",
)


def check(folder: Path, file: Path) -> None:
    """Blocks for a second or so; call it in a thread of its own.

    Raises ModelUnavailable when llama.cpp cannot load the file, Unsupported when it cuts a text otherwise.
    """
    from tokenizers import Tokenizer

    try:
        tokenizer = Tokenizer.from_file(str(folder / "tokenizer.json"))
    except Exception as error:  # the library raises nothing narrower
        raise Damaged("tokenizer.json", f"it cannot be read: {str(error)[:120]}") from error
    asyncio.run(_compare({text: len(tokenizer.encode(text).ids) for text in TEXTS}, file))


def try_out(folder: Path, template: str) -> None:
    """One token of the transformers engine. Raises what loading raises: Unsupported for a model that needs code of its
    own, Damaged for one that lacks weights. Blocks."""
    info = ModelInfo("the model", ("chat",), "transformers", chat_template=template)
    files = {path.name: str(path) for path in folder.iterdir() if path.is_file()}
    asyncio.run(_answered(EngineSpec("transformers", info.id, info, files, {"context": 256, "threads": 1})))


async def _answered(spec: EngineSpec) -> None:
    worker = Worker(spec)
    try:
        await worker.start()
        async for _ in worker.chat(_said(TEXTS[0])):
            pass
    finally:
        await worker.close()


async def _compare(expected: dict[str, int], file: Path) -> None:
    info = ModelInfo("the converted model", ("chat",), "llama_cpp", chat_template=PLAIN)
    options = {"context": 256, "parallel": 1, "threads": 1}
    worker = Worker(EngineSpec("llama_cpp", info.id, info, {file.name: str(file)}, options))
    try:
        await worker.start()
        for text, count in expected.items():
            found = await worker.count_tokens(_said(text))
            if found != count:
                raise Unsupported(
                    "Converting this model's tokenizer to GGUF",
                    f"llama.cpp makes {found} tokens of {text[:24]!r}, the original {count}.",
                )
        async for _ in worker.chat(_said(TEXTS[0])):
            pass
    finally:
        await worker.close()


def _said(text: str) -> ChatRequest:
    sampling = Sampling(max_tokens=1, temperature=0.0)
    return ChatRequest("", (Message("user", (TextPart(text=text),)),), sampling=sampling)
