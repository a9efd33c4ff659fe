"""Repositories as models: uploaded by the stock client, then asked by OpenAI's and Hugging Face's clients."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import numpy as np
import openai
import pytest
from huggingface_hub import HfApi, InferenceClient
from huggingface_hub.errors import BadRequestError, RepositoryNotFoundError

from tests.app.collaborating import Company, company
from tests.engines.bert.conftest import TinyBert, reference
from tests.engines.bert.families import MASK, TinyHead

MODEL = "acme/mini"
IDS = {"a red cat sleeps.": [2, 4, 5, 7, 9, 12, 3], "dog": [2, 8, 3]}
ECHO = "echo"


@pytest.fixture(scope="module")
def firm(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Company]:
    config = '[engines.bert]\nthreads = 1\nprecision = "f32"\n'
    with company(tmp_path_factory.mktemp("inference") / "home", config) as running:
        yield running


@pytest.fixture(scope="module")
def bert(firm: Company, tmp_path_factory: pytest.TempPathFactory) -> TinyBert:
    """acme/mini, private to alice."""
    folder = tmp_path_factory.mktemp("mini")
    made = TinyBert(folder)
    (folder / "train.py").write_text("print('never run')")
    firm.alice.create_repo(MODEL, private=True)
    firm.alice.upload_folder(repo_id=MODEL, folder_path=folder)
    return made


def token(api: HfApi) -> str:
    assert isinstance(api.token, str)
    return api.token


def asks(firm: Company, api: HfApi) -> openai.OpenAI:
    return openai.OpenAI(base_url=f"{firm.server.url}/v1", api_key=token(api), max_retries=0)


def client(firm: Company, api: HfApi, path: str) -> InferenceClient:
    return InferenceClient(model=f"{firm.server.url}/{path}", api_key=token(api))


def vector(ask: openai.OpenAI, model: str, text: str = "dog") -> list[float]:
    return ask.embeddings.create(model=model, input=text, encoding_format="float").data[0].embedding


def test_what_was_uploaded_answers_at_once_by_its_name_and_at_each_of_its_revisions(
    firm: Company, bert: TinyBert
) -> None:
    ask = asks(firm, firm.alice)
    first = firm.alice.model_info(MODEL).sha
    for name in (MODEL, f"{MODEL}@{first}", f"{MODEL}@main"):
        np.testing.assert_allclose(vector(ask, name), reference(bert.weights, IDS["dog"]), atol=2e-5)
    assert MODEL in {model.id for model in ask.models.list()}


def test_another_tenant_finds_it_once_it_is_shared_and_is_let_in_where_it_is_gated(
    firm: Company, bert: TinyBert
) -> None:
    name = "acme/shared"
    firm.alice.create_repo(name, private=True)
    firm.alice.upload_folder(repo_id=name, folder_path=bert.folder)
    bob, expected = asks(firm, firm.bob), reference(bert.weights, IDS["dog"])
    with pytest.raises(openai.NotFoundError) as hidden:
        vector(bob, f"{name}@main")
    with pytest.raises(openai.NotFoundError) as absent:
        vector(bob, "acme/sharee@main")
    assert hidden.value.message.replace("shared", "") == absent.value.message.replace("sharee", "")
    firm.alice.update_repo_settings(name, private=False)
    np.testing.assert_allclose(vector(bob, name), expected, atol=2e-5)
    assert name in {model.id for model in bob.models.list()}
    firm.alice.update_repo_settings(name, gated="manual")
    revision = firm.alice.model_info(name).sha  # another spelling: names are believed for two seconds
    with pytest.raises(openai.PermissionDeniedError, match="ask for access"):
        vector(bob, f"{name}@{revision}")
    assert name not in {model.id for model in bob.models.list()}
    assert vector(asks(firm, firm.alice), f"{name}@{revision}")
    firm.alice.grant_access(name, "bob")
    np.testing.assert_allclose(vector(bob, f"{name}@{revision}"), expected, atol=2e-5)
    assert name in {model.id for model in bob.models.list()}


def test_features_and_likeness_are_those_of_numpy(firm: Company, bert: TinyBert) -> None:
    texts = list(IDS)
    rows = np.array([reference(bert.weights, ids) for ids in IDS.values()])
    for path in (f"models/{MODEL}", f"models/{MODEL}@main/pipeline/feature-extraction"):
        asked = client(firm, firm.alice, path)
        np.testing.assert_allclose(asked.feature_extraction(texts[0]), rows[0], atol=2e-5)  # type: ignore[arg-type]
        np.testing.assert_allclose(asked.feature_extraction(texts), rows, atol=2e-5)  # type: ignore[arg-type]
    short = client(firm, firm.alice, f"models/{MODEL}").feature_extraction("dog", dimensions=4)
    np.testing.assert_allclose(short, rows[1, :4] / np.linalg.norm(rows[1, :4]), atol=2e-5)
    for path in (f"models/{MODEL}", f"models/{MODEL}/pipeline/sentence-similarity"):
        alike = client(firm, firm.alice, path).sentence_similarity(texts[0], other_sentences=[texts[1], texts[0]])
        np.testing.assert_allclose(alike, [rows[0] @ rows[1], 1.0], atol=2e-5)


def test_labels_and_masks_are_those_of_numpy(firm: Company, tmp_path: Path) -> None:
    labels = ("bad", "fair", "good")
    (tmp_path / "c").mkdir()
    (tmp_path / "f").mkdir()
    classifier, filler = TinyHead(tmp_path / "c", "distilbert", labels), TinyHead(tmp_path / "f", "roberta")
    for name, made in (("acme/moods", classifier), ("acme/words", filler)):
        firm.alice.create_repo(name)
        firm.alice.upload_folder(repo_id=name, folder_path=made.files.folder)
    logits = classifier.logits(IDS["dog"])
    moods = client(firm, firm.alice, "models/acme/moods")
    found = {it.label: it.score for it in moods.text_classification("dog", function_to_apply="none")}
    np.testing.assert_allclose([found[label] for label in labels], logits, atol=1e-3)
    [best] = moods.text_classification("dog", top_k=1)
    assert (best.label, best.score) == (
        labels[logits.argmax()],
        pytest.approx(1 / np.exp(logits - logits.max()).sum(), abs=1e-4),
    )
    words = client(firm, firm.alice, "models/acme/words/pipeline/fill-mask")
    scores = filler.logits([2, 4, 5, MASK, 9, 12, 3])
    assert [it.token for it in words.fill_mask("a red [MASK] sleeps.")] == np.argsort(-scores)[:5].tolist()
    [cat] = words.fill_mask("a red [MASK] sleeps.", targets=["cat"], top_k=3)
    assert (cat.token_str, cat.sequence) == ("cat", "a red cat sleeps .")
    with pytest.raises(BadRequestError, match="once is read"):
        words.fill_mask("a red cat")
    with pytest.raises(openai.BadRequestError, match="This model can do: classify"):
        vector(asks(firm, firm.alice), "acme/moods")


def test_what_cannot_be_done_is_refused_in_words_that_the_client_shows(firm: Company, bert: TinyBert) -> None:
    mini = client(firm, firm.alice, f"models/{MODEL}")
    with pytest.raises(BadRequestError, match="unit length"):
        mini.feature_extraction("dog", normalize=False)
    with pytest.raises(BadRequestError, match="it is empty"):
        mini.sentence_similarity("dog", other_sentences=[""])
    with pytest.raises(BadRequestError, match="context of acme/mini holds 24"):
        mini.feature_extraction("dog " * 30)
    assert mini.feature_extraction("dog " * 30, truncate=True).shape == (32,)
    for task in ("summarization", "x" * 300):
        with pytest.raises(BadRequestError, match=f"The task '{task[:60]}' under a model's URL is not supported"):
            client(firm, firm.alice, f"models/{MODEL}/pipeline/{task}").feature_extraction("dog")
    with pytest.raises(BadRequestError, match="chat_completion"):
        client(firm, firm.alice, f"models/{ECHO}/pipeline/text-generation").feature_extraction("dog")
    with pytest.raises(RepositoryNotFoundError, match="craton models list"):
        client(firm, firm.alice, "models/acme/none").feature_extraction("dog")
    with pytest.raises(RepositoryNotFoundError):
        client(firm, firm.bob, f"models/{MODEL}").feature_extraction("dog")


@pytest.mark.parametrize("path", ["", "v1", f"models/{ECHO}", f"models/{ECHO}/v1/chat/completions"])
def test_chat_completion_speaks_to_the_server_and_to_a_models_own_url(firm: Company, path: str) -> None:
    chat = InferenceClient(base_url=f"{firm.server.url}/{path}", api_key=token(firm.alice)).chat.completions
    model = ECHO if "models" not in path else None
    messages = [{"role": "user", "content": "three small words"}]
    whole = chat.create(messages, model=model)
    assert "three small words" in (whole.choices[0].message.content or "")
    parts = [part for part in chat.create(messages, model=model, stream=True) if part.choices]
    assert len(parts) > 1
    assert "".join(part.choices[0].delta.content or "" for part in parts) == whole.choices[0].message.content
