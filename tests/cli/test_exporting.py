"""A run that has ended becomes a run of an MLflow server: of a real one where CRATON_TEST_MLFLOW names its command
(which takes half a minute to start), and always of one that holds what it is sent against MLflow's own limits."""

from __future__ import annotations

import json
import os
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, quote, unquote, urlsplit

import httpx
import pytest

from craton.cli.mlflow import key
from tests.cli.conftest import Craton, inside
from tests.servers import RunningServer

PROGRAM = """
import json
print("craton-parameter", json.dumps({"rate": 0.5, "layers": [64, 32], "long": "x" * 7000}))
for step in range(2500):
    print("craton-metric", json.dumps({"loss": 1 / (1 + step), "step": step}))
print("craton-metric", json.dumps({"f1 (macro), test": 0.75, "odd": float("nan"), "inf": float("inf")}))
import os, pathlib
folder = pathlib.Path(os.environ["CRATON_OUTPUT_FOLDER"])
(folder / "report of it").mkdir()
(folder / "README.md").write_text("# what it is")
(folder / "report of it" / "curve #1.png").write_bytes(b"\\x89PNG picture")
(folder / "weights.bin").write_bytes(b"weights")
(folder / "model.json").write_text(json.dumps({"files": {"more.txt": "0"}}))
(folder / "more.txt").write_text("weights, too")
"""
FILES = {"README.md": b"# what it is", "report of it/curve _1.png": b"\x89PNG picture"}


ARTIFACTS = "/api/2.0/mlflow-artifacts/artifacts/"


