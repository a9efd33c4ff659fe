"""Two tenants with repositories of the same name never meet each other's model, traces or usage."""

from __future__ import annotations

import json
from collections.abc import Iterator

import pytest

from tests.faults.dialects import NAMES, Failure, outcome, send, speak
from tests.faults.seen import wait_until
from tests.formats.makers import GgufMaker
from tests.servers import RunningServer, clean_environment, craton, serving

MODEL = "acme/secret"


@pytest.fixture(scope="module")
def tenants(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[RunningServer, dict[str, str]]]:
    """A server, and a developer's token of each tenant. red and blue have an acme/secret each, green has none."""
    folder = tmp_path_factory.mktemp("tenants")
    environment = clean_environment(folder / "home")
    maker = GgufMaker()
    tokens = {}
    for tenant, context in (("red", 111), ("blue", 222), ("green", 0)):
        craton("keys", "tenants", "create", tenant, environment=environment)
        made = craton("keys", "create", "--role", "developer", "--tenant", tenant, "--json", environment=environment)
        tokens[tenant] = json.loads(made.stdout)["token"]
        if context:
            file = folder / f"{tenant}.gguf"
            file.write_bytes(
                maker.model(
                    context=maker.number("llama.context_length", context),
                    name=maker.string("general.name", f"the {tenant} one"),
                    template=maker.string("tokenizer.chat_template", "{{ messages[0].content }}"),
                )
            )
            craton("models", "pull", str(file), "--name", MODEL, "--key", tokens[tenant], environment=environment)
    with serving(folder / "home") as server:
        yield server, tokens


@pytest.mark.parametrize("name", NAMES)
def test_a_foreign_model_looks_exactly_like_an_absent_one(
    name: str, tenants: tuple[RunningServer, dict[str, str]]
) -> None:
    server, tokens = tenants
    for stream in (False, True):
        told = []
        for model in (MODEL, "acme/absent"):
            failure = outcome(speak(name, server, tokens["green"]), model, "hello", stream=stream)
            assert isinstance(failure, Failure)
            told.append((failure.status, failure.code, failure.message.replace(model, "MODEL"), failure.kind))
        assert told[0] == told[1]
        assert told[0][0] == 404


def test_each_tenant_sees_its_own_model(tenants: tuple[RunningServer, dict[str, str]]) -> None:
    server, tokens = tenants
    seen = {}
    for tenant, token in tokens.items():
        with server.client() as client:
            client.headers["authorization"] = f"Bearer {token}"
            models = client.get("/api/craton/v1/models").json()["models"]
            seen[tenant] = {model["id"]: model.get("context_length") for model in models}
            assert (client.get(f"/v1/models/{MODEL}").status_code == 200) == (tenant != "green")
    assert seen["red"][MODEL] == 111
    assert seen["blue"][MODEL] == 222
    assert MODEL not in seen["green"]


def test_traces_and_usage_are_the_tenants_own(tenants: tuple[RunningServer, dict[str, str]]) -> None:
    server, tokens = tenants
    ids = {}
    for tenant in ("red", "blue"):
        dialect = speak("openai", server, tokens[tenant])
        response = send(dialect, dialect.body("echo", f"the secret of {tenant}"))
        ids[tenant] = response.headers["x-request-id"]

    def get(tenant: str, path: str) -> tuple[int, str]:
        with server.client() as client:
            client.headers["authorization"] = f"Bearer {tokens[tenant]}"
            response = client.get(path)
        return response.status_code, response.text

    for tenant, other in (("red", "blue"), ("blue", "red")):
        wait_until(lambda tenant=tenant: get(tenant, f"/api/craton/v1/requests/{ids[tenant]}")[0] == 200)  # type: ignore[misc]
        assert f"the secret of {tenant}" in get(tenant, f"/api/craton/v1/requests/{ids[tenant]}")[1]
        foreign, absent = (get(tenant, f"/api/craton/v1/requests/{id}") for id in (ids[other], "0" * 32))
        assert foreign[0] == absent[0] == 404
        assert foreign[1].replace(ids[other], "ID") == absent[1].replace("0" * 32, "ID")
        assert ids[other] not in get(tenant, "/api/craton/v1/requests")[1]
        lines = json.loads(get(tenant, "/api/craton/v1/usage")[1])["usage"]
        assert sum(line["requests"] for line in lines if line["model"] == "echo") == 1


def test_a_tenants_key_opens_nothing_of_the_operators(tenants: tuple[RunningServer, dict[str, str]]) -> None:
    server, tokens = tenants
    with server.client() as client:
        client.headers["authorization"] = f"Bearer {tokens['red']}"
        for path in ("/metrics", "/api/craton/v1/status"):
            assert client.get(path).status_code == 403
        assert client.delete(f"/api/craton/v1/loaded/{MODEL}").status_code == 403
