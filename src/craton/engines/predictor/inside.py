"""What a table's model is: the arrays that it learned, a linear model's coefficients, a tree's rules."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

from msgspec import Struct

from craton.core.errors import Unsupported
from craton.engines.predictor.pipelines import LightGBMModel, SklearnModel, TabularPredictor, XGBoostModel
from craton.engines.predictor.preprocessing import names
from craton.engines.predictor.protocol import Predictor

if TYPE_CHECKING:
    import numpy as np

    Array = np.ndarray[Any, Any]


class Learned(Struct, frozen=True):
    """An array. size: bytes."""

    name: str
    shape: tuple[int, ...]
    dtype: str
    elements: int
    size: int


class Linear(Struct, frozen=True):
    """score = intercept + the sum of coefficient * column, for each output (a class, or the one number). scaled: the
    columns were brought to mean 0 and standard deviation 1 before."""

    columns: tuple[str, ...]
    outputs: tuple[str, ...]
    coefficients: tuple[tuple[float, ...], ...]
    intercepts: tuple[float, ...]
    scaled: bool


class Tree(Struct, frozen=True):
    """A node. test: what a row must satisfy to go into the first branch. value: of a leaf."""

    test: str = ""
    branches: tuple[Tree, ...] = ()
    value: str = ""


class Inside(Struct, frozen=True):
    """trees: how many the model has; `first` is one of them."""

    learned: tuple[Learned, ...]
    linear: Linear | None = None
    trees: int = 0
    first: Tree | None = None


def look_inside(predictor: Predictor) -> Inside:
    """Raises Unsupported for a kind of model whose numbers are not known here."""
    if not isinstance(predictor, TabularPredictor):
        raise Unsupported("Looking into a model of this kind", "Tables' models and files of tensors can be listed.")
    columns, model = names(predictor.signature.inputs, predictor.settings.style), predictor.model
    if isinstance(model, LightGBMModel):
        return _of_lightgbm(model.booster, columns)
    if isinstance(model, XGBoostModel):
        return _of_xgboost(model.booster, columns)
    assert isinstance(model, SklearnModel)
    target = predictor.signature.target
    found = _of_sklearn(model.estimator, columns, tuple(map(str, target.categories)) if target is not None else ())
    if not found.learned:
        raise Unsupported("Looking into a model of this kind", "Its library keeps what it learned to itself.")
    return found


def rules(tree: Tree, depth: int = 0) -> Iterator[str]:
    """Lines: a branch below its test, the other one below "else"."""
    margin = "|   " * depth
    if not tree.branches:
        yield f"{margin}|-- {tree.value}"
        return
    first, second = tree.branches
    yield f"{margin}|-- if {tree.test}"
    yield from rules(first, depth + 1)
    yield f"{margin}|-- else"
    yield from rules(second, depth + 1)


# --- scikit-learn ----------------------------------------------------------------------------------------------


def _of_sklearn(estimator: Any, columns: list[str], labels: tuple[str, ...]) -> Inside:
    steps = list(getattr(estimator, "named_steps", {"model": estimator}).items())
    model = steps[-1][1]
    learned = [array for name, step in steps for array in _arrays(name if len(steps) > 1 else "", step)]
    trees = _trees(model)
    if trees:
        learned += _tree_arrays(trees)
    first = _of_nodes(trees[0].tree_, columns, labels if hasattr(trees[0], "classes_") else ()) if trees else None
    scaled = any(hasattr(step, "scale_") and hasattr(step, "mean_") for _, step in steps[:-1])
    return Inside(tuple(learned), _linear(model, columns, labels, scaled), len(trees), first)


def _arrays(step: str, estimator: Any) -> list[Learned]:
    """What `fit` set: by scikit-learn's custom, attributes whose names end in "_"."""
    import numpy as np

    found = []
    for name, value in sorted(vars(estimator).items()):
        if not name.endswith("_") or name.startswith("_") or name in _NOT_LEARNED:
            continue
        parts = list(enumerate(value)) if isinstance(value, list) else [(None, value)]
        for number, part in parts:
            array = np.asarray(part) if isinstance(part, np.ndarray | float | np.floating) else np.empty(0)
            if array.dtype.kind in "fiu" and array.size:
                path = name if number is None else f"{name}[{number}]"
                found.append(_learned(f"{step}.{path}" if step else path, array))
    return found


_NOT_LEARNED = frozenset(
    {"classes_", "feature_importances_", "loss_curve_", "n_iter_", "n_samples_seen_", "oob_score_", "train_score_"}
)


def _trees(model: Any) -> list[Any]:
    import numpy as np

    if hasattr(model, "tree_"):
        return [model]
    members = getattr(model, "estimators_", ())
    return [one for one in np.ravel(np.array(members, dtype=object)) if hasattr(one, "tree_")]


