"""Training against a real server: from rows to a model that is in the hub, or to a reason why it is not."""

from __future__ import annotations

import json
import os
import signal
import time
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any

import httpx
import pytest

pytest.importorskip("lightgbm")
pytest.importorskip("pyarrow")
pytest.importorskip("skops")

import msgspec
import yaml
from jsonschema import Draft202012Validator

from craton.engines.predictor.manifest import Manifest
from tests.cli.conftest import Craton, inside
from tests.servers import RunningServer

ROOT = "/api/craton/v1"
EXAMPLES = Path(__file__).parents[2] / "examples"
SPEC = yaml.safe_load((EXAMPLES / "churn.yaml").read_text())
PATIENCE = 180.0  # seconds; the machine may be busy


@pytest.fixture(scope="module")
def run(server: RunningServer) -> Craton:
    return inside(server.environment)


@pytest.fixture(scope="module")
def client(server: RunningServer) -> Iterator[httpx.Client]:
    with server.client() as client:
        yield client


@pytest.fixture(scope="module", autouse=True)
def churn(run: Craton) -> str:
    """The revision of the dataset."""
    done = run("datasets", "add", "acme/churn", str(EXAMPLES / "churn.csv"), "--json")
    return str(json.loads(done.stdout)["revision"])


@pytest.fixture(scope="module")
def trained(run: Craton, churn: str) -> dict[str, Any]:
    """The job of the example, through the command line."""
    found: dict[str, Any] = json.loads(run("train", str(EXAMPLES / "churn.yaml"), "--json").stdout)
    assert found["status"] == "succeeded", found["error"]
    return found


def ended(client: httpx.Client, job: str) -> dict[str, Any]:
    give_up = time.monotonic() + PATIENCE
    while time.monotonic() < give_up:
        found: dict[str, Any] = client.get(f"{ROOT}/jobs/{job}").json()
        if found["status"] not in {"queued", "running"}:
            return found
        time.sleep(0.1)
    raise AssertionError("the run did not end")


def train(client: httpx.Client, **changes: Any) -> dict[str, Any]:
    """The job as it ended. Without pictures."""
    submitted = client.post(f"{ROOT}/trainings", json=SPEC | {"eval": {"report": False}} | changes)
    assert submitted.status_code == 202, submitted.text
    return ended(client, submitted.json()["id"])


def log(client: httpx.Client, job: str) -> list[str]:
    return [event["message"] for event in client.get(f"{ROOT}/jobs/{job}/events").json()["events"]]


def test_a_file_of_rows_becomes_a_model_in_the_hub(
    client: httpx.Client, trained: dict[str, Any], churn: str, run: Craton
) -> None:
    result = trained["result"]
    assert result["model"] == "acme/churn"
    assert result["data"] == f"datasets/acme/churn@{churn}"
    assert result["metrics"]["roc_auc"] > 0.75
    files = {entry["path"] for entry in client.get("/api/models/acme/churn/tree/main").json()}
    pictures = client.get("/api/models/acme/churn/tree/main/report").json()
    assert "report/confusion.png" in {entry["path"] for entry in pictures}
    assert files >= {"README.md", "metrics.json", "model.json", "model.txt", "signature.json", "specification.yaml"}
    head = client.get("/api/models/acme/churn").json()
    assert head["sha"] == result["revision"]
    assert head["pipeline_tag"] == "tabular-classification"
    assert head["cardData"]["datasets"] == ["acme/churn"]
    assert "predict" in run("models", "list").stdout


