"""What all methods' specifications have in common: data in, a model out, how it is judged."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from msgspec import Meta, Struct

Side = Annotated[int, Meta(ge=1, le=1024)]


class Part(Struct, frozen=True, forbid_unknown_fields=True, omit_defaults=True):
    """A mapping in a specification; a key that it does not know is refused."""


class Split(Part, frozen=True):
    """How rows are set apart. test and validation: shares of all rows. by: "random" (stratified where the target is a
    class), "order" (the last rows test), or "group" (all rows with one value of `column` stay together)."""

    test: float = 0.2
    validation: float = 0.0
    by: Literal["random", "order", "group"] = "random"
    column: str = ""
    seed: int | None = None  # None: the specification's own


class Pictures(Part, frozen=True):
    """What pictures are brought to, in pixels. channels: 1 is grey, 3 red, green and blue."""

    height: Side
    width: Side
    channels: Literal[1, 3] = 3


class Data(Part, frozen=True):
    """ref: a dataset and its revision ("datasets/acme/churn@main"), or a set that an installed library carries
    ("sklearn:digits"). features: None means all columns but the target, the dropped and the sensitive one.

    config and part: which of the dataset's configurations and splits is read. A dataset with a split called "test" is
    judged on that unless `split` is given. text: columns to be embedded although they look like categories.
    sensitive: a column whose groups are compared for fairness, and that is no feature unless it is named as one.
    pictures: None for their own size where all have the same, up to 128 pixels, else 64 x 64.
    """

    ref: str
    target: str | None = None
    features: list[str] | None = None
    drop: list[str] = []
    text: list[str] = []
    config: str = ""
    part: str = "train"
    split: Split | None = None
    sensitive: str | None = None
    limit: int | None = None  # only so many rows, the first ones
    pictures: Pictures | None = None


class Model(Part, frozen=True):
    """use: the learner ("lightgbm", "kmeans", "ppo"); params go to its library unchanged, which checks them."""

    use: str
    params: dict[str, Any] = {}


class Evaluation(Part, frozen=True):
    """metrics: None means the method's usual ones. gate: a comparison that must hold for the model to be published
    ("roc_auc >= 0.8"); the run fails otherwise and publishes nothing. report: pictures of what the model is like go
    with it."""

    metrics: list[str] | None = None
    gate: str = ""
    report: bool = True


class Search(Part, frozen=True):
    """Which parameters are tried. space: parameter -> a list of values, or {"low": , "high": , "log": , "int": }.

    metric: what is made best ("roc_auc"; a leading "-" makes it smallest), measured by cross-validation on the training
    rows (folds), never on the test rows. trials: how many combinations; None for all of a grid.
    """

    space: dict[str, Any]
    strategy: Literal["grid", "random", "tpe"] = "tpe"
    metric: str = ""
    trials: int | None = None
    folds: int = 3
    prune: bool = True
    parallel: int = 1


class Output(Part, frozen=True):
    """model: the repository that gets the result ("acme/churn"); "" only tries. branch: which of its branches."""

    model: str = ""
    branch: str = "main"
    private: bool | None = None
