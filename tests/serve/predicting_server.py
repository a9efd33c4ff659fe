"""A real server whose hub holds trained models, brought there by `huggingface_hub`."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from huggingface_hub import HfApi

from craton.core.predicting import Field, Signature
from craton.engines.predictor.protocol import Predictor
from tests.engines.predictor.making import TARGET, churn_predictor, write_artifact
from tests.servers import RunningServer, serving

ECHO_DIMENSIONS = 64
LEARNER_INPUTS = (Field("age", "number"), Field("plan", "category", categories=("free", "gold")))


@contextmanager
def predicting(folder: Path, config: str = "") -> Iterator[RunningServer]:
    """acme/churn: a classifier. acme/stream: one that learns. acme/texts: a regression over texts that echo embeds."""
    with serving(folder / "home", config=config) as server:
        predictor, parameters = churn_predictor()
        publish(server, "acme/churn", write_artifact(folder / "churn", predictor, "classification", parameters))
        publish(server, "acme/stream", write_artifact(folder / "stream", stream_predictor(), "online"))
        publish(server, "acme/texts", write_artifact(folder / "texts", text_predictor(), "regression"))
        yield server


def publish(server: RunningServer, name: str, folder: Path) -> str:
    """The new revision."""
    hub = HfApi(endpoint=server.url, token=server.token)
    hub.create_repo(name, exist_ok=True)
    return str(hub.upload_folder(repo_id=name, folder_path=folder).oid)


def stream_predictor() -> Predictor:
    from river import linear_model, preprocessing

    from craton.engines.predictor.learners import RiverLearner
    from craton.engines.predictor.signatures import classification_outputs

    signature = Signature(LEARNER_INPUTS, {**classification_outputs(TARGET), "learn": ()}, TARGET)
    model = linear_model.LogisticRegression()
    learner: Predictor = RiverLearner(signature, model, kind="binary", scaler=preprocessing.StandardScaler())
    return learner


def text_predictor() -> Predictor:
    import numpy as np
    from sklearn.linear_model import Ridge

    from craton.engines.predictor.pipelines import Settings, SklearnModel, SklearnPredictor
    from craton.engines.predictor.signatures import regression_outputs

    inputs = (Field("review", "text", nullable=True, shape=(ECHO_DIMENSIONS,), embedder="echo"), Field("age", "number"))
    random = np.random.default_rng(0)
    matrix = random.normal(size=(50, ECHO_DIMENSIONS + 1))
    ridge = Ridge().fit(matrix, matrix @ random.normal(size=ECHO_DIMENSIONS + 1))
    return SklearnPredictor(Signature(inputs, regression_outputs()), SklearnModel(ridge), Settings(style="one-hot"))


def learned_rows(count: int, seed: int = 0) -> list[dict[str, Any]]:
    """Whoever is old churns."""
    import numpy as np

    ages = np.random.default_rng(seed).normal(40, 10, count).round(1).tolist()
    return [
        {"age": age, "plan": ("free", "gold")[index % 2], "churned": "yes" if age > 40 else "no"}
        for index, age in enumerate(ages)
    ]
