"""One structure for each method; `method` tells them apart."""

from __future__ import annotations

from typing import Any, Literal

from msgspec import field

from craton.training.specification.parts import Data, Evaluation, Model, Output, Part, Search

STARTER = "all-minilm-l6-v2"
"""The encoder that transfer learning begins with where nothing is said."""

ClassWeight = Literal["balanced"] | dict[str, float]


class Common(Part, frozen=True, kw_only=True, tag_field="method"):
    """seed: of everything that is drawn. name: for people, "" for one made of model and data."""

    output: Output = Output()
    eval: Evaluation = Evaluation()
    seed: int = 0
    name: str = ""


class Classification(Common, frozen=True, tag="classification"):
    """calibrate: probabilities are fitted to what really happens, by cross-validation on the training rows."""

    data: Data
    model: Model = Model("lightgbm")
    class_weight: ClassWeight | None = None
    calibrate: Literal["sigmoid", "isotonic"] | None = None
    search: Search | None = None


class Regression(Common, frozen=True, tag="regression"):
    data: Data
    model: Model = Model("lightgbm")
    search: Search | None = None


class Clustering(Common, frozen=True, tag="clustering"):
    """No target: one that is named is refused."""

    data: Data
    model: Model = Model("kmeans")
    search: Search | None = None


class Reduction(Common, frozen=True, tag="reduction"):
    data: Data
    model: Model = Model("pca")


class Topics(Common, frozen=True, tag="topics"):
    """Texts, embedded and clustered; each topic is named by the words that set it apart."""

    data: Data
    model: Model = Model("kmeans")


class Reinforcement(Common, frozen=True, tag="reinforcement"):
    """environment: a gymnasium id ("CartPole-v1") or a space repository of the tenant's own that holds one
    ("spaces/acme/maze@main"), whose code runs only with trust_code. steps: of the environment, in all."""

    environment: str
    model: Model = Model("ppo")
    steps: int = 100_000
    environment_params: dict[str, Any] = field(default_factory=dict)
    solved: float | None = None  # mean reward that counts as solved; None for what gymnasium says of it
    episodes: int = 20  # that the finished policy is judged on
    trust_code: bool = False


class SemiSupervised(Common, frozen=True, tag="semi-supervised"):
    """labeled: the share of the training rows that keep their labels; None when missing targets say which do not.

    model.use: "label-spreading", "label-propagation", or "self-training", whose params may name the `estimator`."""

    data: Data
    model: Model = Model("label-spreading")
    labeled: float | None = None


class Fit(Part, frozen=True):
    """How a network is trained. patience: epochs without a better validation loss until it stops, None for never."""

    epochs: int = 20
    batch: int = 64
    learning_rate: float = 1e-3
    weight_decay: float = 0.01
    patience: int | None = 5
    precision: Literal["float32", "bfloat16"] = "float32"
    clip: float | None = 1.0


class Deep(Common, frozen=True, tag="deep"):
    """model.use: "mlp" (tables), "cnn" (images), "rnn" or "transformer" (text, or rows in sequence). task: None for
    what the target looks like. processes: that share each batch, on nodes of a cluster or as children here."""

    data: Data
    model: Model = Model("mlp")
    train: Fit = Fit()
    task: Literal["classification", "regression"] | None = None
    processes: int = 1


class Online(Common, frozen=True, tag="online"):
    """Rows in their order: each is predicted, then learned from (progressive validation). drift: the detector."""

    data: Data
    model: Model = Model("logistic-regression")
    drift: Literal["adwin", "page-hinkley", "kswin"] | None = "adwin"
    task: Literal["classification", "regression"] | None = None


class Transfer(Common, frozen=True, tag="transfer"):
    """model.use: "encoder" (a head on a pretrained encoder of text) or "contrastive" (the encoder itself is tuned on
    pairs). tune: which of the encoder's layers learn: none, the last ones step by step, or all."""

    data: Data
    model: Model = Model("encoder")
    base: str = STARTER
    tune: Literal["frozen", "gradual", "full"] = "frozen"
    train: Fit = Fit()


class Member(Part, frozen=True):
    """Of an ensemble: a learner to be trained, or (hub) a model that is in the hub already ("acme/churn@main").

    method: whose learner `use` is; "" for those of classification and regression. features: the columns that it takes,
    of the ensemble's; None for all. train, base, tune: as deep and transfer learning have them, with their defaults.
    """

    use: str = ""
    params: dict[str, Any] = field(default_factory=dict)
    hub: str = ""
    method: Literal["", "deep", "online", "transfer"] = ""
    features: list[str] | None = None
    train: Fit | None = None
    base: str | None = None
    tune: Literal["frozen", "gradual", "full"] | None = None


class Ensemble(Common, frozen=True, tag="ensemble"):
    """model.use: "voting", "stacking", "bagging" or "boosting". The report sets it beside its best member."""

    data: Data
    members: list[Member]
    model: Model = Model("stacking")
    task: Literal["classification", "regression"] | None = None


Specification = (
    Classification
    | Regression
    | Clustering
    | Reduction
    | Topics
    | Reinforcement
    | SemiSupervised
    | Deep
    | Online
    | Transfer
    | Ensemble
)
