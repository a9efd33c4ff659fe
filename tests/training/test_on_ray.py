"""`craton train --on ray` through a real server and a real cluster; by `make compat`, or CRATON_TEST_RAY names it."""

from __future__ import annotations

import json
import os
import shutil
import signal
import sys
import time
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any

import httpx
import pytest

pytest.importorskip("lightgbm")
pytest.importorskip("skops")

from tests.cli.conftest import Craton, inside
from tests.jobs.ray_clusters import ClusterForTests, real
from tests.servers import RunningServer, clean_environment, craton, serving

ROOT = "/api/craton/v1"
PATIENCE = 240.0  # seconds
EXAMPLE = Path(__file__).parents[2] / "examples" / "churn"


@pytest.fixture(scope="module")
def cluster() -> Iterator[ClusterForTests]:
    with real() as found:
        yield found


@pytest.fixture(scope="module")
def serving_it(cluster: ClusterForTests, tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningServer]:
    home = tmp_path_factory.mktemp("on-ray") / "home"
    craton("keys", "credential", "set", "ray", environment=clean_environment(home), stdin=cluster.token)
    config = (
        f'[ray]\nurl = "{cluster.url}"\ncredential = "ray"\nhome = "{home}"\n'
        f'command = "{sys.executable} -m craton job run"\n'
    )
    with serving(home, config=config) as server:
        yield server


@pytest.fixture(scope="module")
def run(serving_it: RunningServer) -> Craton:
    return inside(serving_it.environment)


@pytest.fixture(scope="module")
def client(serving_it: RunningServer) -> Iterator[httpx.Client]:
    with serving_it.client() as client:
        yield client


def test_a_model_is_trained_on_the_cluster(run: Craton, tmp_path: Path) -> None:
    run("datasets", "add", "acme/churn", f"{EXAMPLE}.csv", "--no-check")
    file = shutil.copy(f"{EXAMPLE}.yaml", tmp_path)  # out of the git working tree, which may change meanwhile
    done = run("train", file, "--on", "ray", "--json")
    job = json.loads(done.stdout)
    assert job["status"] == "succeeded"
    assert f"It was handed to the Ray cluster as craton-{job['id']}-1." in done.stderr
    here = json.loads(run("train", file, "--json").stdout)
    assert here["result"]["metrics"] == job["result"]["metrics"]
    compared = json.loads(run("jobs", "compare", job["id"], here["id"], "--json").stdout)
    assert compared["parameters"] == {}


SEARCH = """
method: classification
data: {ref: "sklearn:wine", target: target}
model: {use: random-forest, params: {n_estimators: 20}}
search:
  strategy: grid
  parallel: 2
  prune: false
  space: {max_depth: [1, 2, 3, 4], min_samples_leaf: [1, 2, 4]}
eval: {report: false}
"""
DEEP = """
method: deep
data: {ref: "sklearn:digits", target: target}
model: {use: mlp, params: {hidden: [64], dropout: 0.0}}
train: {epochs: 4, learning_rate: 0.01}
eval: {report: false}
"""


def nodes(cluster: ClusterForTests, job: str) -> set[str]:
    """Where the processes of a job ran."""
    return {one["driver_node_id"] for one in cluster.jobs() if one["submission_id"].startswith(f"craton-{job}-")}


def trained(run: Craton, file: Path, *options: str) -> tuple[Any, str]:
    """The job, and what was said meanwhile."""
    done = run("train", str(file), "--json", *options)
    return json.loads(done.stdout), done.stderr


def test_trials_are_spread_over_both_nodes(run: Craton, cluster: ClusterForTests, tmp_path: Path) -> None:
    (tmp_path / "search.yaml").write_text(SEARCH)
    there, said = trained(run, tmp_path / "search.yaml", "--on", "ray")
    assert len(nodes(cluster, there["id"])) == 2
    assert "helper 1 on 127.0.0.1 is here" in said
    assert said.count("trial ") == 12
    here, _ = trained(run, tmp_path / "search.yaml")
    assert there["result"]["metrics"] == here["result"]["metrics"]


def test_gradients_are_shared_by_both_nodes(run: Craton, cluster: ClusterForTests, tmp_path: Path) -> None:
    (tmp_path / "deep.yaml").write_text(DEEP)
    (tmp_path / "together.yaml").write_text(DEEP + "processes: 2\n")
    there, said = trained(run, tmp_path / "together.yaml", "--on", "ray")
    assert len(nodes(cluster, there["id"])) == 2
    assert "each batch is shared by 2 processes" in said
    here, _ = trained(run, tmp_path / "deep.yaml")
    for name, value in here["result"]["metrics"].items():
        assert there["result"]["metrics"][name] == pytest.approx(value, abs=0.01)


