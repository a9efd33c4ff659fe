"""`craton train --on ray` through a real server and a real cluster; by `make compat`, or CRATON_TEST_RAY names it."""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

pytest.importorskip("lightgbm")
pytest.importorskip("skops")

from tests.cli.conftest import Craton, inside
from tests.jobs.ray_clusters import real
from tests.servers import clean_environment, craton, serving

EXAMPLE = Path(__file__).parents[2] / "examples" / "churn"


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Craton]:
    home = tmp_path_factory.mktemp("on-ray") / "home"
    with real() as cluster:
        craton("keys", "credential", "set", "ray", environment=clean_environment(home), stdin=cluster.token)
        config = (
            f'[ray]\nurl = "{cluster.url}"\ncredential = "ray"\nhome = "{home}"\n'
            f'command = "{sys.executable} -m craton job run"\n'
        )
        with serving(home, config=config) as server:
            yield inside(server.environment)


def test_a_model_is_trained_on_the_cluster(run: Craton) -> None:
    run("datasets", "add", "acme/churn", f"{EXAMPLE}.csv", "--no-check")
    done = run("train", f"{EXAMPLE}.yaml", "--on", "ray", "--json")
    job = json.loads(done.stdout)
    assert job["status"] == "succeeded"
    assert f"It was handed to the Ray cluster as craton-{job['id']}-1." in done.stderr
    here = json.loads(run("train", f"{EXAMPLE}.yaml", "--json").stdout)
    assert here["result"]["metrics"] == job["result"]["metrics"]
    compared = json.loads(run("jobs", "compare", job["id"], here["id"], "--json").stdout)
    assert compared["parameters"] == {}
