"""Rows a second of trained models over HTTP against the same model asked in process; with `--rivals` also MLflow's
scoring server and BentoML with the same model (in an environment of their own, made at the first time).

Raw: the library's own `predict` of a data frame of as many rows, as its users call it, in one process. Over HTTP: as
many rows a request from a few connections, as JSON (lists, objects), and as the bytes of a tensor to the Open Inference
Protocol's endpoint (binary). All stay loaded, measured in turn; medians are printed.
Data: scikit-learn's breast cancer set, 569 rows of 30 numbers. Goal: 0.7 of raw at 256 rows.
"""

from __future__ import annotations

import argparse
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from statistics import median
from typing import Any, NamedTuple

from bench.load import Load, run
from craton.core.predicting import Field, Signature
from craton.engines.predictor.drift import reference_of
from craton.engines.predictor.pipelines import (
    LightGBMModel,
    LightGBMPredictor,
    Settings,
    SklearnModel,
    SklearnPredictor,
)
from craton.engines.predictor.signatures import classification_outputs
from craton.wire.http import encode_json
from tests.engines.predictor.making import write_artifact
from tests.serve.predicting_server import publish
from tests.servers import RunningServer, serving

Predict = Callable[[Any], Any]
TARGET = Field("kind", "category", categories=("malignant", "benign"))


def tables() -> tuple[Any, Any, tuple[Field, ...]]:
    from sklearn.datasets import load_breast_cancer

    frame, target = load_breast_cancer(return_X_y=True, as_frame=True)
    frame.columns = [name.replace(" ", "_") for name in frame.columns]
    return frame, target, tuple(Field(name, "number") for name in frame.columns)


def predictors(frame: Any, target: Any, fields: tuple[Field, ...]) -> dict[str, tuple[Any, Predict]]:
    """What is served, and the library's own call; from quick to slow: what a request costs beside the model is the same
    for all."""
    import lightgbm
    from sklearn.base import clone
    from sklearn.ensemble import RandomForestClassifier
    from sklearn.linear_model import LogisticRegression
    from sklearn.pipeline import make_pipeline
    from sklearn.preprocessing import StandardScaler

    signature = Signature(fields, classification_outputs(TARGET), TARGET)
    matrix = frame.to_numpy()
    logistic = make_pipeline(StandardScaler(), LogisticRegression()).fit(matrix, target)
    forest = RandomForestClassifier(300, random_state=0, n_jobs=1).fit(matrix, target)
    booster = lightgbm.train(
        {"objective": "binary", "verbose": -1, "num_threads": 1}, lightgbm.Dataset(matrix, target.to_numpy()), 500
    )
    named = [
        clone(one).fit(frame, target).predict for one in (logistic, forest)
    ]  # scikit-learn wants names twice or never
    return {
        "logistic": (SklearnPredictor(signature, SklearnModel(logistic), Settings(style="one-hot")), named[0]),
        "lightgbm": (LightGBMPredictor(signature, LightGBMModel(booster), Settings()), booster.predict),
        "forest": (SklearnPredictor(signature, SklearnModel(forest), Settings(style="one-hot")), named[1]),
    }


def batch_of(frame: Any, rows: int) -> Any:
    return frame.sample(rows, replace=True, random_state=0).reset_index(drop=True)


def raw_rate(predict: Predict, batch: Any, seconds: float) -> float:
    """Rows a second."""
    predict(batch)
    done, began = 0, time.perf_counter()
    while (now := time.perf_counter()) - began < seconds:
        predict(batch)
        done += len(batch)
    return done / (now - began)


class Way(NamedTuple):
    """How rows are sent."""

    path: str  # {} is the model
    headers: dict[str, str]
    body: bytes


def ways(batch: Any) -> dict[str, Way]:
    predict, head = "/v1/models/{}/predict", {"content-type": "application/json"}
    return {
        "lists": Way(predict, head, encode_json({"rows": batch.to_numpy().tolist(), "names": list(batch.columns)})),
        "objects": Way(predict, head, encode_json({"rows": batch.to_dict("records")})),
        "binary": binary(batch),
    }


