"""What callers see: vectors, counts, refusals, and turns."""

from __future__ import annotations

import asyncio
import json
import time
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from craton.core.chat import ChatRequest
from craton.core.errors import ContextExceeded, InvalidRequest, ModelUnavailable, TooLarge, Unsupported
from craton.core.model import EmbedAnswer, EmbedRequest
from craton.engines.bert import BertEngine

pytestmark = pytest.mark.anyio
TEXTS = ("a red cat sleeps.", "dog", "a blue dog runs runs runs.", "cats", "a a a a a a a a a a")
IDS = (
    [2, 4, 5, 7, 9, 12, 3],
    [2, 8, 3],
    [2, 4, 6, 8, 10, 10, 10, 12, 3],
    [2, 7, 11, 3],
    [2, *[4] * 10, 3],
)


def matrix(answer: EmbedAnswer) -> np.ndarray[Any, Any]:
    return np.array(answer.rows())


def ask(*inputs: str | tuple[int, ...], **options: Any) -> EmbedRequest:
    return EmbedRequest("m", inputs, **options)


@pytest.mark.parametrize("activation", ["gelu", "gelu_new", "relu"])
@pytest.mark.parametrize("pooling", ["mean", "cls"])
async def test_vectors_equal_those_of_numpy_in_the_order_asked(
    tiny: Any, numpy_bert: Callable[..., Any], activation: str, pooling: str
) -> None:
    config = {"pooling_mode_mean_tokens": pooling == "mean", "pooling_mode_cls_token": pooling == "cls"}
    tiny.write("1_Pooling/config.json", config)
    tiny.write("config.json", {**json.loads((tiny.folder / "config.json").read_text()), "hidden_act": activation})
    engine = BertEngine.load(tiny.spec())
    answer = await engine.embed(ask(*TEXTS))
    expected = [numpy_bert(tiny.weights, ids, activation, pooling) for ids in IDS]
    assert answer.tokens == tuple(map(len, IDS))
    np.testing.assert_allclose(matrix(answer), expected, atol=2e-5)
    await engine.close()


async def test_token_ids_are_those_of_the_text_alone(tiny: Any) -> None:
    engine = BertEngine.load(tiny.spec())
    answer = await engine.embed(ask("a red cat", (4, 5, 7)))
    assert answer.tokens == (5, 5)
    np.testing.assert_allclose(*answer.rows(), atol=1e-6)
    await engine.close()


@pytest.mark.parametrize("rename", [lambda n: f"bert.{n}", lambda n: n.replace("LayerNorm.weight", "LayerNorm.gamma")])
async def test_older_names_of_weights_are_understood(tiny: Any, rename: Callable[[str], str]) -> None:
    plain = BertEngine.load(tiny.spec())
    tiny.save({rename(name): value for name, value in tiny.weights.items()})
    renamed = BertEngine.load(tiny.spec())
    assert (await plain.embed(ask(*TEXTS))).vectors == (await renamed.embed(ask(*TEXTS))).vectors
    await plain.close()
    await renamed.close()


async def test_dimensions_cut_and_renormalise(tiny: Any) -> None:
    engine = BertEngine.load(tiny.spec())
    whole, cut = await engine.embed(ask(*TEXTS)), await engine.embed(ask(*TEXTS, dimensions=8))
    expected = matrix(whole)[:, :8]
    assert cut.dimensions == 8
    np.testing.assert_allclose(matrix(cut), expected / np.linalg.norm(expected, axis=1, keepdims=True), atol=1e-6)
    for wrong in (0, -1, 33):
        with pytest.raises(InvalidRequest, match="dimensions"):
            await engine.embed(ask("a", dimensions=wrong))
    await engine.close()


async def test_a_long_input_is_refused_with_both_numbers_or_cut(tiny: Any) -> None:
    tiny.write("sentence_bert_config.json", {"max_seq_length": 10, "do_lower_case": False})
    engine = BertEngine.load(tiny.spec())
    with pytest.raises(ContextExceeded) as caught:
        await engine.embed(ask("cat", "dog " * 9))
    assert (caught.value.limit, caught.value.prompt) == (10, 11)
    answer = await engine.embed(ask("dog " * 9, "dog " * 8, (8,) * 50, truncate=True))
    assert answer.tokens == (10, 10, 10)
    np.testing.assert_allclose(matrix(answer), matrix(answer)[[0, 0, 0]], atol=1e-6)
    await engine.close()