def test_the_artifact_says_what_it_is_and_where_it_comes_from(
    client: httpx.Client, trained: dict[str, Any], churn: str
) -> None:
    def file(path: str) -> bytes:
        return client.get(f"/acme/churn/resolve/main/{path}", follow_redirects=True).content

    manifest = msgspec.json.decode(file("model.json"), type=Manifest)
    assert manifest.lineage == {
        "run": trained["id"],
        "dataset": f"datasets/acme/churn@{churn}",
        "dataset_revision": churn,
    }
    assert {"lightgbm", "craton", "python"} <= manifest.versions.keys()
    assert [field.name for field in manifest.signature.inputs if field.nullable] == ["minutes"]
    schemas = json.loads(file("signature.json"))
    Draft202012Validator.check_schema(schemas["inputs"])
    row = {"plan": "pro", "months": 3, "monthly_fee": 1.5, "minutes": None, "support_calls": 0, "paid_late": False}
    validator = Draft202012Validator(schemas["inputs"])
    assert validator.is_valid(row)
    assert not validator.is_valid(row | {"plan": "gold"})
    assert not validator.is_valid(row | {"months": None})
    import pyarrow as pa

    arrow = pa.ipc.read_schema(pa.py_buffer(file("signature.arrow")))
    assert [(field.name, str(field.type), field.nullable) for field in arrow][2:4] == [
        ("monthly_fee", "double", False),
        ("minutes", "double", True),
    ]
    assert json.loads(file("metrics.json")) == trained["result"]["metrics"]
    assert yaml.safe_load(file("specification.yaml")) == SPEC
    card = file("README.md").decode()
    assert "| roc_auc |" in card
    assert "450 train, 150 test rows" in card


def test_a_gate_that_does_not_hold_publishes_nothing(client: httpx.Client, trained: dict[str, Any]) -> None:
    failed = train(client, eval={"gate": "roc_auc >= 0.999", "report": False}, output={"model": "acme/weak"})
    assert failed["status"] == "failed"
    assert "roc_auc is 0.80" in failed["error"]
    assert "nothing was published" in failed["error"]
    assert client.get("/api/models/acme/weak").status_code == 404


def test_leakage_is_said_in_the_log_the_answer_and_the_card(client: httpx.Client, run: Craton, tmp_path: Path) -> None:
    lines = (EXAMPLES / "churn.csv").read_text().splitlines()
    leaking = [f"{lines[0]},refund", *(f"{line},{int(line.endswith('yes'))}" for line in lines[1:])]
    (tmp_path / "churn.csv").write_text("\n".join(leaking))
    run("datasets", "add", "acme/leaking", str(tmp_path / "churn.csv"))
    done = train(client, data={"ref": "acme/leaking", "target": "churned"}, output={"model": "acme/leaking"})
    assert done["result"]["metrics"]["roc_auc"] == 1.0
    assert any("Leakage: the column 'refund'" in warning for warning in done["result"]["warnings"])
    assert any("Leakage" in line for line in log(client, done["id"]))
    assert "Leakage" in client.get("/acme/leaking/resolve/main/README.md", follow_redirects=True).text


@pytest.mark.parametrize(
    ("changes", "status", "said"),
    [
        ({"modle": {"use": "x"}}, 400, "modle: this key is not known; did you mean 'model'?"),
        ({"data": {"ref": "acme/nowhere", "target": "x"}}, 404, "craton datasets add acme/nowhere FILE"),
        ({"model": {"use": "lightgmb"}}, 400, "did you mean 'lightgbm'?"),
    ],
)
def test_what_cannot_run_is_refused_at_once(client: httpx.Client, changes: Any, status: int, said: str) -> None:
    for path in ("trainings", "trainings/explain"):
        answer = client.post(f"{ROOT}/{path}", json=SPEC | changes)
        assert (answer.status_code, said in answer.json()["error"]["message"]) == (status, True), answer.text


def test_what_shows_only_in_the_rows_fails_the_run_with_a_sentence(client: httpx.Client) -> None:
    failed = train(client, data={"ref": "acme/churn", "target": "churnd"})
    assert (failed["status"], failed["error"]) == (
        "failed",
        "data: there is no column 'churnd'; did you mean 'churned'?",
    )