def _tree_arrays(trees: list[Any]) -> list[Learned]:
    """Of all trees together."""
    import numpy as np

    found = []
    for name in ("feature", "threshold", "value"):
        parts = [getattr(one.tree_, name) for one in trees]
        found.append(_learned(f"tree.{name}", np.concatenate(parts)))
    return found


def _linear(model: Any, columns: list[str], labels: tuple[str, ...], scaled: bool) -> Linear | None:
    import numpy as np

    if not hasattr(model, "coef_") or not hasattr(model, "intercept_"):
        return None
    coefficients = np.atleast_2d(np.asarray(model.coef_, dtype=float))
    if coefficients.shape[1] != len(columns):
        return None  # of another space than that of the columns: a kernel's
    intercepts = np.broadcast_to(np.ravel(model.intercept_), len(coefficients))
    outputs = labels[-1:] if len(coefficients) == 1 else labels
    return Linear(
        tuple(columns),
        outputs or ("prediction",),
        tuple(map(tuple, coefficients.tolist())),
        tuple(intercepts.tolist()),
        scaled,
    )


def _of_nodes(tree: Any, columns: list[str], labels: tuple[str, ...], node: int = 0) -> Tree:
    left, right = int(tree.children_left[node]), int(tree.children_right[node])
    if left == right:
        values = tree.value[node].ravel()
        if not labels:
            return Tree(value=f"{values[0]:.6g}")
        best, rows = int(values.argmax()), int(tree.n_node_samples[node])
        return Tree(value=f"{labels[best]} ({values[best] / values.sum():.0%} of {rows:,} rows)")
    test = f"{columns[int(tree.feature[node])]} <= {tree.threshold[node]:.6g}"
    return Tree(test, tuple(_of_nodes(tree, columns, labels, child) for child in (left, right)))


# --- boosted trees ---------------------------------------------------------------------------------------------


def _of_lightgbm(booster: Any, columns: list[str]) -> Inside:
    import numpy as np

    roots = [one["tree_structure"] for one in booster.dump_model()["tree_info"]]
    nodes = [node for root in roots for node in _walk(root, ("left_child", "right_child"))]
    splits, leaves = ([node for node in nodes if key in node] for key in ("threshold", "leaf_value"))
    numbers = [node["threshold"] for node in splits if not isinstance(node["threshold"], str)]
    learned = (
        _learned("split_feature", np.array([node["split_feature"] for node in splits], np.int32)),
        _learned("threshold", np.array(numbers, np.float64)),
        _learned("leaf_value", np.array([node["leaf_value"] for node in leaves], np.float64)),
    )

    def tree(node: Any) -> Tree:
        if "leaf_value" in node:
            return Tree(value=f"{node['leaf_value']:+.6g}")
        bound = node["threshold"]
        said = bound if isinstance(bound, str) else f"{bound:.6g}"
        test = f"{columns[node['split_feature']]} {node['decision_type']} {said}"
        return Tree(test, (tree(node["left_child"]), tree(node["right_child"])))

    return Inside(learned, trees=len(roots), first=tree(roots[0]) if roots else None)


def _of_xgboost(booster: Any, columns: list[str]) -> Inside:
    import numpy as np

    roots = [json.loads(text) for text in booster.get_dump(dump_format="json")]
    nodes = [node for root in roots for node in _walk(root, ("children",))]
    splits, leaves = ([node for node in nodes if key in node] for key in ("split_condition", "leaf"))
    places = {f"f{number}": number for number in range(len(columns))}
    places |= {name: number for number, name in enumerate(booster.feature_names or ())}
    learned = (
        _learned("split_feature", np.array([places[node["split"]] for node in splits], np.int32)),
        _learned("threshold", np.array([node["split_condition"] for node in splits], np.float32)),
        _learned("leaf_value", np.array([node["leaf"] for node in leaves], np.float32)),
    )

    def tree(node: Any) -> Tree:
        if "leaf" in node:
            return Tree(value=f"{node['leaf']:+.6g}")
        below = {child["nodeid"]: child for child in node["children"]}
        test = f"{columns[places[node['split']]]} < {node['split_condition']:.6g}"
        return Tree(test, (tree(below[node["yes"]]), tree(below[node["no"]])))

    return Inside(learned, trees=len(roots), first=tree(roots[0]) if roots else None)


def _walk(node: Any, children: tuple[str, ...]) -> Iterator[Any]:
    yield node
    for key in children:
        below = node.get(key)
        for child in below if isinstance(below, list) else [] if below is None else [below]:
            yield from _walk(child, children)


def _learned(name: str, array: Array) -> Learned:
    return Learned(name, array.shape, array.dtype.name, int(array.size), int(array.nbytes))
