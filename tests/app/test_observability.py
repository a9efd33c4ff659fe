"""What a running server shows of itself: metrics, spans, logs, traces. And what it must not."""

from __future__ import annotations

import json
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest
from prometheus_client.parser import text_string_to_metric_families

from tests.app.asking import trace_of
from tests.app.collector import Collector, collecting
from tests.faults.dialects import NAMES, Failure, outcome, speak
from tests.faults.seen import running, wait_until
from tests.servers import RunningServer, clean_environment, craton, serving

PROMPT = "canary-prompt-7f3a"
ANSWER = "canary-answer-91bc"
SCRIPT = f"""
rules:
  - when: {{contains: slow}}
    reply: {ANSWER} {"word " * 400}
    delay: {{between_ms: 50}}
  - when: {{contains: {PROMPT}}}
    reply: {ANSWER} and more
  - when: {{contains: break}}
    reply: one two three
    fault: {{after: 2}}
"""


@pytest.fixture(scope="module")
def collector() -> Iterator[Collector]:
    with collecting() as found:
        yield found


@pytest.fixture(scope="module")
def observed(tmp_path_factory: pytest.TempPathFactory, collector: Collector) -> Iterator[RunningServer]:
    """Writes JSON logs of every level and sends spans to the collector."""
    home = tmp_path_factory.mktemp("observed") / "home"
    home.mkdir()
    (home / "replies.yaml").write_text(SCRIPT)
    environment = {"OTEL_EXPORTER_OTLP_ENDPOINT": collector.url, "OTEL_BSP_SCHEDULE_DELAY": "100"}
    config = '[echo]\nscript = "replies.yaml"\n[prices]\necho = { input = 3.0, output = 5.0 }'
    arguments = ("--log-format", "json", "--log-level", "debug")
    with serving(home, *arguments, config=config, environment=environment) as server:
        yield server


def families(server: RunningServer) -> dict[str, dict[tuple[str, ...], float]]:
    """Sample name -> label values, sorted by their labels -> value, as Prometheus reads it."""
    with server.client() as client:
        reply = client.get("/metrics")
    assert reply.headers["content-type"].startswith("text/plain; version=0.0.4")
    return {
        name: {tuple(dict(sorted(sample.labels.items())).values()): sample.value for sample in samples}
        for family in text_string_to_metric_families(reply.text)
        for name, samples in _by_name(family.samples).items()
    }


def _by_name(samples: list[Any]) -> dict[str, list[Any]]:
    return {name: [it for it in samples if it.name == name] for name in {sample.name for sample in samples}}


def test_metrics_count_requests_tokens_and_times(tmp_path: Path) -> None:
    with serving(tmp_path / "home") as server:
        assert families(server)["craton_models_loaded"] == {(): 0.0}
        for name in NAMES:
            assert speak(name, server).ask("echo", "one two three") == "one two three"
            assert isinstance(outcome(speak(name, server), "nobody", "one", stream=False), Failure)
        found = families(server)
    assert found["craton_models_loaded"] == {(): 1.0}
    assert found["craton_tokens_total"] == {("input", "echo"): 9.0, ("output", "echo"): 9.0}
    assert found["craton_model_requests_total"] == {("echo", "ok"): 3.0}  # no label that a caller chose
    answered = found["craton_http_requests_total"]
    for dialect, operation in (("aws", "Converse"), ("openai", "CreateChatCompletion"), ("anthropic", "CreateMessage")):
        assert answered[dialect, operation, "200"] == answered[dialect, operation, "404"] == 1.0
        assert found["craton_http_request_seconds_count"][dialect, operation] == 2.0
        assert 0 < found["craton_http_request_seconds_sum"][dialect, operation] < 60
    assert found["craton_first_token_seconds_count"] == {("echo",): 3.0}
    assert found["craton_first_token_seconds_bucket"]["+Inf", "echo"] == 3.0
    assert found["craton_model_running"] == found["craton_model_waiting"] == {("echo",): 0.0}


def spans_of(collector: Collector, request_id: str) -> dict[str, Any]:
    def found() -> list[dict[str, Any]]:
        return [span for span in collector.spans if span["gen_ai.response.id"] == request_id]

    wait_until(found)
    (span,) = found()
    return span


def ask(server: RunningServer, text: str, **more: Any) -> httpx.Response:
    with server.client() as client:
        body = {"model": "echo", "messages": [{"role": "user", "content": text}], **more}
        return client.post("/v1/chat/completions", json=body)


