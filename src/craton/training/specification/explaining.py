"""What a specification would run, and why: said before anything is."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from msgspec import Struct

from craton.core.errors import InvalidRequest
from craton.data.viewing.values import Feature
from craton.training.specification.gates import read_gate
from craton.training.specification.methods import (
    Classification,
    Clustering,
    Ensemble,
    Member,
    Online,
    Reduction,
    Reinforcement,
    Specification,
    Topics,
)
from craton.training.specification.names import METRICS
from craton.training.specification.parts import Data
from craton.training.specification.reading import method_of
from craton.training.specification.suggesting import unknown
from craton.training.specification.tuning import Tuned

MOST = 12  # columns that are named


class Line(Struct, frozen=True):
    """what: of the run ("model"); how: what it would be; why: where that comes from."""

    what: str
    how: str
    why: str


class Explanation(Struct, frozen=True):
    lines: tuple[Line, ...]


def explain(
    spec: Specification, data: str, features: Mapping[str, Feature], rows: int | None, own_test: int | None
) -> Explanation:
    """data: the reference with its revision in full. features, rows: of the split that is learned from, {} and None
    where they are not known before the run. own_test: rows of the dataset's own test split, None when it has none.

    Raises InvalidRequest for a column that there is not.
    """
    lines = [Line("method", method_of(spec), "method")]
    if isinstance(spec, Reinforcement):
        lines.append(Line("environment", f"{spec.environment}, {spec.steps:,} steps", "environment, steps"))
    else:
        lines += _data(spec.data, data, features, rows)
        lines.append(_split(spec, spec.data, rows, own_test))
    lines += _model(spec)
    lines += judging(spec)
    return Explanation(tuple(lines))


def _data(data: Data, named: str, features: Mapping[str, Feature], rows: int | None) -> Iterator[Line]:
    count = "" if rows is None else f", {rows:,} rows"
    limited = "" if data.limit is None else f", the first {data.limit:,} of them"
    yield Line("data", f"{named}{count}{limited}", f"data.ref is {data.ref!r}; the revision is the one it has now")
    for name in (data.target, data.sensitive, *(data.features or ()), *data.drop, *data.text):
        if name and features and name not in features:
            raise InvalidRequest(unknown("column", name, features), "data")
    if data.target:
        yield Line("target", data.target, "data.target")
    if data.features is not None:
        yield Line("features", _some(data.features), "data.features")
    elif features:
        names = [name for name in features if name not in {data.target, data.sensitive, *data.drop}]
        yield Line("features", _some(names), "all columns but the target, the dropped and the sensitive one")
    if data.text:
        yield Line("embedded", _some(data.text), "data.text")
    if data.pictures:
        size = f"{data.pictures.height} x {data.pictures.width} pixels"
        yield Line("pictures", f"{size}, {'grey' if data.pictures.channels == 1 else 'in colour'}", "data.pictures")
    if data.sensitive:
        yield Line("compared", data.sensitive, "data.sensitive: its groups are compared for fairness")


def _split(spec: Specification, data: Data, rows: int | None, own_test: int | None) -> Line:
    if own_test is not None and data.split is None:
        return Line("split", f"the dataset's own: {own_test:,} test rows", "it has a split called test")
    if data.split is None and isinstance(spec, Online | Clustering | Reduction | Topics):
        return Line(
            "split", "none: all rows are learned from", f"the usual of {method_of(spec)}; data.split changes it"
        )
    share = 0.2 if data.split is None else data.split.test
    held = f"{share:.0%}" if rows is None else f"{round(rows * share):,} rows"
    if data.split is None:
        how = "drawn at random, each class with its share" if isinstance(spec, Classification) else "drawn at random"
        return Line("split", f"{held} to test, {how}", "the usual; data.split changes it")
    checked = f", {data.split.validation:.0%} to validation" if data.split.validation else ""
    ways = {
        "random": "drawn at random",
        "order": "the last ones",
        "group": f"whole groups of {data.split.column!r}",
    }
    return Line("split", f"{held} to test{checked}, {ways[data.split.by]}", "data.split")


def _model(spec: Specification) -> Iterator[Line]:
    params = ", ".join(f"{name}={value!r}" for name, value in spec.model.params.items())
    yield Line("model", f"{spec.model.use}({params})", "model; its parameters go to the library unchanged")
    if isinstance(spec, Ensemble):
        yield Line("members", ", ".join(map(_member, spec.members)), "members")
    yield Line("seed", str(spec.seed), "seed: of the split and of everything that the library draws")
    search = getattr(spec, "search", None)
    if search is not None:
        trials = "all combinations" if search.trials is None else f"{search.trials} trials"
        how = f"{search.strategy} over {', '.join(search.space)}: {trials}, {search.folds} folds of the training rows"
        yield Line("search", how, "search")
    if isinstance(spec, Classification):
        if spec.class_weight is not None:
            yield Line("weights", str(spec.class_weight), "class_weight")
        if spec.calibrate is not None:
            how = f"{spec.calibrate}, fitted by cross-validation on the training rows"
            yield Line("calibration", how, "calibrate")


def _member(member: Member) -> str:
    if member.hub:
        return f"the model {member.hub}"
    columns = "" if member.features is None else f" of {_some(member.features)}"
    return " ".join(part for part in (member.method, member.use) if part) + columns


def judging(spec: Specification | Tuned) -> Iterator[Line]:
    """By what it is judged, and what becomes of it."""
    names = spec.eval.metrics or METRICS.get(method_of(spec))
    if names:
        why = "eval.metrics" if spec.eval.metrics else f"the usual of {method_of(spec)}"
        yield Line("metrics", ", ".join(names), why)
    gate = read_gate(spec.eval.gate)
    if gate is not None:
        yield Line("gate", str(gate), "eval.gate: nothing is published when it does not hold")
    if not spec.output.model:
        yield Line("output", "nothing is published", "output.model is not set")
        return
    kept = "weights without pickle, signature, model card; loaded again in a fresh process and compared before"
    yield Line("output", f"{spec.output.model}, branch {spec.output.branch}: {kept}", "output.model")


def _some(names: list[str]) -> str:
    rest = f" and {len(names) - MOST:,} more" if len(names) > MOST else ""
    return ", ".join(names[:MOST]) + rest
