"""Looking inside models over the API and the command line, and who may."""

from __future__ import annotations

import json
import math
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.app.collaborating import Company, company
from tests.engines.llama_cpp.tiny_llama import HEADS, LAYERS, Lora
from tests.inspecting.tiny import IDS, TEXT, save_gguf

BASE, TUNED = "alice/tiny", "alice/tuned"
CONFIG = f"""
[engines.llama_cpp]
threads = 1
parallel = 2

[prices]
"{BASE}" = {{ input = 2.0, output = 8.0 }}
"""


@pytest.fixture(scope="module")
def firm(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Company]:
    folder = tmp_path_factory.mktemp("inspecting")
    with company(folder / "home", CONFIG) as running:
        save_gguf(folder / "tiny")
        Lora(base_model_name_or_path=BASE).save(folder / "lora")
        for name, files in ((BASE, "tiny"), (TUNED, "lora")):
            running.alice.create_repo(name, private=True)
            running.alice.upload_folder(repo_id=name, folder_path=folder / files)
        yield running


def ask(firm: Company, verb: str, body: dict[str, Any], model: str = BASE, status: int = 200, **headers: str) -> Any:
    api = firm.bob if headers.pop("by", "") == "bob" else firm.alice
    with firm.server.client() as client:
        sent = {"authorization": f"Bearer {api.token}", **headers}
        answer = client.post(f"/v1/models/{model}/{verb}", json=body, headers=sent, timeout=200)
    assert answer.status_code == status, answer.text
    return answer.json() if "json" in answer.headers["content-type"] else answer.content


def test_tokens_are_told_with_their_cost_and_load_no_model(firm: Company) -> None:
    told = ask(firm, "tokens", {"text": TEXT})
    assert [piece["id"] for piece in told["pieces"]] == IDS
    assert (told["model"], told["count"], told["characters"]) == (BASE, len(IDS), len(TEXT))
    assert told["cost"] == pytest.approx(len(IDS) * 2.0 / 1_000_000)
    assert ask(firm, "tokens", {"text": TEXT}, TUNED)["cost"] is None
    with firm.server.client() as client:
        assert client.get("/api/craton/v1/status").json()["loaded"] == []


def test_next_tokens_are_those_that_the_model_then_chooses_from(firm: Company) -> None:
    seen = []
    for model in (BASE, TUNED):
        told = ask(firm, "next", {"text": TEXT, "top": 20}, model)["tokens"]
        likely = [token["probability"] for token in told]
        assert likely == sorted(likely, reverse=True)
        assert 0 < sum(likely) <= 1.0001
        # The tiny model's template adds nothing to a text. Token 100 is a letter: of others a chat tells nothing.
        said = chat(firm, model, logprobs=True, top_logprobs=20, logit_bias={"100": 100})
        top = said["logprobs"]["content"][0]["top_logprobs"]
        assert [math.exp(one["logprob"]) for one in top] == pytest.approx(likely, rel=0.02)
        seen.append([token["id"] for token in told])
    assert seen[0] != seen[1]


def chat(firm: Company, model: str, **options: Any) -> Any:
    body = {"model": model, "messages": [{"role": "user", "content": TEXT}], "max_tokens": 1, "temperature": 0}
    with firm.server.client() as client:
        headers = {"authorization": f"Bearer {firm.alice.token}"}
        answer = client.post("/v1/chat/completions", json=body | options, headers=headers)
    return answer.json()["choices"][0]


@pytest.mark.slow
def test_attention_is_told_as_numbers_and_as_a_picture(firm: Company) -> None:
    pytest.importorskip("transformers")
    told = ask(firm, "attention", {"text": TEXT, "layer": 1})
    assert (told["layers"], told["heads"]) == (LAYERS, HEADS)
    assert [(grid["layer"], grid["head"]) for grid in told["attention"]] == [(1, head) for head in range(HEADS)]
    for grid in told["attention"]:
        for place, row in enumerate(grid["weights"]):
            assert sum(row) == pytest.approx(1, abs=1e-4)
            assert not any(row[place + 1 :])
    tuned = ask(firm, "attention", {"text": TEXT, "layer": 1}, TUNED)
    assert tuned["attention"] != told["attention"]
    assert ask(firm, "attention", {"text": TEXT}, accept="image/png").startswith(b"\x89PNG")


def test_what_is_asked_is_bounded_and_others_models_are_not_there(firm: Company) -> None:
    for verb in ("tokens", "attention", "next"):
        assert "text" in ask(firm, verb, {"text": ""}, status=400)["error"]["message"]
        assert "50,000" in ask(firm, verb, {"text": "w" * 50_001}, status=413)["error"]["message"]
        ask(firm, verb, {"text": TEXT}, status=404, by="bob")
        assert "files are not here" in ask(firm, verb, {"text": "a"}, "echo", status=400)["error"]["message"] or (
            verb == "next"
        )
    assert "top" in ask(firm, "next", {"text": "a", "top": 201}, status=400)["error"]["message"]
    assert "lyer" in ask(firm, "attention", {"text": "a", "lyer": 1}, status=400)["error"]["message"]


def test_the_command_line_shows_the_same(firm: Company, tmp_path: Path) -> None:
    def craton(*arguments: str) -> str:
        return firm.server.craton("explain", *arguments, "--key", str(firm.alice.token)).stdout

    told = json.loads(craton("tokens", TEXT, "--model", BASE, "--json"))
    assert [piece["id"] for piece in told["pieces"]] == IDS
    assert "\u2039w9\u203a" in craton("tokens", TEXT, "--model", BASE)
    assert "%" in craton("next", TEXT, "--model", TUNED, "--top", "3")
    pytest.importorskip("transformers")
    assert "\u2039w5\u203a" in craton("attention", TEXT, "--model", BASE, "--layer", "0", "--head", "1")
    picture = tmp_path / "attention.png"
    craton("attention", TEXT, "--model", BASE, "--layer", "0", "--out", str(picture))
    assert picture.read_bytes().startswith(b"\x89PNG")
