"""Runs through a real server: watched live, set side by side, traced from data to model and back."""

from __future__ import annotations

import json
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest

pytest.importorskip("lightgbm")
pytest.importorskip("pyarrow")
pytest.importorskip("skops")

from tests.servers import RunningServer

ROOT = "/api/craton/v1"
SPEC: dict[str, Any] = {
    "method": "regression",
    "data": {"ref": "acme/lines", "target": "y"},
    "model": {"use": "lightgbm", "params": {"n_estimators": 12, "min_child_samples": 5}},
    "eval": {"report": False},
    "output": {"model": "acme/line"},
}


@pytest.fixture(scope="module")
def client(server: RunningServer) -> Iterator[httpx.Client]:
    with server.client() as client:
        yield client


@pytest.fixture(scope="module")
def runs(server: RunningServer, client: httpx.Client, tmp_path_factory: pytest.TempPathFactory) -> list[dict[str, Any]]:
    """Two that ended, with different parameters."""
    rows = Path(tmp_path_factory.mktemp("rows")) / "rows.csv"
    rows.write_text("x,z,y\n" + "\n".join(f"{x},{x % 7},{3 * x + x % 7}" for x in range(120)))
    server.craton("datasets", "add", "acme/lines", str(rows))
    first = client.post(f"{ROOT}/trainings", json=SPEC).raise_for_status().json()["id"]
    second = SPEC | {"seed": 3, "output": {}}
    again = client.post(f"{ROOT}/trainings?commit=c0ffee1&changed=2", json=second).raise_for_status().json()["id"]
    return [ended(client, first), ended(client, again)]


def ended(client: httpx.Client, run: str) -> dict[str, Any]:
    give_up = time.monotonic() + 180
    while time.monotonic() < give_up:
        found: dict[str, Any] = client.get(f"{ROOT}/runs/{run}").raise_for_status().json()
        if found["status"] not in {"queued", "running"}:
            assert found["status"] == "succeeded", found
            return found
        time.sleep(0.1)
    raise AssertionError("the run did not end")


def test_a_run_keeps_what_made_it(client: httpx.Client, runs: list[dict[str, Any]]) -> None:
    run = runs[0]
    assert run["specification"]["model"]["params"] == SPEC["model"]["params"]
    assert run["data"].startswith("datasets/acme/lines@")
    assert run["figures"]["rmse"] > 0
    assert run["facts"]["environment"]["libraries"]["lightgbm"]
    assert run["facts"]["cost"]["processor_seconds"] > 0
    assert [entry["id"] for entry in client.get(f"{ROOT}/runs?limit=1").json()["runs"]] == [runs[1]["id"]]


def test_points_are_streamed_and_the_end_comes_last(client: httpx.Client, runs: list[dict[str, Any]]) -> None:
    text = client.get(f"{ROOT}/runs/{runs[0]['id'][:8]}/live").raise_for_status().text
    events = [block.split("\n") for block in text.strip().split("\n\n")]
    kinds = [lines[0].removeprefix("event: ") for lines in events]
    assert set(kinds[:-1]) == {"point"}
    assert kinds[-1] == "end"
    told = [json.loads(lines[1].removeprefix("data: ")) for lines in events]
    assert {point["name"]: point["value"] for point in told[:-1] if point["step"] is None} == runs[0]["figures"]
    assert told[-1]["id"] == runs[0]["id"]
    later = client.get(f"{ROOT}/runs/{runs[0]['id']}/live?after={told[-2]['number']}").text
    assert later.startswith("event: end")


def test_runs_are_set_side_by_side(server: RunningServer, runs: list[dict[str, Any]]) -> None:
    ids = [run["id"] for run in runs]
    found = json.loads(server.craton("jobs", "compare", *ids, "--json").stdout)
    assert found["parameters"]["seed"] == [None, 3] or found["parameters"]["seed"] == [0, 3]
    shown = server.craton("jobs", "compare", *ids).stdout
    (line,) = [line for line in shown.splitlines() if line.startswith("rmse ")]
    best = min(runs, key=lambda run: run["figures"]["rmse"])["figures"]["rmse"]
    assert f"* {best:.6g}" in line
    assert "model.use" not in shown


def test_a_model_leads_to_its_data_and_data_to_its_models(server: RunningServer, runs: list[dict[str, Any]]) -> None:
    model = json.loads(server.craton("trace", "acme/line", "--json").stdout)
    assert model["origin"]["run"] == model["run"]["id"] == runs[0]["id"]
    assert model["revision"] == runs[0]["model_revision"]
    shown = server.craton("trace", "acme/line@main").stdout
    assert runs[0]["data"] in shown
    data = json.loads(server.craton("trace", "datasets/acme/lines@main", "--json").stdout)
    assert {link["run"] for link in data["models"]} == {run["id"] for run in runs}
    assert "acme/line@" in server.craton("trace", "datasets/acme/lines").stdout
    absent = server.craton("trace", "acme/nothing", check=False)
    assert absent.returncode == 1
    assert "no" in absent.stderr.lower()


def test_a_run_keeps_the_commit_that_it_is_of(client: httpx.Client, runs: list[dict[str, Any]]) -> None:
    assert [run["facts"]["source"] for run in runs] == [{}, {"commit": "c0ffee1", "changed": 2}]
    for bad in ("commit=main", "commit=c0ffee1&changed=some"):
        assert client.post(f"{ROOT}/trainings?{bad}", json=SPEC).status_code == 400
    assert client.post(f"{ROOT}/trainings?on=ray", json=SPEC).status_code >= 400  # none is configured


def test_what_is_not_a_run_is_said(client: httpx.Client, runs: list[dict[str, Any]]) -> None:
    assert client.get(f"{ROOT}/runs/absent").status_code == 404
    assert client.get(f"{ROOT}/runs/{runs[0]['id']}/curves/absent").status_code == 404
    assert client.get(f"{ROOT}/compare?runs={runs[0]['id']}").status_code == 400
    assert client.get(f"{ROOT}/lineage/spaces/acme/line").status_code == 404
    assert client.get(f"{ROOT}/runs?limit=0").status_code == 400


def test_a_model_whose_card_was_edited_still_says_where_it_comes_from(
    server: RunningServer, runs: list[dict[str, Any]], tmp_path: Path
) -> None:
    (tmp_path / "README.md").write_text("A line.")
    server.craton("models", "push", str(tmp_path), "acme/line")
    found = json.loads(server.craton("trace", "acme/line", "--json").stdout)
    assert found["origin"] is None
    assert found["stated"]["dataset"] == runs[0]["data"]
    assert found["run"]["id"] == runs[0]["id"]
    shown = server.craton("trace", "acme/line")
    assert "this is what its model.json says" in shown.stderr
    assert runs[0]["data"] in shown.stdout
