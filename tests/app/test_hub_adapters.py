"""Fine-tuned adapters as models: uploaded by the stock client, asked by OpenAI's and Hugging Face's."""

from __future__ import annotations

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import openai
import pytest
from huggingface_hub import HfApi, InferenceClient

from tests.app.collaborating import Company, company
from tests.engines.llama_cpp.tiny_llama import TEMPLATE, Lora, random_weights, write_gguf
from tests.servers import RunningServer

BASE, TUNED = "alice/tiny", "alice/tuned"
UPSTREAM = "upstream-labs/tiny-of-another-name"
CONFIG = f"""
[aliases]
"{UPSTREAM}" = "{BASE}"

[engines.llama_cpp]
threads = 1
parallel = 1
"""


@pytest.fixture(scope="module")
def firm(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Company]:
    with company(tmp_path_factory.mktemp("adapters") / "home", CONFIG) as running:
        running.alice.create_repo(BASE, private=True)
        running.alice.upload_folder(repo_id=BASE, folder_path=tiny(tmp_path_factory.mktemp("base") / "tiny"))
        yield running


def tiny(folder: Path, template: str | None = TEMPLATE) -> Path:
    folder.mkdir()
    write_gguf(folder / "tiny.gguf", random_weights(), template)
    return folder


def upload(api: HfApi, name: str, lora: Lora, folder: Path, *, private: bool = True) -> str:
    """The revision."""
    lora.save(folder)
    api.create_repo(name, private=private, exist_ok=True)
    return api.upload_folder(repo_id=name, folder_path=folder).oid


def said(server: RunningServer, token: object, model: str) -> str:
    """The first words, the likeliest ones."""
    with openai.OpenAI(base_url=f"{server.url}/v1", api_key=str(token), max_retries=0) as client:
        answer = client.chat.completions.create(
            model=model, messages=[{"role": "user", "content": "w1 w2 w3"}], max_tokens=12, temperature=0
        )
    return str(answer.choices[0].message.content)


def test_an_adapter_answers_at_each_of_its_revisions_and_its_base_as_before(firm: Company, tmp_path: Path) -> None:
    before = said(firm.server, firm.alice.token, BASE)
    first = upload(firm.alice, TUNED, Lora(base_model_name_or_path=BASE), tmp_path / "one")
    one = said(firm.server, firm.alice.token, TUNED)
    second = upload(firm.alice, TUNED, Lora(seed=6, base_model_name_or_path=BASE), tmp_path / "two")
    two = said(firm.server, firm.alice.token, f"{TUNED}@{second}")
    assert len({before, one, two}) == 3
    assert said(firm.server, firm.alice.token, f"{TUNED}@{first}") == one
    assert said(firm.server, firm.alice.token, BASE) == before
    client = InferenceClient(base_url=firm.server.url, api_key=str(firm.alice.token))
    asked = client.chat_completion([{"role": "user", "content": "w1 w2 w3"}], model=TUNED, max_tokens=4, temperature=0)
    assert two.startswith(str(asked.choices[0].message.content).rstrip("\ufffd"))
    with firm.server.client() as http:
        headers = {"authorization": f"Bearer {firm.alice.token}"}
        shown = http.get(f"/api/craton/v1/models/{TUNED}", headers=headers).json()
    assert shown["base"].startswith(f"{BASE}@")
    assert (shown["engine"], shown["details"]["rank"], shown["details"]["alpha"]) == ("llama_cpp", 4, 8)


def test_the_base_may_be_named_with_a_revision_or_by_an_alias(firm: Company, tmp_path: Path) -> None:
    revision = firm.alice.model_info(BASE).sha
    upload(firm.alice, "alice/pinned", Lora(base_model_name_or_path=BASE, revision=revision), tmp_path / "pinned")
    upload(firm.alice, "alice/renamed", Lora(base_model_name_or_path=UPSTREAM), tmp_path / "renamed")
    pinned = said(firm.server, firm.alice.token, "alice/pinned")
    assert pinned == said(firm.server, firm.alice.token, "alice/renamed")


def test_an_adapter_with_a_chat_template_runs_over_a_base_without_one(firm: Company, tmp_path: Path) -> None:
    bare, folder = "alice/pretrained", tmp_path / "sft"
    firm.alice.create_repo(bare)
    firm.alice.upload_folder(repo_id=bare, folder_path=tiny(tmp_path / "bare", template=None))
    upload(firm.alice, "alice/sft", Lora(base_model_name_or_path=bare), folder)
    for name, reason in ((bare, "no chat template"), ("alice/sft", "has a chat template")):
        with pytest.raises(openai.BadRequestError) as refused:
            said(firm.server, firm.alice.token, name)
        assert reason in str(refused.value)
    (folder / "chat_template.jinja").write_text(TEMPLATE)
    revision = upload(firm.alice, "alice/sft", Lora(base_model_name_or_path=bare), folder)
    same = Lora(base_model_name_or_path=BASE)
    upload(firm.alice, "alice/same", same, tmp_path / "same")
    assert said(firm.server, firm.alice.token, f"alice/sft@{revision}") == said(
        firm.server, firm.alice.token, "alice/same"
    )