def led(client: httpx.Client, model: str) -> str:
    """A run of two processes that takes some time; returns when both are at it and an epoch is done."""
    spec = {
        "method": "deep",
        "data": {"ref": "sklearn:digits", "target": "target"},
        "model": {"use": "mlp", "params": {"hidden": [64], "dropout": 0.0}},
        "train": {"epochs": 30, "patience": None, "batch": 32},
        "eval": {"report": False},
        "output": {"model": model},
        "processes": 2,
    }
    submitted = client.post(f"{ROOT}/trainings", params={"on": "ray"}, json=spec)
    assert submitted.status_code == 202, submitted.text
    job = str(submitted.json()["id"])
    waited_for(lambda: epochs(client, job) > 1 or state(client, job)["status"] == "failed")
    assert state(client, job)["status"] == "running", (state(client, job), said(client, job))
    return job


def waited_for(happened: Any) -> None:
    give_up = time.monotonic() + PATIENCE
    while not happened():
        assert time.monotonic() < give_up, "it did not happen"
        time.sleep(0.1)


def epochs(client: httpx.Client, job: str) -> int:
    found = client.get(f"{ROOT}/runs/{job}/curves/train_loss")
    return int(found.json()["total"]) if found.status_code == 200 else 0


def state(client: httpx.Client, job: str) -> dict[str, Any]:
    found: dict[str, Any] = client.get(f"{ROOT}/jobs/{job}").json()
    return found


def ended(client: httpx.Client, job: str) -> dict[str, Any]:
    waited_for(lambda: state(client, job)["status"] not in {"queued", "running"})
    return state(client, job)


def said(client: httpx.Client, job: str) -> list[str]:
    return [event["message"] for event in client.get(f"{ROOT}/jobs/{job}/events").json()["events"]]


def processes(job: str) -> dict[int, bool]:
    """The Pythons that work on the job, by number -> whether it helps."""
    found = {}
    for folder in Path("/proc").glob("[0-9]*"):
        with suppress(OSError):  # it has ended
            command = (folder / "cmdline").read_bytes().split(b"\0")
            if job.encode() in command and b"python" in Path(os.readlink(folder / "exe")).name.encode():
                found[int(folder.name)] = b"--leader" in command
    return found


@pytest.fixture(scope="module")
def undisturbed(client: httpx.Client) -> dict[str, Any]:
    done = ended(client, led(client, "acme/undisturbed"))
    assert done["status"] == "succeeded", done["error"]
    return done


def test_a_killed_leader_goes_on_and_ends_the_same(client: httpx.Client, undisturbed: dict[str, Any]) -> None:
    job = led(client, "acme/killed")
    first = processes(job)
    assert sorted(first.values()) == [False, True]
    (leader,) = [process for process, helps in first.items() if not helps]
    os.kill(leader, signal.SIGKILL)
    waited_for(lambda: not first.keys() & processes(job).keys())  # its helper leaves with it
    assert client.get("/api/models/acme/killed").status_code == 404
    done = ended(client, job)
    assert (done["status"], done["attempt"]) == ("succeeded", 2), done["error"]
    lines = said(client, job)
    assert any("goes on in epoch" in line for line in lines)
    assert sum("each batch is shared by 2 processes" in line for line in lines) == 2
    assert done["result"]["metrics"] == undisturbed["result"]["metrics"]
    weights = [
        client.get(f"/acme/{name}/resolve/main/model.safetensors", follow_redirects=True).content
        for name in ("killed", "undisturbed")
    ]
    assert weights[0] == weights[1]
    assert len(client.get("/api/models/acme/killed/commits/main").json()) <= 2
    waited_for(lambda: not processes(job))


def test_who_is_cancelled_takes_its_helpers_along(client: httpx.Client, cluster: ClusterForTests) -> None:
    job = led(client, "acme/cancelled")
    assert client.post(f"{ROOT}/jobs/{job}/cancel").is_success
    assert ended(client, job)["status"] == "cancelled"
    waited_for(lambda: not processes(job))
    waited_for(
        lambda: all(
            one["status"] in {"STOPPED", "SUCCEEDED", "FAILED"}
            for one in cluster.jobs()
            if one["submission_id"].startswith(f"craton-{job}-")
        )
    )
    assert client.get("/api/models/acme/cancelled").status_code == 404


def test_a_lost_helper_costs_a_batch(client: httpx.Client, undisturbed: dict[str, Any]) -> None:
    job = led(client, "acme/alone")
    (helper,) = [process for process, helps in processes(job).items() if helps]
    os.kill(helper, signal.SIGKILL)
    done = ended(client, job)
    assert (done["status"], done["attempt"]) == ("succeeded", 1), done["error"]
    assert "A helper was lost: the run goes on alone." in done["result"]["warnings"]
    for name, value in done["result"]["metrics"].items():
        assert undisturbed["result"]["metrics"][name] == pytest.approx(value, abs=0.01)