class Strict(BaseHTTPRequestHandler):
    """MLflow's REST API as far as an export needs it: members, names, lengths and counts as it checks them."""

    runs: dict[str, dict[str, Any]]
    experiments: dict[str, str]
    artifacts: dict[str, bytes]

    def do_PUT(self) -> None:
        """As `_upload_artifact` of mlflow/server/handlers.py: any bytes, at a path that is safe."""
        path = unquote(urlsplit(self.path).path).removeprefix(ARTIFACTS)
        _, run, folder, name = path.split("/", 3)
        assert (self.runs[run]["info"]["status"], folder) == ("RUNNING", "artifacts")
        if "#" in name or ".." in name.split("/"):
            self._answer(400, {"error_code": "INVALID_PARAMETER_VALUE", "message": "Invalid path"})
            return
        self.artifacts[path] = self.rfile.read(int(self.headers["content-length"]))
        self._answer(200, {})

    def do_GET(self) -> None:
        if self.path.startswith(ARTIFACTS):
            content = self.artifacts[unquote(urlsplit(self.path).path).removeprefix(ARTIFACTS)]
            self.send_response(200)
            self.send_header("content-length", str(len(content)))
            self.end_headers()
            self.wfile.write(content)
            return
        path, query = urlsplit(self.path).path.removeprefix("/api/2.0/mlflow/"), parse_qs(urlsplit(self.path).query)
        given = {name: values[0] for name, values in query.items()}
        if path == "experiments/get-by-name":
            known = self.experiments.get(given["experiment_name"])
            error = {"error_code": "RESOURCE_DOES_NOT_EXIST", "message": "no"}
            self._answer(*((404, error) if known is None else (200, {"experiment": {"experiment_id": known}})))
            return
        run = self.runs[given["run_id"]]
        if path == "metrics/get-history":
            self._answer(200, {"metrics": [it for it in run["metrics"] if it["key"] == given["metric_key"]]})
            return
        pairs = [{"key": name, "value": value} for name, value in run["params"].items()]
        self._answer(200, {"run": {"data": {"params": pairs, "metrics": run["metrics"]}}})

    def do_POST(self) -> None:
        raw = self.rfile.read(int(self.headers["content-length"]))
        path, body = self.path.removeprefix("/api/2.0/mlflow/"), json.loads(raw)
        try:
            assert len(raw) <= 1_000_000, "too large"
            self._answer(200, getattr(self, path.replace("/", "_").replace("-", "_"))(**body))
        except (AssertionError, TypeError, KeyError) as error:
            self._answer(400, {"error_code": "INVALID_PARAMETER_VALUE", "message": str(error)})

    def experiments_create(self, name: str) -> dict[str, Any]:
        return {"experiment_id": self.experiments.setdefault(name, str(len(self.experiments) + 1))}

    def runs_search(self, experiment_ids: list[str], filter: str) -> dict[str, Any]:
        wanted = filter.rpartition("= ")[2].strip("'")
        here = [run for run in self.runs.values() if run["experiment"] in experiment_ids]
        found = [run for run in here if run["tags"]["craton.run"] == wanted]
        return {"runs": [{"info": run["info"]} for run in found]}

    def runs_create(self, experiment_id: str, run_name: str, start_time: int, tags: list[dict[str, str]]) -> Any:
        assert len(tags) <= 100
        info = {"run_id": f"{len(self.runs):032x}", "status": "RUNNING", "run_name": run_name}
        info["artifact_uri"] = f"mlflow-artifacts:/{experiment_id}/{info['run_id']}/artifacts"
        self.runs[info["run_id"]] = {"info": info, "experiment": experiment_id, "params": {}, "metrics": []}
        self.runs[info["run_id"]]["tags"] = self._pairs(tags, 8000)
        return {"run": {"info": info}}

    def runs_log_batch(self, run_id: str, metrics: Any = (), params: Any = ()) -> dict[str, Any]:
        assert len(metrics) <= 1000
        assert len(params) <= 100
        self.runs[run_id]["params"] |= self._pairs(params, 6000)
        for metric in metrics:
            assert {"key", "value", "timestamp", "step"} == metric.keys()
            assert isinstance(metric["timestamp"], int)
            self._checked(metric["key"])
            float(metric["value"])
        self.runs[run_id]["metrics"] += metrics
        return {}

    def runs_log_inputs(self, run_id: str, datasets: list[Any]) -> dict[str, Any]:
        for dataset in datasets:
            assert len(dataset["dataset"]["digest"]) <= 36
        self.runs[run_id]["datasets"] = datasets
        return {}

    def runs_update(self, run_id: str, status: str, end_time: int) -> dict[str, Any]:
        self.runs[run_id]["info"] |= {"status": status, "end_time": end_time}
        return {}

    def runs_delete(self, run_id: str) -> dict[str, Any]:
        del self.runs[run_id]
        return {}

    def _pairs(self, pairs: list[dict[str, str]], length: int) -> dict[str, str]:
        for pair in pairs:
            self._checked(pair["key"])
            assert len(pair["value"]) <= length
        return {pair["key"]: pair["value"] for pair in pairs}

    @staticmethod
    def _checked(name: str) -> None:
        assert 0 < len(name) <= 250
        assert all(letter.isalnum() or letter in "/_.- :" for letter in name), name

    def _answer(self, status: int, body: Any) -> None:
        data = json.dumps(body).encode()
        self.send_response(status)
        self.send_header("content-length", str(len(data)))
        self.end_headers()
        self.wfile.write(data)

    def log_message(self, format: str, *args: Any) -> None: ...


@contextmanager
def strict() -> Iterator[str]:
    handler = type("Handler", (Strict,), {"runs": {}, "experiments": {}, "artifacts": {}})
    with ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        try:
            yield f"http://127.0.0.1:{server.server_port}"
        finally:
            server.shutdown()
            thread.join()


