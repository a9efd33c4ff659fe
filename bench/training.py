"""Training through Craton against the raw library: the same rows, parameters and seed, in turn.

    python -m bench training [--rounds 3] [--only small|long] [--plain] [--rows 200000] [--trees 3000]

Small: 600 rows (examples/churn.csv), LightGBM. Long: made-up rows, with trees for about a minute. The raw side is
a script of its own process: imports, reading, splitting, fitting, measuring. Craton's side is a running server: from
handing the specification in until the job has ended, so the start of its process, the artifact, its trial in a fresh
process and the publishing are in it; once with the report's pictures and once without. Both read the same file (CSV
here, which Craton has made Parquet of when the rows were added). Figures of the test rows must be equal.

Goals: less than 3 s more on the small run, less than 5% more on the long one.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from statistics import median
from typing import Any

from tests.proof.processes import load_average
from tests.servers import RunningServer, serving

CHURN = Path(__file__).parents[1] / "examples" / "churn.csv"
FEATURES = 20
RAW = """
import json, sys
import lightgbm, pandas
from sklearn.metrics import roc_auc_score
from sklearn.model_selection import train_test_split
import numpy

file, target, params = sys.argv[1], sys.argv[2], json.loads(sys.argv[3])
rows = pandas.read_csv(file)
answers = (rows.pop(target) == "yes").astype(int).to_numpy()
for name in rows:
    if rows[name].dtype.kind not in "biuf":
        rows[name] = rows[name].astype("category").cat.codes
matrix = rows.to_numpy(float)
train, test = train_test_split(numpy.arange(len(matrix)), test_size=0.2, random_state=0, stratify=answers)
train, test = numpy.sort(train), numpy.sort(test)
model = lightgbm.LGBMClassifier(random_state=0, verbose=-1, **params).fit(matrix[train], answers[train])
print(roc_auc_score(answers[test], model.predict_proba(matrix[test])[:, 1]))
"""


def main(given: list[str] | None = None) -> None:
    parser = argparse.ArgumentParser(prog="python -m bench training", description=__doc__)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--rows", type=int, default=200_000)
    parser.add_argument("--trees", type=int, default=3000)
    parser.add_argument("--only", choices=("small", "long"))
    parser.add_argument("--plain", action="store_true", help="leave the runs with pictures out")
    arguments = parser.parse_args(given)
    with tempfile.TemporaryDirectory(prefix="craton-bench-") as name, serving(Path(name, "home")) as server:
        print(f"load before: {load_average()}")
        if arguments.only != "long":
            params = {"n_estimators": 60, "num_leaves": 8}
            _compare(server, "small", CHURN, "churned", params, arguments.rounds, pictures=not arguments.plain)
        if arguments.only != "small":
            rows = _made_up(Path(name, "long.csv"), arguments.rows)
            params = {"n_estimators": arguments.trees}
            _compare(server, "long", rows, "answer", params, arguments.rounds, pictures=not arguments.plain)


def _compare(
    server: RunningServer,
    name: str,
    file: Path,
    target: str,
    params: dict[str, Any],
    rounds: int,
    *,
    pictures: bool,
) -> None:
    server.craton("datasets", "add", f"bench/{name}", str(file), "--no-check")
    spec = {
        "method": "classification",
        "data": {"ref": f"bench/{name}", "target": target},
        "model": {"use": "lightgbm", "params": params},
        "eval": {"metrics": ["roc_auc"]},
        "output": {"model": f"bench/{name}"},
    }
    plain = spec | {"eval": {"metrics": ["roc_auc"], "report": False}}
    _train(server, plain | {"data": spec["data"] | {"limit": 200}})  # type: ignore[operator]  # makes the Parquet copy
    documents = {"craton": plain} | ({"craton, with pictures": spec} if pictures else {})
    sides: dict[str, list[float]] = {"raw": [], **{side: [] for side in documents}}
    for _ in range(rounds):
        seconds, expected = _raw(file, target, params)
        sides["raw"].append(seconds)
        for side, document in documents.items():
            seconds, found = _train(server, document)
            sides[side].append(seconds)
            assert found == expected, f"{found} is not {expected}"
    raw = median(sides["raw"])
    print(f"{name}: the same roc_auc, {expected:.6f}")
    for side, times in sides.items():
        more = median(times) - raw
        print(f"  {side}: {median(times):.2f} s, {more:+.2f} s ({more / raw:+.1%}); {[round(it, 2) for it in times]}")


def _raw(file: Path, target: str, params: dict[str, Any]) -> tuple[float, float]:
    """Seconds, and the figure."""
    begun = time.monotonic()
    command = [sys.executable, "-c", RAW, str(file), target, json.dumps(params)]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    return time.monotonic() - begun, float(done.stdout)


POLL = 2.0  # seconds: asking fifty times a second takes a third of a core from the run


def _train(server: RunningServer, spec: dict[str, Any]) -> tuple[float, float]:
    """The seconds are the server's own, from when it had the specification until the job had ended."""
    with server.client() as client:
        job = client.post("/api/craton/v1/trainings", json=spec).raise_for_status().json()
        while job["status"] in {"queued", "running"}:
            time.sleep(POLL)
            job = client.get(f"/api/craton/v1/jobs/{job['id']}").json()
    assert job["status"] == "succeeded", job["error"]
    return float(job["ended"] - job["created"]), float(job["result"]["metrics"]["roc_auc"])


def _made_up(file: Path, rows: int) -> Path:
    import numpy as np
    import pandas as pd

    draw = np.random.default_rng(0)
    numbers = draw.normal(size=(rows, FEATURES)).round(6)
    score = numbers[:, 0] + numbers[:, 1] * numbers[:, 2] + 0.5 * draw.normal(size=rows)
    frame = pd.DataFrame(numbers, columns=[f"x{number}" for number in range(FEATURES)])
    frame.assign(answer=np.where(score > 0, "yes", "no")).to_csv(file, index=False)
    return file
