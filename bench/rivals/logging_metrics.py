"""Points told to MLflow, by its own Python: `python -P logging_metrics.py STORE HOW FOLDER POINTS`. Prints JSON.

STORE: "sqlite" or "file". HOW: "call" (mlflow.log_metric for each, as its documentation begins), "async" (the same,
synchronous=False, then all that was queued is waited for), "batch" (1,000 at once through its client). Timed until all
is kept.
"""

from __future__ import annotations

import json
import os
import sys
import time
from pathlib import Path
from typing import Any


def main() -> None:
    store, how, folder, points = sys.argv[1], sys.argv[2], Path(sys.argv[3]), int(sys.argv[4])
    os.environ |= {"MLFLOW_DISABLE_TELEMETRY": "true", "DO_NOT_TRACK": "true", "MLFLOW_ALLOW_FILE_STORE": "true"}
    import mlflow
    from mlflow.entities import Metric

    mlflow.set_tracking_uri(f"sqlite:///{folder}/mlflow.db" if store == "sqlite" else (folder / "runs").as_uri())
    mlflow.set_experiment("bench")
    with mlflow.start_run() as run:
        mlflow.log_metric("loss", 1.0, step=0)  # what is set up by the first call is not counted
        started = time.perf_counter()
        if how == "batch":
            client: Any = mlflow.MlflowClient()
            now = int(time.time() * 1000)
            for first in range(1, points + 1, 1_000):
                some = range(first, min(first + 1_000, points + 1))
                client.log_batch(run.info.run_id, [Metric("loss", 1 / step, now, step) for step in some])
        else:
            for step in range(1, points + 1):
                mlflow.log_metric("loss", 1 / step, step=step, synchronous=how == "call")
            calls = time.perf_counter() - started
            if how == "async":
                mlflow.flush_async_logging()
        seconds = time.perf_counter() - started
        told = calls if how != "batch" else seconds
        kept = mlflow.MlflowClient().get_metric_history(run.info.run_id, "loss")
    assert len(kept) == points + 1, len(kept)
    print(json.dumps({"seconds": seconds, "told": told}))


main()
