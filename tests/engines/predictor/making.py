"""Artifacts made on the spot: a folder as training writes it."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import msgspec

from craton.core.predicting import Field, Signature
from craton.engines.predictor.drift import reference_of
from craton.engines.predictor.loaders import loader_of, sha256
from craton.engines.predictor.manifest import NAME, Manifest
from craton.engines.predictor.protocol import Predictor

ROWS = 400
INPUTS = (
    Field("age", "number"),
    Field("visits", "integer", nullable=True),
    Field("plan", "category", categories=("free", "gold", "team")),
    Field("active", "boolean"),
)
TARGET = Field("churned", "category", categories=("no", "yes"))


def write_artifact(folder: Path, predictor: Predictor, method: str, parameters: dict[str, Any] | None = None) -> Path:
    folder.mkdir(parents=True, exist_ok=True)
    kept = predictor.save(folder) | (parameters or {})
    files = {path.name: sha256(path) for path in folder.iterdir()}
    manifest = Manifest(loader_of(predictor), method, predictor.signature, files, kept)
    (folder / NAME).write_bytes(msgspec.json.encode(manifest))
    return folder


def churn_rows(count: int = ROWS, seed: int = 0, *, older: float = 0.0) -> Any:
    """A frame of rows of which half churned: the old ones, and those on the plan "free"."""
    import numpy as np
    import pandas as pd

    random = np.random.default_rng(seed)
    frame = pd.DataFrame(
        {
            "age": random.normal(40 + older, 10, count).round(1),
            "visits": random.integers(0, 30, count).astype(float),
            "plan": random.choice(["free", "gold", "team"], count),
            "active": random.random(count) > 0.3,
        }
    )
    frame.loc[frame.index % 17 == 3, "visits"] = np.nan
    churned = (frame["age"] > 45) | ((frame["plan"] == "free") & frame["active"])
    return frame.assign(churned=np.where(churned, "yes", "no"))


def churn_predictor(seed: int = 0) -> tuple[Predictor, dict[str, Any]]:
    """A classifier of scikit-learn's, and the parameters that drift needs."""
    from sklearn.impute import SimpleImputer
    from sklearn.linear_model import LogisticRegression
    from sklearn.pipeline import make_pipeline
    from sklearn.preprocessing import StandardScaler

    from craton.engines.predictor.pipelines import Settings, SklearnModel, SklearnPredictor
    from craton.engines.predictor.preprocessing import codes, encode
    from craton.engines.predictor.signatures import classification_outputs

    frame = churn_rows(seed=seed)
    estimator = make_pipeline(SimpleImputer(), StandardScaler(), LogisticRegression())
    estimator.fit(encode(frame, INPUTS, "one-hot"), codes(frame["churned"], TARGET.categories))
    signature = Signature(INPUTS, classification_outputs(TARGET), TARGET)
    predictor = SklearnPredictor(signature, SklearnModel(estimator), Settings(style="one-hot"))
    return predictor, {"reference": reference_of(frame, INPUTS)}


def as_rows(frame: Any) -> list[dict[str, Any]]:
    """The inputs of a frame, as JSON has them."""
    rows = []
    for row in frame.to_dict("records"):
        visits = None if row["visits"] != row["visits"] else int(row["visits"])
        rows.append({"age": row["age"], "visits": visits, "plan": row["plan"], "active": bool(row["active"])})
    return rows
