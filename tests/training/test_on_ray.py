"""`craton train --on ray` through a real server and a real cluster; by `make compat`, or CRATON_TEST_RAY names it."""

from __future__ import annotations

import json
import shutil
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

pytest.importorskip("lightgbm")
pytest.importorskip("skops")

from tests.cli.conftest import Craton, inside
from tests.jobs.ray_clusters import ClusterForTests, real
from tests.servers import clean_environment, craton, serving

EXAMPLE = Path(__file__).parents[2] / "examples" / "churn"


@pytest.fixture(scope="module")
def cluster() -> Iterator[ClusterForTests]:
    with real() as found:
        yield found


@pytest.fixture(scope="module")
def run(cluster: ClusterForTests, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Craton]:
    home = tmp_path_factory.mktemp("on-ray") / "home"
    craton("keys", "credential", "set", "ray", environment=clean_environment(home), stdin=cluster.token)
    config = (
        f'[ray]\nurl = "{cluster.url}"\ncredential = "ray"\nhome = "{home}"\n'
        f'command = "{sys.executable} -m craton job run"\n'
    )
    with serving(home, config=config) as server:
        yield inside(server.environment)


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