def test_explaining_runs_nothing(client: httpx.Client, run: Craton, churn: str) -> None:
    before = len(client.get(f"{ROOT}/jobs").json()["jobs"])
    said = run("train", str(EXAMPLES / "churn.yaml"), "--explain").stdout
    for part in (f"datasets/acme/churn@{churn}, 600 rows", "150 rows to test", "n_estimators=60", "roc_auc >= 0.75"):
        assert part in said
    assert len(client.get(f"{ROOT}/jobs").json()["jobs"]) == before


def test_a_training_is_read_with_its_specification(client: httpx.Client, trained: dict[str, Any], churn: str) -> None:
    found = client.get(f"{ROOT}/trainings/{trained['id']}").json()
    assert found["specification"] == SPEC
    assert found["data"] == f"datasets/acme/churn@{churn}"
    assert client.get(f"{ROOT}/trainings/{'0' * 32}").status_code == 404


def job_process(server: int, job: str) -> int | None:
    """The process that runs the job, found among the server's children."""
    for task in Path(f"/proc/{server}/task").iterdir():
        for child in (task / "children").read_text().split():
            with suppress(OSError):  # it has ended
                if job.encode() in Path(f"/proc/{child}/cmdline").read_bytes():
                    return int(child)
    return None


@pytest.mark.skipif(not Path("/proc/self/task").exists(), reason="finds the process in /proc")
def test_a_killed_run_is_taken_up_again_and_ends_the_same(
    client: httpx.Client, server: RunningServer, trained: dict[str, Any]
) -> None:
    spec = SPEC | {"output": {"model": "acme/killed"}, "eval": {"metrics": SPEC["eval"]["metrics"], "report": False}}
    submitted = client.post(f"{ROOT}/trainings", json=spec).json()
    give_up, killed = time.monotonic() + PATIENCE, False
    while not killed and time.monotonic() < give_up:
        process = job_process(server.pid, submitted["id"])
        if process is not None and any("reading" in line for line in log(client, submitted["id"])):
            os.kill(process, signal.SIGKILL)
            killed = True
    done = ended(client, submitted["id"])
    assert (killed, done["status"], done["attempt"]) == (True, "succeeded", 2)
    assert done["result"]["metrics"] == trained["result"]["metrics"]
    first, second = (
        client.get(f"/acme/{name}/resolve/main/model.txt", follow_redirects=True).content
        for name in ("churn", "killed")
    )
    assert first == second
    commits = client.get("/api/models/acme/killed/commits/main").json()
    assert len([commit for commit in commits if "Trained by run" in commit["title"]]) == 1


@pytest.mark.slow
def test_a_member_is_of_the_revision_that_the_run_was_submitted_with(
    client: httpx.Client, trained: dict[str, Any]
) -> None:
    member = f"{trained['result']['model']}@main"
    spec = {
        "method": "ensemble",
        "data": SPEC["data"],
        "model": {"use": "voting"},
        "members": [{"hub": member}, {"use": "decision-tree"}],
        "output": {"model": "acme/pair"},
    }
    submitted = client.post(f"{ROOT}/trainings", json=spec)
    assert submitted.status_code == 202, submitted.text
    told = ended(client, submitted.json()["id"])
    assert told["status"] == "succeeded", told["error"]
    card = client.get("/acme/pair/resolve/main/model.json").json()
    assert trained["result"]["revision"] in card["lineage"]["models"]
    missing = client.post(f"{ROOT}/trainings", json=spec | {"members": [{"hub": "acme/nowhere"}]})
    assert missing.status_code == 404
    assert "acme/nowhere" in missing.text


def test_code_of_a_repository_runs_only_where_the_operator_allows_it(client: httpx.Client) -> None:
    asked = {"method": "reinforcement", "environment": "spaces/acme/maze@main", "trust_code": True, "steps": 10}
    for path in ("trainings", "trainings/explain"):
        refused = client.post(f"{ROOT}/{path}", json=asked)
        assert refused.status_code == 400, refused.text
        assert "[training] in config.toml" in refused.json()["error"]["message"]
