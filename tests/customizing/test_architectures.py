"""Models of several kinds brought in by unmodified boto3: decoders with adapters over them, models that think aloud,
one that fills gaps, a classifier and a cross-encoder. What they say is held against transformers and PEFT. All
architectures: `python -m tests.proof architectures`."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import anthropic
import httpx
import openai
import pytest
from botocore.exceptions import ClientError

from tests.app.collaborating import company
from tests.customizing.architectures import CONFIG, Workshop, built, encoder, lora, original
from tests.customizing.clients import Clients
from tests.customizing.speaking import ANSWER, QUESTION, THOUGHT, deepseek_r1, gpt_oss

torch = pytest.importorskip("torch")
transformers = pytest.importorskip("transformers")
pytest.importorskip("peft")

HALVES = 0.02
"""The largest difference of log-probabilities that 16-bit caches and tables are allowed here."""
ADAPTED = {"gpt2": ["c_attn", "c_fc"], "deepseek_r1": ["o_proj"]}
LABELS = ("calm", "angry", "glad")
WORDS = "the quick brown fox jumps over lazy dog"


@pytest.fixture(scope="module")
def workshop(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Workshop]:
    folder = tmp_path_factory.mktemp("folders")
    torch.set_num_threads(1)
    built("gpt2", folder)
    built("code_llama", folder, template=None)
    deepseek_r1(folder / "deepseek_r1")
    gpt_oss(folder / "gpt_oss")
    encoder(folder / "classifier", LABELS)
    encoder(folder / "reranker", ("relevant",))
    with company(tmp_path_factory.mktemp("workshop") / "home", CONFIG) as running:
        shop = Workshop(Clients(running.server, str(running.alice.token)), folder)
        jobs = [shop.start(path.name) for path in sorted(folder.iterdir())]
        for job in jobs:
            shop.brought(job)
        yield shop


def ask(workshop: Workshop) -> openai.OpenAI:
    return openai.OpenAI(base_url=f"{workshop.url}/v1", api_key=workshop.clients.token)


@pytest.mark.slow
@pytest.mark.parametrize("name", sorted(ADAPTED))
def test_an_adapter_over_an_imported_model_adds_what_peft_adds(workshop: Workshop, name: str, tmp_path: Path) -> None:
    base = workshop.named(name)
    adapted = lora(original(workshop.folder / name), ADAPTED[name], tmp_path, base)
    repo = workshop.push(f"alice/over-{name.replace('_', '-')}", tmp_path)
    worst, compared = workshop.difference(repo, name, adapted)
    assert worst < HALVES
    assert compared >= 20
    assert workshop.difference(base, name, original(workshop.folder / name))[0] < HALVES
    assert workshop.difference(repo, name, original(workshop.folder / name))[0] > 5 * HALVES


@pytest.mark.parametrize("name", ["deepseek_r1", "gpt_oss"])
def test_what_a_model_thinks_is_told_apart_from_what_it_answers(workshop: Workshop, name: str) -> None:
    model = workshop.named(name)
    asked: dict[str, Any] = {"messages": [{"role": "user", "content": [{"text": QUESTION}]}]}
    inference = {"maxTokens": 60, "temperature": 0}
    content = workshop.clients.runtime.converse(modelId=model, **asked, inferenceConfig=inference)
    thought, answer = content["output"]["message"]["content"]
    assert thought["reasoningContent"]["reasoningText"]["text"].strip() == THOUGHT
    assert answer["text"] == ANSWER
    stream = workshop.clients.runtime.converse_stream(modelId=model, **asked, inferenceConfig=inference)["stream"]
    deltas = [event["contentBlockDelta"]["delta"] for event in stream if "contentBlockDelta" in event]
    assert "".join(delta.get("text", "") for delta in deltas) == ANSWER
    assert (
        "".join(delta["reasoningContent"]["text"] for delta in deltas if "reasoningContent" in delta).strip() == THOUGHT
    )
    with ask(workshop) as client:
        chat = client.chat.completions.create(
            model=model, messages=[{"role": "user", "content": QUESTION}], max_tokens=60, temperature=0
        )
    message = chat.choices[0].message
    assert (message.content, message.reasoning_content.strip()) == (ANSWER, THOUGHT)  # type: ignore[attr-defined]
    with anthropic.Anthropic(base_url=workshop.url, api_key=workshop.clients.token) as client:
        told = client.messages.create(
            model=model,
            messages=[{"role": "user", "content": QUESTION}],
            max_tokens=60,
            extra_body={"temperature": 0},
        )
    assert [block.type for block in told.content] == ["thinking", "text"]
    assert told.content[0].thinking.strip() == THOUGHT  # type: ignore[union-attr]
    assert told.content[1].text == ANSWER  # type: ignore[union-attr]


def test_a_base_model_goes_on_with_a_text_and_fills_a_gap_between_its_own_marks(workshop: Workshop) -> None:
    from tokenizers import Tokenizer

    assert workshop.clients.bedrock.get_imported_model(modelIdentifier="code-llama")["instructSupported"] is False

    model, folder = workshop.named("code_llama"), workshop.folder / "code_llama"
    asked: dict[str, Any] = {"model": model, "prompt": "the quick ", "max_tokens": 1, "temperature": 0, "logprobs": 5}
    with ask(workshop) as client:
        filled = client.completions.create(**asked, suffix="over the dog", logit_bias={"40": 100})
        plain = client.completions.create(**asked, logit_bias={"40": 100})
        streamed = client.completions.create(**asked, suffix="over the dog", logit_bias={"40": 100}, stream=True)
        assert "".join(chunk.choices[0].text for chunk in streamed) == filled.choices[0].text
        with pytest.raises(openai.BadRequestError, match="gap"):
            client.completions.create(**asked | {"model": workshop.named("gpt2")}, suffix="over the dog")
    tokenizer = Tokenizer.from_file(str(folder / "tokenizer.json"))
    pieces = [tokenizer.encode(text, add_special_tokens=False).ids for text in ("the quick ", "over the dog")]
    marks = [tokenizer.token_to_id(mark) for mark in ("▁<PRE>", "▁<SUF>", "▁<MID>")]
    start = [tokenizer.token_to_id("<s>")]
    ids = [*start, marks[0], *pieces[0], marks[1], *pieces[1], marks[2]]
    assert filled.usage is not None
    assert filled.usage.prompt_tokens == len(ids)
    for answer, row in ((filled, ids), (plain, [*start, *pieces[0]])):
        told = answer.choices[0].logprobs
        assert told is not None
        assert told.top_logprobs is not None
        with torch.no_grad():
            logits = original(folder)(torch.tensor([row])).logits[0, -1]
        expected = torch.log_softmax(logits, -1)
        assert max(told.top_logprobs[0].values()) == pytest.approx(float(expected.max()), abs=HALVES)
        assert all((expected - value).abs().min() < HALVES for value in told.top_logprobs[0].values())


def test_a_classifier_tells_its_labels_and_an_adapter_other_ones(workshop: Workshop, tmp_path: Path) -> None:
    folder = workshop.folder / "classifier"
    model = transformers.AutoModelForSequenceClassification.from_pretrained(folder).eval()
    tokenizer = transformers.AutoTokenizer.from_pretrained(folder)
    with torch.no_grad():
        logits = model(**tokenizer(WORDS, return_tensors="pt")).logits[0]
    expected = dict(zip(LABELS, torch.softmax(logits, -1).tolist(), strict=True))
    assert workshop.classify(workshop.named("classifier"), WORDS) == pytest.approx(expected, abs=1e-4)
    adapted = lora(
        model, ["query", "intermediate.dense", "output.dense"], tmp_path, workshop.named("classifier"), "SEQ_CLS"
    )
    with torch.no_grad():
        tuned = adapted(**tokenizer(WORDS, return_tensors="pt")).logits[0]
    found = workshop.classify(workshop.push("alice/moods", tmp_path), WORDS)
    assert (logits - tuned).abs().max() > 0.1
    assert found == pytest.approx(dict(zip(LABELS, torch.softmax(tuned, -1).tolist(), strict=True)), abs=1e-4)


def test_a_cross_encoder_reranks_what_it_reads_with_the_query(workshop: Workshop) -> None:
    folder = workshop.folder / "reranker"
    model = transformers.AutoModelForSequenceClassification.from_pretrained(folder).eval()
    tokenizer = transformers.AutoTokenizer.from_pretrained(folder)
    texts = ["lazy dog", "the quick brown fox jumps over the lazy dog", "fox", "over over the fox " * 30]
    with torch.no_grad():
        rows = tokenizer([WORDS] * 4, texts, return_tensors="pt", padding=True, truncation="only_second", max_length=64)
        scores = torch.sigmoid(model(**rows).logits[:, 0]).tolist()
    found = workshop.rerank("reranker", WORDS, texts)
    assert found == pytest.approx(dict(enumerate(scores)), abs=1e-4)
    assert list(found.values()) == sorted(found.values(), reverse=True)
    asked = {"model": workshop.push("alice/judge", folder), "query": WORDS, "documents": texts}
    headers = {"authorization": f"Bearer {workshop.clients.token}"}
    answer = httpx.post(f"{workshop.url}/v1/rerank", json=asked, headers=headers, trust_env=False, timeout=60)
    same = {one["index"]: one["relevance_score"] for one in answer.raise_for_status().json()["results"]}
    assert list(same.items()) == [(index, pytest.approx(score, abs=1e-6)) for index, score in found.items()]
    with pytest.raises(ClientError, match="3 labels"):
        workshop.rerank("classifier", WORDS, texts)