def binary(batch: Any) -> Way:
    """As tritonclient sends an array of float64, and asks for bytes back."""
    data = batch.to_numpy("<f8").tobytes()
    tensor = {"name": "rows", "shape": batch.shape, "datatype": "FP64", "parameters": {"binary_data_size": len(data)}}
    told = encode_json({"inputs": [tensor], "parameters": {"binary_data_output": True}})
    headers = {"content-type": "application/octet-stream", "inference-header-content-length": str(len(told))}
    return Way("/v2/models/{}/infer", headers, told + data)


def over_http(server: RunningServer, model: str, way: Way, given: argparse.Namespace) -> float:
    headers = {"authorization": f"Bearer {server.token}", **way.headers}
    url = server.url + way.path.format(model)
    return run(Load(url, "POST", headers, way.body, given.connections, given.seconds)).rate * given.rows


def rival_rate(url: str, body: bytes, given: argparse.Namespace) -> float:
    headers = {"content-type": "application/json"}
    return run(Load(url, "POST", headers, body, given.connections, given.seconds)).rate * given.rows


@contextmanager
def craton(folder: Path, models: dict[str, tuple[Any, Predict]], reference: dict[str, Any]) -> Iterator[RunningServer]:
    with serving(folder / "home") as server:
        for name, (predictor, _) in models.items():
            publish(
                server,
                f"bench/{name}",
                write_artifact(folder / name, predictor, "classification", {"reference": reference}),
            )
        yield server


def main(arguments: list[str]) -> None:
    parser = argparse.ArgumentParser(prog="bench predicting")
    parser.add_argument("--rows", type=int, default=256)
    parser.add_argument("--connections", type=int, default=4)
    parser.add_argument("--seconds", type=float, default=3.0)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--models", default="logistic,lightgbm,forest")
    parser.add_argument("--rivals", action="store_true", help="also MLflow and BentoML, over the forest")
    given = parser.parse_args(arguments)
    frame, target, fields = tables()
    every = predictors(frame, target, fields)
    models = {name: every[name] for name in given.models.split(",")}
    batch = batch_of(frame, given.rows)
    sent = ways(batch)
    with tempfile.TemporaryDirectory(prefix="craton-bench-") as temporary, ExitStack() as stack:
        folder = Path(temporary)
        server = stack.enter_context(craton(folder, models, reference_of(frame, fields)))
        rivals = {}
        if given.rivals:
            from bench.rivals.scoring import scoring

            rivals = stack.enter_context(scoring(folder / "rivals", batch))
        for name, (_, predict) in models.items():
            measured = _rounds(server, name, predict, batch, sent, given)
            raw = median(measured["raw"])
            print(f"{name}: raw {raw:,.0f} rows/s")
            for way in sent:
                rates = measured[way]
                ratios = [ours / theirs for ours, theirs in zip(rates, measured["raw"], strict=True)]
                print(f"  {way}: {median(rates):,.0f} rows/s, {median(ratios):.2f} of raw "
                      f"({min(ratios):.2f} to {max(ratios):.2f})")  # fmt: skip
        if rivals:
            _beside(server, rivals, sent["lists"], given)


def _rounds(
    server: RunningServer,
    name: str,
    predict: Predict,
    batch: Any,
    sent: dict[str, Way],
    given: argparse.Namespace,
) -> dict[str, list[float]]:
    measured: dict[str, list[float]] = {"raw": [], **{way: [] for way in sent}}
    over_http(server, f"bench/{name}", sent["lists"], argparse.Namespace(**vars(given) | {"seconds": 1.0}))
    for _ in range(given.rounds):
        measured["raw"].append(raw_rate(predict, batch, given.seconds))
        for way, how in sent.items():
            measured[way].append(over_http(server, f"bench/{name}", how, given))
    return measured


def _beside(server: RunningServer, rivals: dict[str, Any], sent: Way, given: argparse.Namespace) -> None:
    rates: dict[str, list[float]] = {"craton": [], **{name: [] for name in rivals}}
    for _ in range(given.rounds):
        rates["craton"].append(over_http(server, "bench/forest", sent, given))
        for name, rival in rivals.items():
            rates[name].append(rival_rate(rival.url, rival.body, given))
    print("beside rivals, forest:", ", ".join(f"{name} {median(found):,.0f} rows/s" for name, found in rates.items()))


if __name__ == "__main__":
    import sys

    main(sys.argv[1:])