def test_an_adapter_without_its_base_says_how_to_get_it(firm: Company, tmp_path: Path) -> None:
    upload(firm.alice, "alice/alone", Lora(base_model_name_or_path="acme/absent"), tmp_path / "alone")
    with pytest.raises(openai.NotFoundError) as missing:
        said(firm.server, firm.alice.token, "alice/alone")
    assert "acme/absent" in str(missing.value)
    assert "craton models pull" in str(missing.value)


def test_a_shared_adapter_gives_nobody_its_private_base(firm: Company, tmp_path: Path) -> None:
    upload(firm.alice, "alice/shared", Lora(base_model_name_or_path=BASE), tmp_path / "shared", private=False)
    assert said(firm.server, firm.alice.token, "alice/shared")
    with pytest.raises(openai.NotFoundError) as hidden:
        said(firm.server, firm.bob.token, "alice/shared")
    assert "base model" in str(hidden.value)


def test_an_adapter_that_changes_nothing_or_does_not_fit_is_an_error_of_loading(firm: Company, tmp_path: Path) -> None:
    zero, wide = Lora(base_model_name_or_path=BASE), Lora(base_model_name_or_path=BASE)
    for name in list(zero.tensors):
        if "lora_B" in name:
            zero.tensors[name] *= 0
            wide.tensors[name] = wide.tensors[name].repeat(2, axis=0)
    upload(firm.alice, "alice/zero", zero, tmp_path / "zero")
    upload(firm.alice, "alice/wide", wide, tmp_path / "wide")
    upload(firm.alice, "alice/dora", Lora(base_model_name_or_path=BASE, use_dora=True), tmp_path / "dora")
    upload(firm.alice, "alice/twice", Lora(base_model_name_or_path="alice/zero"), tmp_path / "twice")
    for name, reason in (("zero", "changes no logits"), ("dora", "use_dora"), ("twice", "an adapter itself")):
        with pytest.raises(openai.BadRequestError) as refused:
            said(firm.server, firm.alice.token, f"alice/{name}")
        assert reason in str(refused.value)
    with pytest.raises(openai.InternalServerError) as broken:
        said(firm.server, firm.alice.token, "alice/wide")
    assert "is for a weight of" in str(broken.value)


def test_adapters_of_several_tenants_over_a_shared_base_are_one_worker_and_tell_nothing_of_each_other(
    firm: Company, tmp_path: Path
) -> None:
    base = "alice/common"
    firm.alice.create_repo(base, private=False)
    firm.alice.upload_folder(repo_id=base, folder_path=tiny(tmp_path / "common"))
    names = {"alice/one": firm.alice, "alice/two": firm.alice, "bob/three": firm.bob, "bob/one": firm.bob}
    for seed, (name, api) in enumerate(names.items()):
        upload(api, name, Lora(seed=20 + seed, base_model_name_or_path=base), tmp_path / f"lora-{seed}")
    with ThreadPoolExecutor(8) as threads:  # different ones at once, each several times
        asked = [(name, threads.submit(said, firm.server, api.token, name)) for name, api in names.items()] * 2
    answers = {name: answer.result() for name, answer in asked}
    assert len(set(answers.values())) == len(names)
    # Alone in a worker each says the same: the other revisions of this module's base are no part of that one.
    for name, api in names.items():
        assert said(firm.server, api.token, name) == answers[name]
    with firm.server.client() as client:
        workers = [it for it in client.get("/api/craton/v1/status").json()["loaded"] if it["model"] == base]
        metrics = client.get("/metrics").text
    [worker] = [it for it in workers if not it["finishing"]]
    assert {adapter["model"] for adapter in worker["adapters"]} == set(names)
    assert worker["bytes_needed"] > sum(adapter["bytes"] for adapter in worker["adapters"])
    assert 'craton_model_running{model="bob/three"} 0.0' in metrics
    with pytest.raises(openai.NotFoundError):
        said(firm.server, firm.bob.token, "alice/one")
    with (
        pytest.raises(openai.BadRequestError) as refused,
        openai.OpenAI(base_url=f"{firm.server.url}/v1", api_key=str(firm.bob.token), max_retries=0) as client,
    ):
        client.chat.completions.create(
            model="bob/three", messages=[{"role": "user", "content": "w1 " * 500}], max_tokens=1
        )
    assert "alice" not in str(refused.value)
    text = firm.server.craton("status").stdout
    assert "+ bob/three" in text