@pytest.mark.parametrize("bad", ["", (), (13,), (-1,), (4, 10**9), "\ud800"])
async def test_inputs_that_cannot_be_read_are_refused_by_index(tiny: Any, bad: Any) -> None:
    engine = BertEngine.load(tiny.spec())
    with pytest.raises(InvalidRequest) as caught:
        await engine.embed(ask("cat", bad))
    assert caught.value.field == "inputs[1]"
    await engine.close()


async def test_requests_have_bounds_and_chat_is_refused(tiny: Any) -> None:
    engine = BertEngine.load(tiny.spec())
    with pytest.raises(InvalidRequest):
        await engine.embed(ask())
    with pytest.raises(TooLarge):
        await engine.embed(ask(*["a"] * 20_000))
    with pytest.raises(TooLarge):
        await engine.embed(ask("a" * (2 << 20)))
    with pytest.raises(Unsupported):
        engine.chat(ChatRequest("m", ()))
    with pytest.raises(Unsupported):
        await engine.count_tokens(ChatRequest("m", ()))
    await engine.close()


async def queued(engine: BertEngine) -> None:
    """Returns when something waits in the queue."""
    for _ in range(4000):
        if engine._queue.waiting_tokens:
            return
        await asyncio.sleep(0.005)
    raise TimeoutError


async def longest_pause(until: asyncio.Event) -> float:
    """How long the loop once let a timer of 5 ms wait, in seconds."""
    longest = 0.0
    while not until.is_set():
        start = time.perf_counter()
        await asyncio.sleep(0.005)
        longest = max(longest, time.perf_counter() - start)
    return longest


async def test_a_query_passes_a_large_request_and_the_loop_stays_free(tiny: Any) -> None:
    engine = BertEngine.load(tiny.spec())
    over = asyncio.Event()
    pause = asyncio.create_task(longest_pause(over))
    large = asyncio.create_task(engine.embed(ask(*["a red cat sleeps. a blue dog runs."] * 16_000)))
    await queued(engine)
    await asyncio.wait_for(engine.embed(ask("cat")), 20)
    assert not large.done()
    assert len((await large).tokens) == 16_000
    over.set()
    assert await pause < 0.5
    await engine.close()


async def test_a_caller_that_leaves_frees_its_place(tiny: Any) -> None:
    engine = BertEngine.load(tiny.spec())
    large = asyncio.create_task(engine.embed(ask(*["a red cat sleeps. a blue dog runs."] * 16_000)))
    await queued(engine)
    large.cancel()
    with pytest.raises(asyncio.CancelledError):
        await large
    assert engine._queue.waiting_tokens == 0
    assert len((await engine.embed(ask("cat"))).tokens) == 1
    await engine.close()


async def test_closing_fails_what_waits_and_may_be_repeated(tiny: Any) -> None:
    engine = BertEngine.load(tiny.spec())
    waiting = asyncio.create_task(engine.embed(ask(*TEXTS * 1000)))
    await asyncio.sleep(0.05)
    await engine.close()
    await engine.close()
    with pytest.raises(ModelUnavailable):
        await asyncio.wait_for(waiting, 20)
    with pytest.raises(ModelUnavailable):
        await engine.embed(ask("cat"))


async def test_the_starter_knows_what_is_alike(starter: BertEngine) -> None:
    answer = await starter.embed(ask("A cat sleeps on the sofa.", "The kitten naps on the couch.", "Stocks fell."))
    vectors = matrix(answer)
    assert answer.dimensions == 384
    assert vectors[0] @ vectors[1] > 0.6
    assert vectors[0] @ vectors[2] < 0.2
    await starter.close()


async def test_the_starter_answers_alike_alone_and_in_a_batch(starter: BertEngine) -> None:
    texts = [f"Sentence number {i}. " + "It goes on for a while. " * (i % 9) for i in range(40)]
    together = matrix(await starter.embed(ask(*texts)))
    alone = np.concatenate([matrix(await starter.embed(ask(text))) for text in texts])
    at_once = [matrix(a) for a in await asyncio.gather(*(starter.embed(ask(text)) for text in texts))]
    assert (together * alone).sum(1).min() > 0.9999
    assert (together * np.concatenate(at_once)).sum(1).min() > 0.9999
    with pytest.raises(ContextExceeded) as caught:
        await starter.embed(ask("word " * 300))
    assert (caught.value.limit, caught.value.prompt) == (256, 302)
    await starter.close()
