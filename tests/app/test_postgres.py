"""The whole server on PostgreSQL, and two of them on one."""

from __future__ import annotations

import json
import time
from pathlib import Path

import httpx
import pytest
from sqlalchemy import make_url

from tests.app.asking import trace_of
from tests.app.knowing import Aws, keys
from tests.faults.dialects import NAMES, speak
from tests.faults.seen import wait_until
from tests.servers import RunningServer, serving


def database_line(url: str) -> str:
    return f'[server]\ndatabase = "{make_url(url).render_as_string(hide_password=False)}"'


def status(server: RunningServer, token: str) -> int:
    return httpx.get(
        f"{server.url}/v1/models", headers={"authorization": f"Bearer {token}"}, trust_env=False
    ).status_code


def new_key(server: RunningServer, name: str) -> tuple[str, str]:
    """Key id and token of a new key, made on the command line."""
    made = json.loads(server.craton("keys", "create", "--name", name, "--json").stdout)
    return made["key_id"], made["token"]


def test_two_servers_on_one_postgres_serve_the_same_keys(tmp_path: Path, postgres_url: str) -> None:
    first_home, second_home = tmp_path / "first", tmp_path / "second"
    with serving(first_home, config=database_line(postgres_url)) as first:
        assert not (first_home / "craton.db").exists()
        for name in NAMES:
            assert speak(name, first).ask("echo", "one two three") == "one two three"
        second_home.mkdir()
        for name in ("master.key", "root.key"):
            (second_home / name).write_bytes((first_home / name).read_bytes())
        with serving(second_home, config=database_line(postgres_url)) as second:
            assert second.token == first.token
            assert second.token not in second.log.read_text()  # the second one made no root key of its own
            key_id, token = new_key(first, "shared")
            assert [status(it, token) for it in (first, second)] == [200, 200]
            reply = httpx.post(
                f"{second.url}/v1/chat/completions",
                json={"model": "echo", "messages": [{"role": "user", "content": "over there"}]},
                headers={"authorization": f"Bearer {token}"},
                trust_env=False,
            )
            with first.client() as client:  # what one recorded, the other one shows
                row = trace_of(client, reply.headers["x-request-id"])["row"]
                assert (row["key_id"], row["input_tokens"]) == (key_id, 2)
                wait_until(lambda: client.get("/api/craton/v1/usage").json()["usage"][0]["requests"] == 4)
            second.craton("keys", "revoke", key_id)
            begun = time.monotonic()
            for it in (first, second):
                wait_until(lambda it=it: status(it, token) == 401)  # type: ignore[misc]
            assert time.monotonic() - begun < 10  # promised within about a second


@pytest.mark.parametrize("kind", ["sqlite", "postgres"])
def test_a_strange_request_does_not_stop_the_rows_of_others(
    tmp_path: Path, kind: str, request: pytest.FixtureRequest
) -> None:
    config = database_line(request.getfixturevalue("postgres_url")) if kind == "postgres" else ""
    with serving(tmp_path / "home", config=config) as server, server.client() as client:

        def ask(model: str, text: str) -> str:
            body = {"model": model, "messages": [{"role": "user", "content": text}]}
            return client.post("/v1/chat/completions", json=body).headers["x-request-id"]

        strange = ask("no\0thing", "x\0y")
        good = ask("echo", "x\0y")
        assert trace_of(client, good)["request"]["messages"][0]["parts"][0]["text"] == "x\0y"
        assert trace_of(client, strange)["row"]["error"] == "NotFound"


def test_a_knowledge_base_lives_on_postgres_rows_too(tmp_path: Path, postgres_url: str) -> None:
    """Brought in by a job's process, searched, changed, deleted: all rows on PostgreSQL, the index embedded."""
    with serving(tmp_path / "home", config=database_line(postgres_url)) as server:
        base = Aws(server).base()
        source = base.filled({"one.txt": "The first text of all.", "two.txt": "A second text.", "bad.txt": b""})
        assert source.documents()["bad.txt"]["status"] == "FAILED"
        assert set(keys(base.retrieve("text"))) == {"one.txt", "two.txt"}
        source.put("one.txt", "The first text was changed.")
        source.delete("two.txt")
        statistics = source.ingest()["statistics"]
        assert (statistics["numberOfModifiedDocumentsIndexed"], statistics["numberOfDocumentsDeleted"]) == (1, 1)
        assert [result["content"]["text"] for result in base.retrieve("text")] == ["The first text was changed."]
        session = base.ask("What was changed?", model="echo")["sessionId"]
        assert base.ask("And by whom?", model="echo", session=session)["sessionId"] == session
        assert not (server.home / "craton.db").exists()
        base.aws.agent.delete_knowledge_base(knowledgeBaseId=base.id)
        wait_until(lambda: base.aws.agent.list_knowledge_bases()["knowledgeBaseSummaries"] == [], 120)