def test_a_chat_is_a_span_in_the_conventions(observed: RunningServer, collector: Collector) -> None:
    reply = ask(observed, PROMPT, max_tokens=9, temperature=0.5, top_p=0.9, seed=4)
    span = spans_of(collector, reply.headers["x-request-id"])
    seconds = span.pop("seconds")
    assert 0 <= seconds < 60
    assert span == {
        "service": "craton",
        "name": "chat echo",
        "kind": 2,  # server
        "status": 0,
        "gen_ai.operation.name": "chat",
        "gen_ai.provider.name": "craton.echo",
        "gen_ai.request.model": "echo",
        "gen_ai.response.model": "echo",
        "gen_ai.response.id": reply.headers["x-request-id"],
        "gen_ai.response.finish_reasons": ["end_turn"],
        "gen_ai.usage.input_tokens": 1,
        "gen_ai.usage.output_tokens": 3,
        "gen_ai.request.max_tokens": 9,
        "gen_ai.request.temperature": 0.5,
        "gen_ai.request.top_p": 0.9,
        "gen_ai.request.seed": 4,
        "craton.tenant": "default",
        "craton.dialect": "openai",
        "craton.operation": "CreateChatCompletion",
        "craton.status": "ok",
    }


def test_embeddings_errors_and_cancelled_requests_are_spans_too(observed: RunningServer, collector: Collector) -> None:
    with observed.client() as client:
        embedded = client.post("/v1/embeddings", json={"model": "echo", "input": [PROMPT, "two words"]})
        span = spans_of(collector, embedded.headers["x-request-id"])
        assert (span["name"], span["gen_ai.operation.name"]) == ("embeddings echo", "embeddings")
        assert (span["gen_ai.usage.input_tokens"], span["status"]) == (3, 0)

        failed = ask(observed, "break")
        assert failed.status_code == 500
        span = spans_of(collector, failed.headers["x-request-id"])
        assert (span["status"], span["error.type"], span["craton.status"]) == (2, "ModelFailed", "error")

        unknown = client.post("/v1/embeddings", json={"model": "nobody", "input": "x"})
        span = spans_of(collector, unknown.headers["x-request-id"])
        assert (span["name"], span["error.type"]) == ("embeddings nobody", "NotFound")
        assert "gen_ai.response.model" not in span

        body = {"model": "echo", "stream": True, "messages": [{"role": "user", "content": f"slow {PROMPT}"}]}
        with client.stream("POST", "/v1/chat/completions", json=body) as reply:
            next(reply.iter_bytes())
        span = spans_of(collector, reply.headers["x-request-id"])
        assert (span["status"], span["craton.status"]) == (0, "cancelled")
        wait_until(lambda: running(observed, "echo") == 0)


def test_neither_spans_nor_logs_hold_prompts_answers_or_keys(observed: RunningServer, collector: Collector) -> None:
    for name in NAMES:
        assert speak(name, observed).ask("echo", PROMPT).startswith(ANSWER)
        assert isinstance(outcome(speak(name, observed), "echo", f"break {PROMPT} ", stream=True), str | Failure)
        broken = f'{{"model": "echo", "messages": [{{"role": "{PROMPT}"'
        with observed.client() as client:
            client.post("/v1/chat/completions", content=broken)
    last = ask(observed, PROMPT).headers["x-request-id"]
    spans_of(collector, last)
    wait_until(lambda: last in observed.log.read_text())
    shown = observed.log.read_text().replace(observed.token, "", 1)  # once, by the first start
    spans = b"".join(collector.bodies)
    for secret in (PROMPT, ANSWER, observed.secret_access_key):
        assert secret not in shown
        assert secret.encode() not in spans


def test_every_log_line_is_json_and_names_its_request(observed: RunningServer) -> None:
    replies = {}
    for name, header in (("openai", "x-request-id"), ("anthropic", "request-id"), ("aws", "x-amzn-requestid")):
        dialect = speak(name, observed)
        reply = httpx.post(
            dialect.url("echo"), json=dialect.body("echo", "hello"), headers=dialect.headers(), trust_env=False
        )
        replies[name] = reply.headers[header]
    wait_until(lambda: all(it in observed.log.read_text() for it in replies.values()))
    text = observed.log.read_text()
    lines = [json.loads(line) for line in text[text.index("{") :].splitlines() if line.startswith("{")]
    others = [line for line in text.splitlines() if line.strip() and not line.startswith("{")]
    assert len(others) <= 3, others  # the root key and the address, which are for a person
    by_id = {line["request_id"]: line for line in lines if line["message"] == "request"}
    for name, request_id in replies.items():
        line = by_id[request_id]
        assert (line["dialect"], line["status"], line["tenant"]) == (name, 200, "default")
        assert line["key"] == observed.access_key_id
        assert line["ms"] > 0
        assert {"time", "level", "logger", "method", "path", "operation"} <= set(line)