@contextmanager
def real(folder: Path) -> Iterator[str]:
    command = os.environ.get("CRATON_TEST_MLFLOW")
    if not command:
        pytest.skip("CRATON_TEST_MLFLOW names no MLflow")
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    places = ["--backend-store-uri", f"sqlite:///{folder}/mlflow.db", "--artifacts-destination", f"{folder}/artifacts"]
    process = subprocess.Popen(
        [command, "server", "--host", "127.0.0.1", "--port", str(port), "--workers", "1", *places],
        env=os.environ | {"MLFLOW_DISABLE_TELEMETRY": "true", "DO_NOT_TRACK": "true"},
        stdout=(folder / "log").open("wb"),
        stderr=subprocess.STDOUT,
        cwd=folder,
        start_new_session=True,
    )
    try:
        give_up = time.monotonic() + 120
        while time.monotonic() < give_up:
            try:
                httpx.get(f"http://127.0.0.1:{port}/health", trust_env=False).raise_for_status()
                break
            except httpx.HTTPError:
                time.sleep(0.2)
        yield f"http://127.0.0.1:{port}"
    finally:
        os.killpg(process.pid, signal.SIGTERM)
        with suppress(subprocess.TimeoutExpired):
            process.wait(10)
        with suppress(ProcessLookupError):  # its workers take their time
            os.killpg(process.pid, signal.SIGKILL)
        process.wait()


@pytest.fixture(scope="module", params=["strict", "real"])
def mlflow(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    with strict() if request.param == "strict" else real(tmp_path_factory.mktemp("mlflow")) as url:
        yield url


@pytest.fixture(scope="module")
def run(server: RunningServer) -> Craton:
    return inside(server.environment)


@pytest.fixture(scope="module")
def job(run: Craton) -> str:
    return str(
        json.loads(run("train", "--output", "acme/exported", "--json", "--", sys.executable, "-c", PROGRAM).stdout)[
            "id"
        ]
    )


def test_all_of_a_run_arrives_and_once(run: Craton, job: str, mlflow: str) -> None:
    sent = json.loads(run("jobs", "export", job, "--mlflow", mlflow, "--json").stdout)
    assert (sent["made"], sent["files"]) == (True, 3)
    again = json.loads(run("jobs", "export", job, "--mlflow", mlflow, "--json").stdout)
    assert again == sent | {"made": False, "files": 0}
    with httpx.Client(base_url=f"{mlflow}{ARTIFACTS}", trust_env=False, timeout=60) as client:
        for path, content in FILES.items():
            assert client.get(f"1/{sent['mlflow_run']}/artifacts/{quote(path)}").content == content
    with httpx.Client(base_url=f"{mlflow}/api/2.0/mlflow", trust_env=False, timeout=60) as client:
        place = client.get("/experiments/get-by-name", params={"experiment_name": "craton"}).json()
        wanted = {"experiment_ids": [place["experiment"]["experiment_id"]], "filter": f"tags.`craton.run` = '{job}'"}
        (found,) = client.post("/runs/search", json=wanted).json()["runs"]
        assert (found["info"]["run_id"], found["info"]["status"]) == (sent["mlflow_run"], "FINISHED")

        data = client.get("/runs/get", params={"run_id": sent["mlflow_run"]}).json()["run"]["data"]
        parameters = {pair["key"]: pair["value"] for pair in data["params"]}
        assert (parameters["rate"], parameters["layers"]) == ("0.5", "[64,32]")
        assert parameters["method"] == "script"
        assert len(parameters["long"]) == 6000
        figures = {metric["key"]: metric["value"] for metric in data["metrics"]}
        assert figures["f1 _macro__ test"] == 0.75
        assert figures["loss"] == pytest.approx(1 / 2500)
        asked = {"run_id": sent["mlflow_run"], "metric_key": "loss", "max_results": 5000}
        history = client.get("/metrics/get-history", params=asked).json()["metrics"]
        assert sorted((int(it["step"]), it["value"]) for it in history) == [(n, 1 / (1 + n)) for n in range(2500)]


def test_what_cannot_be_sent_is_refused(run: Craton, job: str) -> None:
    assert (
        "No MLflow server answers" in run("jobs", "export", job, "--mlflow", "http://127.0.0.1:1", check=False).stderr
    )
    assert "--mlflow" in run("jobs", "export", job, check=False).stderr
    assert run("jobs", "export", "zzzz", "--mlflow", "http://127.0.0.1:1", check=False).returncode == 1


def test_names_are_made_such_that_mlflow_takes_them() -> None:
    assert key("f1 (macro)") == "f1 _macro_"
    assert key("../a//b/./c") == "a/b/c"
    assert key("größe") == "gr__e"
    assert key("/") == "_"
