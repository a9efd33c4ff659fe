"""The rivals' side of `python -m bench predicting`, run by their own Python: `python -P score.py NAME PORT FOLDER`.

Each serves a random forest over scikit-learn's breast cancer set as its documentation begins with: MLflow's scoring
server from a saved model, BentoML a service with one method. One worker each, as Craton has one.
"""

from __future__ import annotations

import os
import sys
from pathlib import Path
from typing import Any

BENTO = """\
import bentoml
import joblib
import numpy as np

@bentoml.service(workers=1, metrics={"enabled": False})
class Forest:
    def __init__(self) -> None:
        self.model = joblib.load(MODEL)

    @bentoml.api
    def predict(self, rows: np.ndarray) -> list:
        return self.model.predict(rows).tolist()
"""


def forest() -> tuple[Any, Any]:
    from sklearn.datasets import load_breast_cancer
    from sklearn.ensemble import RandomForestClassifier

    frame, target = load_breast_cancer(return_X_y=True, as_frame=True)
    frame.columns = [name.replace(" ", "_") for name in frame.columns]
    return RandomForestClassifier(300, random_state=0, n_jobs=1).fit(frame, target), frame


def mlflow(port: int, folder: Path) -> list[str]:
    import mlflow.sklearn

    model, frame = forest()
    mlflow.sklearn.save_model(
        model, str(folder / "model"), input_example=frame.head(2), serialization_format="cloudpickle"
    )
    return [
        "mlflow",
        "models",
        "serve",
        "-m",
        str(folder / "model"),
        "--env-manager",
        "local",
        "-p",
        str(port),
        "-w",
        "1",
    ]


def bentoml(port: int, folder: Path) -> list[str]:
    import joblib

    folder.mkdir(parents=True, exist_ok=True)
    model, _ = forest()
    joblib.dump(model, folder / "forest.joblib")
    (folder / "service.py").write_text(BENTO.replace("MODEL", repr(str(folder / "forest.joblib"))))
    return ["bentoml", "serve", "service:Forest", "--working-dir", str(folder), "-p", str(port), "--host", "127.0.0.1"]


def main() -> None:
    name, port, folder = sys.argv[1:]
    command = {"mlflow": mlflow, "bentoml": bentoml}[name](int(port), Path(folder))
    binaries = Path(sys.executable).parent
    os.environ["PATH"] = f"{binaries}{os.pathsep}{os.environ['PATH']}"
    os.execv(binaries / command[0], command)


if __name__ == "__main__":
    main()
