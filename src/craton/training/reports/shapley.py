"""What each column adds to single predictions: SHAP values (Lundberg and Lee, 2017).

Trees know them exactly (Lundberg et al., "From local explanations to global understanding", 2020): LightGBM and XGBoost
by themselves, scikit-learn's through the shap library; what the columns of one field add is added up. Anything else is
asked about rows into which a row's values are put one after the other, in a random order and in its reverse (Mitchell
et al., "Sampling permutations for Shapley value estimation", 2022). The shap library has that, too, but takes ten
seconds to compile it, and takes numbers alone.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from craton.core.predicting import Field
from craton.engines.predictor.pipelines import LightGBMModel, SklearnModel, TabularPredictor, XGBoostModel
from craton.engines.predictor.preprocessing import width
from craton.engines.predictor.protocol import Predictor
from craton.engines.predictor.signatures import PREDICTION, PROBABILITIES
from craton.training.protocol import Figure
from craton.training.reports.style import DIVERGING, Canvas, bars, short

if TYPE_CHECKING:
    import numpy as np
    import pandas as pd

    Array = np.ndarray[Any, Any]

ROWS = 200
EACH = 400  # rows times classes
BACKGROUND = 20  # rows that stand for "not known", where the model does not know it itself
ASKED = 30_000  # rows that such a model may be asked about
SHOWN = 12
TREES = frozenset(
    {
        "DecisionTreeClassifier",
        "DecisionTreeRegressor",
        "ExtraTreesClassifier",
        "ExtraTreesRegressor",
        "GradientBoostingRegressor",
        "HistGradientBoostingClassifier",
        "HistGradientBoostingRegressor",
        "RandomForestClassifier",
        "RandomForestRegressor",
    }
)


@dataclass(frozen=True, slots=True)
class Shares:
    """values: shape (rows, fields, outputs). base: of each output, what is said when nothing is known. how: computed.

    unit: of the values ("log-odds", "probability", or the target's own).
    """

    values: Array
    base: Array
    how: str
    unit: str


def shap_values(predictor: Predictor, rows: pd.DataFrame, background: pd.DataFrame, seed: int) -> Figure | None:
    """rows: as the predictor takes them; the first ROWS are explained. None where there is nothing to explain."""
    fields = predictor.signature.inputs
    classes = max(1, len(predictor.signature.outputs["predict"][0].categories))
    rows = rows.head(min(ROWS, max(20, EACH // classes))).reset_index(drop=True)
    if not len(rows) or not fields:
        return None
    found = shares(predictor, rows, background, seed)
    return _drawn(found, rows, fields, _outputs(predictor, found))


def shares(predictor: Predictor, rows: pd.DataFrame, background: pd.DataFrame, seed: int) -> Shares:
    if isinstance(predictor, TabularPredictor) and predictor.settings.calibration is None:
        native = _of_trees(predictor, rows)
        if native is not None:
            return native
    return _of_anything(predictor, rows, background, seed)


def _of_trees(predictor: TabularPredictor, rows: pd.DataFrame) -> Shares | None:
    """With `how` the library's own computation. None for what is no tree."""
    model, matrix = predictor.model, predictor.matrix(rows)
    classes = len(predictor.signature.outputs["predict"][0].categories)
    unit = "log-odds" if classes else "the target's unit"
    if isinstance(model, LightGBMModel):
        flat = model.booster.predict(matrix, pred_contrib=True)
        return _split(predictor, flat.reshape(len(rows), -1, matrix.shape[1] + 1), "LightGBM's trees", unit)
    if isinstance(model, XGBoostModel):
        found = model.contributions(matrix)
        return _split(predictor, found[:, None] if found.ndim == 2 else found, "XGBoost's trees", unit)
    if isinstance(model, SklearnModel) and type(model.estimator).__name__ in TREES:
        import numpy as np
        import shap

        explainer = shap.TreeExplainer(model.estimator)
        values = np.asarray(explainer.shap_values(matrix, check_additivity=False))
        values = values[..., None] if values.ndim == 2 else values
        base = np.broadcast_to(np.atleast_1d(explainer.expected_value), values.shape[2:])
        if classes and not type(model.estimator).__name__.startswith("Hist"):
            unit = "probability"
        return Shares(_by_field(predictor, values), base, "shap.TreeExplainer", unit)
    return None


def _split(predictor: TabularPredictor, found: Array, how: str, unit: str) -> Shares:
    """found: shape (rows, outputs, columns and the base)."""
    values = found.swapaxes(1, 2)
    return Shares(_by_field(predictor, values[:, :-1]), values[0, -1], how, unit)


def _by_field(predictor: TabularPredictor, values: Array) -> Array:
    import numpy as np

    ends = np.cumsum([width([field], predictor.settings.style) for field in predictor.signature.inputs])
    return np.add.reduceat(values, [0, *ends[:-1]], axis=1)


def _of_anything(predictor: Predictor, rows: pd.DataFrame, background: pd.DataFrame, seed: int) -> Shares:
    """Every row of the background walks to every explained row, one field at a time: what a step changes is the
    field's share. All steps together are exactly the way from the base to the prediction."""
    import numpy as np
    import pandas as pd

    names = [field.name for field in predictor.signature.inputs]
    draw = np.random.default_rng(seed)
    known = background.sample(min(BACKGROUND, len(background)), random_state=seed)
    rows = rows.head(max(1, ASKED // (len(known) * 2 * (len(names) + 1))))
    frame = pd.concat([rows[names], known[names]], ignore_index=True)
    others = np.arange(len(rows), len(frame))
    values, base = [], None
    for row in range(len(rows)):
        way = draw.permutation(len(names))
        orders = [way, way[::-1]]
        said = _asked(predictor, _swapped(frame, names, np.concatenate([_walk(row, others, one) for one in orders])))
        steps = said.reshape(2, len(names) + 1, len(others), -1).mean(axis=2)
        base = steps[0, 0] if base is None else base
        shares_ = np.empty((2, len(names), steps.shape[2]))
        for at, order in enumerate(orders):
            shares_[at, order] = np.diff(steps[at], axis=0)
        values.append(shares_.mean(axis=0))
    assert base is not None
    unit = "probability" if predictor.signature.outputs["predict"][0].categories else "the target's unit"
    return Shares(np.stack(values), base, f"permutations over {len(known)} rows", unit)


def _walk(row: int, others: Array, order: Array) -> Array:
    """Where each value of each row comes from. Shape ((fields + 1) * others, fields): first the others themselves, last
    the row itself."""
    import numpy as np

    steps = np.repeat(others[None, :, None], len(order) + 1, axis=0).repeat(len(order), axis=2)
    for done, field in enumerate(order, 1):
        steps[done:, :, field] = row
    return steps.reshape(-1, len(order))


def _swapped(frame: pd.DataFrame, names: list[str], places: Array) -> pd.DataFrame:
    import pandas as pd

    columns = {name: frame[name].take(places[:, at]).reset_index(drop=True) for at, name in enumerate(names)}
    return pd.DataFrame(columns)


def _asked(predictor: Predictor, rows: pd.DataFrame) -> Array:
    """A column for each class (one is enough for two), or the number."""
    import numpy as np

    outputs = predictor.signature.outputs
    if "predict_proba" in outputs:
        found = predictor.run("predict_proba", rows)[PROBABILITIES]
        return found[:, 1] if found.shape[1] == 2 else found
    said = predictor.run("predict", rows)[PREDICTION]
    categories = outputs["predict"][0].categories
    if not categories:
        return np.asarray(said, np.float64)
    if len(categories) == 2:
        return np.array([value == categories[1] for value in said], np.float64)
    return np.array([[value == category for category in categories] for value in said], np.float64)


def _outputs(predictor: Predictor, found: Shares) -> list[Any]:
    categories = predictor.signature.outputs["predict"][0].categories
    if found.values.shape[2] == len(categories):
        return [*categories]
    return [categories[1]] if len(categories) == 2 else [PREDICTION]


def _drawn(found: Shares, rows: pd.DataFrame, fields: tuple[Field, ...], outputs: list[Any]) -> Figure:
    import numpy as np

    size = np.abs(found.values).mean(axis=0)
    order = np.argsort(-size.mean(axis=1), kind="stable")
    top = order[:SHOWN]
    canvas = Canvas("SHAP values", 6.8, 1.8 + 0.32 * len(top))
    binary = len(outputs) == 2
    if len(outputs) == 1 or binary:
        _swarm(canvas, found.values[:, top, -1], rows, [fields[place] for place in top])
        of = f" of {short(outputs[-1])}" if fields and outputs[-1] != PREDICTION else ""
        canvas.axes.set_xlabel(f"what the column adds ({found.unit}{of})", fontsize=9)
    else:
        label = f"mean size of what the column adds ({found.unit}, mean over the classes)"
        bars(canvas, [fields[place].name for place in top], size[top].mean(axis=1).tolist(), label)
    columns = [
        {"column": fields[place].name, "mean_size": dict(zip(map(str, outputs), size[place].tolist(), strict=True))}
        for place in order
    ]
    data = {"computed_by": found.how, "unit": found.unit, "rows": len(found.values), "columns": columns}
    data |= {"base": dict(zip(map(str, outputs), np.ravel(found.base).tolist(), strict=True))}
    return canvas.figure("shap", data)


def _swarm(canvas: Canvas, values: Array, rows: pd.DataFrame, fields: list[Field]) -> None:
    """A dot for each row, beside its like; coloured by whether the column's value is low or high."""
    import numpy as np

    axes, count = canvas.axes, len(values)
    drawn = None
    for place, field in enumerate(fields):
        paint = _heights(rows[field.name].iloc[:count], field)
        lifted = place + _beside(values[:, place])
        drawn = axes.scatter(values[:, place], lifted, c=paint, cmap=DIVERGING, vmin=0, vmax=1, s=11, linewidths=0)
    axes.set_yticks(range(len(fields)), [short(field.name) for field in fields])
    axes.set_ylim(len(fields) - 0.5, -0.5)
    axes.axvline(0, color="#C4C4C4", linewidth=1, zorder=0)
    axes.grid(visible=False, axis="y")
    if drawn is not None and any(np.ptp(_heights(rows[field.name], field)) for field in fields):
        canvas.bar(drawn, "the column's value: low to high")


def _heights(column: Any, field: Field) -> Array:
    """The rank of each value, from 0 to 1; a half where values have no order."""
    import numpy as np
    import pandas as pd

    if field.kind not in {"number", "integer", "boolean", "time"}:
        return np.full(len(column), 0.5)
    ranks = pd.Series(column.to_numpy()).rank(method="average")
    spread = ranks.max() - ranks.min()
    scaled = (ranks - ranks.min()) / spread if spread else ranks * 0 + 0.5
    found: Array = scaled.fillna(0.5).to_numpy(dtype=np.float64)
    return found


def _beside(values: Array) -> Array:
    """How far each dot is moved so that those of about the same value do not cover each other."""
    import numpy as np

    ends = np.histogram_bin_edges(values, 40)
    bins = np.digitize(values, ends)
    moved = np.zeros(len(values))
    most = max(np.bincount(bins))
    for one in np.unique(bins):
        members = np.flatnonzero(bins == one)
        moved[members] = (np.arange(len(members)) - (len(members) - 1) / 2) / max(most, 8) * 0.8
    return moved
