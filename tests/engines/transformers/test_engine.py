"""What the transformers engine answers is what transformers computes; where to stop, and what to tell, is ours."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from contextlib import aclosing
from pathlib import Path

import pytest

from craton.core.chat import ChatRequest, Message, ReasoningPart, Sampling, TextPart, Tool
from craton.core.errors import ContextExceeded, Damaged, Unsupported
from craton.core.events import ChatAnswer, Delta, fold, fold_stream
from craton.core.model import ModelInfo
from craton.engines.protocol import EngineSpec
from craton.engines.transformers.writing import Writer
from craton.engines.worker.supervisor import Worker
from tests.tiny_models import CHAT, build

torch = pytest.importorskip("torch")
transformers = pytest.importorskip("transformers")

from craton.engines.transformers.engine import TransformersEngine  # noqa: E402

TEXT = "The quick brown fox"


def spec(folder: Path, template: str | None = CHAT) -> EngineSpec:
    info = ModelInfo("tiny", ("chat",), "transformers", chat_template=template, context_length=256)
    files = {path.name: str(path) for path in folder.iterdir()}
    return EngineSpec("transformers", "tiny", info, files, {"threads": 1})


def request(text: str = TEXT, **sampling: object) -> ChatRequest:
    settings = Sampling(**{"max_tokens": 8, "temperature": 0.0, **sampling})  # type: ignore[arg-type]
    return ChatRequest("tiny", (Message("user", (TextPart(text=text),)),), sampling=settings)


def ask(engine: TransformersEngine, asked: ChatRequest) -> ChatAnswer:
    return asyncio.run(fold_stream(engine.chat(asked)))


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return build("qwen3", tmp_path_factory.mktemp("tiny") / "qwen3")


@pytest.fixture(scope="module")
def engine(folder: Path) -> Iterator[TransformersEngine]:
    loaded = TransformersEngine.load(spec(folder))
    yield loaded
    asyncio.run(loaded.close())


def test_greedy_tokens_and_their_probabilities_are_those_of_generate(engine: TransformersEngine, folder: Path) -> None:
    from tokenizers import Tokenizer

    tokenizer = Tokenizer.from_file(str(folder / "tokenizer.json"))
    prompt = f"<|im_start|>user\n{TEXT}<|im_end|>\n<|im_start|>assistant\n"
    ids = torch.tensor([tokenizer.encode(prompt).ids])
    original = transformers.AutoModelForCausalLM.from_pretrained(folder, dtype=torch.float32)
    made = original.generate(
        ids, max_new_tokens=8, do_sample=False, output_scores=True, return_dict_in_generate=True, pad_token_id=0
    )
    answer = ask(engine, request(logprobs=3))
    new = made.sequences[0, ids.shape[1] :].tolist()
    expected = [torch.log_softmax(scores[0], -1) for scores in made.scores]
    assert answer.choices[0].text() == tokenizer.decode(new)
    assert answer.usage.input == ids.shape[1] == asyncio.run(engine.count_tokens(request()))
    assert answer.usage.output == len(answer.choices[0].logprobs) == len(new)
    for token, told, scores in zip(new, answer.choices[0].logprobs, expected, strict=True):
        assert told.logprob == pytest.approx(scores[token].item(), abs=1e-4)
        assert [one.logprob for one in told.top] == pytest.approx(torch.topk(scores, 3).values.tolist(), abs=1e-4)


def test_a_seed_repeats_an_answer_and_another_one_does_not(engine: TransformersEngine) -> None:
    said = [ask(engine, request(temperature=1.5, top_p=1.0, seed=seed)).choices[0].text() for seed in (7, 7, 8)]
    assert said[0] == said[1] != said[2]


def test_the_choice_is_held_by_bias_top_k_and_penalties(engine: TransformersEngine) -> None:
    greedy = ask(engine, request(max_tokens=4, logprobs=0)).choices[0]
    assert ask(engine, request(max_tokens=4, temperature=3.0, top_k=1)).choices[0].text() == greedy.text()
    forced = ask(engine, request(max_tokens=3, logprobs=0, logit_bias={40: 1000.0})).choices[0]
    assert len({one.token for one in forced.logprobs}) == 1
    varied = ask(
        engine, request(max_tokens=3, logprobs=0, logit_bias={40: 1000.0, 41: 999.0}, presence_penalty=2.0)
    ).choices[0]
    assert len({one.token for one in varied.logprobs}) > 1


def test_a_cancelled_answer_leaves_the_engine_free(engine: TransformersEngine) -> None:
    async def leave() -> None:
        async with aclosing(engine.chat(request(max_tokens=200, logit_bias={40: 1000.0}))) as events:
            async for event in events:
                if isinstance(event, Delta):
                    break

    asyncio.run(asyncio.wait_for(leave(), 20))
    assert ask(engine, request(max_tokens=2)).usage.output <= 2


def test_what_it_cannot_do_is_refused_before_any_work(engine: TransformersEngine, tmp_path: Path) -> None:
    with pytest.raises(ContextExceeded):
        ask(engine, request("word " * 400))
    tools = (Tool("f", {"type": "object"}),)
    with pytest.raises(Unsupported):
        ask(engine, ChatRequest("tiny", request().messages, tools=tools))
    strange = tmp_path / "strange"
    strange.mkdir()
    (strange / "config.json").write_text('{"model_type": "nobody_knows", "auto_map": {"AutoConfig": "evil.Config"}}')
    (strange / "evil.py").write_text("raise SystemExit('it ran')")
    (strange / "tokenizer.json").write_bytes((build("gpt2", tmp_path / "gpt2") / "tokenizer.json").read_bytes())
    with pytest.raises((Unsupported, Damaged)):
        TransformersEngine.load(spec(strange))


def test_weights_that_are_missing_are_not_made_up(folder: Path, tmp_path: Path) -> None:
    from safetensors.torch import load_file, save_file

    cut = tmp_path / "cut"
    cut.mkdir()
    for path in folder.iterdir():
        (cut / path.name).write_bytes(path.read_bytes())
    weights = load_file(cut / "model.safetensors")
    del weights["model.layers.1.mlp.up_proj.weight"]
    save_file(weights, cut / "model.safetensors", metadata={"format": "pt"})
    with pytest.raises(Damaged, match="up_proj"):
        TransformersEngine.load(spec(cut))


@pytest.mark.slow
def test_it_runs_in_a_worker(folder: Path, engine: TransformersEngine) -> None:
    async def answered() -> ChatAnswer:
        worker = Worker(spec(folder))
        try:
            await worker.start()
            return await fold_stream(worker.chat(request()))
        finally:
            await worker.close()

    assert asyncio.run(answered()).choices[0].text() == ask(engine, request()).choices[0].text()


@pytest.mark.parametrize("size", [1, 2, 5, 100])
def test_thoughts_and_stop_strings_are_found_wherever_the_pieces_end(size: int) -> None:
    text = "<think>\nfirst, </thin no</think>\n\nthe answer. STOP and more"
    writer = Writer(["STOP"], thinking=False)
    events = [event for start in range(0, len(text), size) for event in writer.feed(text[start : start + size])]
    events += writer.finish()
    from craton.core.events import Stop, Usage

    parts = fold([*events, Stop(reason="stop_sequence", sequence=writer.stopped), Usage(1, 1)]).choices[0].parts
    assert parts == (ReasoningPart(text="\nfirst, </thin no"), TextPart(text="the answer. "))
    assert writer.stopped == "STOP"