def test_without_an_endpoint_nothing_of_opentelemetry_is_imported(tmp_path: Path) -> None:
    code = """
import sys
from pathlib import Path
from craton.app.build import Server
from craton.app.platform import open_platform
from craton.app.config import Home
platform = open_platform(Home(Path(sys.argv[1])))
Server(platform, {})
print([name for name in sys.modules if name.startswith("opentelemetry")])
"""
    command = [sys.executable, "-c", code, str(tmp_path / "home")]
    done = subprocess.run(command, capture_output=True, text=True, timeout=120, check=True)
    assert done.stdout.splitlines()[-1] == "[]"


def test_an_endpoint_without_the_libraries_is_refused_at_the_start(tmp_path: Path) -> None:
    shadow = tmp_path / "shadow" / "opentelemetry"
    shadow.mkdir(parents=True)
    (shadow / "__init__.py").write_text("raise ModuleNotFoundError(\"No module named 'opentelemetry'\")")
    environment = clean_environment(tmp_path / "home") | {
        "PYTHONPATH": str(shadow.parent),
        "OTEL_EXPORTER_OTLP_ENDPOINT": "http://127.0.0.1:9",
    }
    done = craton("serve", "--port", "0", environment=environment, check=False)
    assert done.returncode == 1
    assert "pip install 'craton[telemetry]'" in done.stderr
    assert "Traceback" not in done.stderr


def test_a_collector_that_is_gone_hurts_nobody(tmp_path: Path) -> None:
    environment = {"OTEL_EXPORTER_OTLP_ENDPOINT": "http://127.0.0.1:9"}
    with serving(tmp_path / "home", environment=environment) as server:
        assert ask(server, "hello").status_code == 200
        begun = time.monotonic()
        server.process.terminate()
        assert server.process.wait(20) == 0
        assert time.monotonic() - begun < 15


@pytest.mark.parametrize("name", NAMES)
def test_a_trace_holds_what_was_asked_and_answered(observed: RunningServer, name: str) -> None:
    dialect: Any = speak(name, observed)
    body = dialect.body("echo", PROMPT)
    reply = httpx.post(dialect.url("echo"), json=body, headers=dialect.headers(), trust_env=False)
    header = {"openai": "x-request-id", "anthropic": "request-id", "aws": "x-amzn-requestid"}[name]
    with observed.client() as client:
        trace = trace_of(client, reply.headers[header])
        recent = client.get("/api/craton/v1/requests", params={"limit": 5}).json()["requests"]
    row = trace["row"]
    assert (row["dialect"], row["model"], row["resolved"], row["status"]) == (name, "echo", "echo", "ok")
    assert (row["key_id"], row["stop"]) == (observed.access_key_id, "end_turn")
    assert (row["input_tokens"], row["output_tokens"], row["estimated"]) == (1, 3, False)
    assert row["cost"] == pytest.approx((1 * 3.0 + 3 * 5.0) / 1e6)
    assert 0 <= row["first_token_seconds"] <= row["seconds"] < 60
    assert trace["request"]["messages"] == [{"role": "user", "parts": [{"type": "text", "text": PROMPT}]}]
    assert trace["request"]["sampling"]["max_tokens"] == 64
    assert trace["answer"]["choices"][0]["parts"] == [{"type": "text", "text": f"{ANSWER} and more"}]
    assert row in recent


def test_recent_requests_come_newest_first_and_usage_counts_from_a_time(observed: RunningServer) -> None:
    with observed.client() as client:
        ids = [ask(observed, f"number {i}").headers["x-request-id"] for i in range(3)]
        rows = [trace_of(client, request_id)["row"] for request_id in ids]
        recent = client.get("/api/craton/v1/requests", params={"limit": 3}).json()["requests"]
        assert [row["id"] for row in recent] == ids[::-1]
        since = rows[1]["started"]
        (line,) = client.get("/api/craton/v1/usage", params={"since": since}).json()["usage"]
        assert (line["model"], line["requests"], line["errors"]) == ("echo", 2, 0)
        assert (line["input_tokens"], line["output_tokens"]) == (4, 4)
        assert line["cost"] == pytest.approx(4 * (3.0 + 5.0) / 1e6)
        for wrong in ({"limit": 0}, {"limit": "many"}, {"limit": "nan"}, {"limit": "inf"}):
            assert client.get("/api/craton/v1/requests", params=wrong).status_code == 400, wrong
        for wrong_since in ("nan", "yesterday", "inf"):
            assert client.get("/api/craton/v1/usage", params={"since": wrong_since}).status_code == 400, wrong_since
