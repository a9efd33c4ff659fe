"""Without labels: what the libraries find, kept whole, and new rows placed by it."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

pytest.importorskip("sklearn")
pytest.importorskip("skops")

import numpy as np
import pandas as pd
from sklearn.cluster import HDBSCAN, KMeans
from sklearn.datasets import load_iris, make_blobs
from sklearn.mixture import GaussianMixture
from sklearn.preprocessing import StandardScaler

from craton.core.errors import InvalidRequest
from craton.core.predicting import Field
from craton.training.methods.unsupervised import clustering, reduction, topics
from craton.training.methods.unsupervised.topics import topic_weights
from craton.training.protocol import Tables, Trained
from craton.training.specification.methods import Clustering, Reduction, Topics
from craton.training.specification.parts import Data, Model, Search
from craton.training.specification.reading import read
from tests.training.memory import MemoryRun, saved_and_loaded, tables

IRIS = load_iris()
NAMES = ("sepal length", "sepal width", "petal length", "petal width")
FIELDS = tuple(Field(name, "number") for name in NAMES)
FRAME = pd.DataFrame(IRIS.data, columns=[*NAMES])
SCALED = StandardScaler().fit_transform(IRIS.data)
DATA = Data("sklearn:iris")


def clustered(tmp_path: Path, use: str, params: dict[str, Any], **more: Any) -> Trained:
    spec = Clustering(data=DATA, model=Model(use, params), **more)
    return clustering.train(spec, tables(FRAME, FIELDS, None), MemoryRun(tmp_path))


def found(trained: Trained, verb: Any = "predict", rows: pd.DataFrame = FRAME) -> Any:
    assert trained.predictor is not None
    return trained.predictor.run(verb, rows)


def test_kmeans_is_the_library_s_own_and_comes_back_equal(tmp_path: Path) -> None:
    trained = clustered(tmp_path, "kmeans", {"n_clusters": 3})
    own = KMeans(n_clusters=3, random_state=0).fit(SCALED)
    assert found(trained)["prediction"].tolist() == own.labels_.tolist()
    assert trained.metrics["inertia"] == pytest.approx(own.inertia_)
    assert 0.4 < trained.metrics["silhouette"] < 0.5
    back = saved_and_loaded(trained.predictor, tmp_path / "kept", "clustering")
    assert back.run("predict", FRAME)["prediction"].tolist() == own.labels_.tolist()
    assert {figure.name for figure in trained.figures} == {"clusters", "profiles"}
    assert all(figure.png.startswith(b"\x89PNG") for figure in trained.figures)


def test_a_mixture_says_how_sure_it_is(tmp_path: Path) -> None:
    trained = clustered(tmp_path, "gaussian-mixture", {"n_components": 3})
    own = GaussianMixture(3, random_state=0).fit(SCALED)
    back = saved_and_loaded(trained.predictor, tmp_path / "kept", "clustering")
    assert np.allclose(back.run("predict_proba", FRAME)["probabilities"], own.predict_proba(SCALED))
    assert trained.metrics["bic"] == pytest.approx(own.bic(SCALED))


def test_hdbscan_gives_new_rows_to_its_groups_and_far_ones_to_none(tmp_path: Path) -> None:
    points, truth = make_blobs(300, centers=[[0, 0], [8, 8], [-8, 8]], cluster_std=0.6, random_state=0)
    fields = (Field("x", "number"), Field("y", "number"))
    frame = pd.DataFrame(points, columns=["x", "y"])
    spec = Clustering(data=DATA, model=Model("hdbscan", {"min_cluster_size": 10}))
    trained = clustering.train(spec, tables(frame.head(200), fields, None), MemoryRun(tmp_path))
    back = saved_and_loaded(trained.predictor, tmp_path / "kept", "clustering")
    new = back.run("predict", frame.tail(100))["prediction"]
    for group in range(3):
        said = {value for value in new[truth[200:] == group] if value != -1}
        assert len(said) == 1
    assert (new == -1).mean() < 0.2
    assert back.run("predict", pd.DataFrame({"x": [50.0], "y": [50.0]}))["prediction"].tolist() == [-1]
    fitted = HDBSCAN(min_cluster_size=10, copy=True).fit(StandardScaler().fit_transform(points[:200]))
    again = back.run("predict", frame.head(200))["prediction"]
    assert np.mean(again.astype(int) == fitted.labels_) > 0.97


def test_the_number_of_groups_can_be_searched(tmp_path: Path) -> None:
    asked = Search({"n_clusters": [2, 3, 4, 5]}, "grid", "silhouette")
    trained = clustered(tmp_path, "kmeans", {"n_init": 2}, search=asked)
    assert trained.metrics["clusters"] == 2  # two of the three kinds of iris lie close together
    assert trained.figures[-1].name == "search"


def test_missing_values_and_categories_are_taken(tmp_path: Path) -> None:
    frame = pd.DataFrame({"size": [1.0, None, 1.2, 9.0, 9.5, None] * 5, "kind": ["a", "a", None, "b", "b", "b"] * 5})
    fields = (Field("size", "number", nullable=True), Field("kind", "category", nullable=True, categories=("a", "b")))
    spec = Clustering(data=DATA, model=Model("kmeans", {"n_clusters": 2}))
    trained = clustering.train(spec, tables(frame, fields, None), MemoryRun(tmp_path))
    back = saved_and_loaded(trained.predictor, tmp_path / "kept", "clustering")
    groups = back.run("predict", frame)["prediction"]
    assert groups[0] == groups[6] != groups[3]


@pytest.mark.parametrize(
    ("use", "params", "said"),
    [
        ("kmeans", {"n_clustres": 3}, "did you mean 'n_clusters'"),
        ("kmeans", {"n_clusters": 1000}, "n_samples=150"),
        ("kmaens", {}, "did you mean 'kmeans'"),
        ("hdbscan", {"metric": "cosine"}, "new rows can be placed by"),
    ],
)
def test_what_cannot_be_done_is_said(tmp_path: Path, use: str, params: dict[str, Any], said: str) -> None:
    with pytest.raises(InvalidRequest, match=said):
        clustered(tmp_path, use, params)


@pytest.mark.parametrize("method", ["clustering", "reduction", "topics"])
def test_a_target_is_refused(method: str) -> None:
    with pytest.raises(InvalidRequest, match="no target"):
        read({"method": method, "data": {"ref": "sklearn:iris", "target": "target"}})


def reduced(tmp_path: Path, use: str, params: dict[str, Any]) -> Trained:
    spec = Reduction(data=DATA, model=Model(use, params))
    return reduction.train(spec, tables(FRAME, FIELDS, None), MemoryRun(tmp_path))


def test_pca_transforms_new_rows_and_says_what_it_keeps(tmp_path: Path) -> None:
    trained = reduced(tmp_path, "pca", {"n_components": 2})
    back = saved_and_loaded(trained.predictor, tmp_path / "kept", "reduction")
    found_ = back.run("transform", FRAME)["coordinates"]
    values = np.linalg.svd(SCALED, compute_uv=False) ** 2
    assert trained.metrics["explained_variance"] == pytest.approx(values[:2].sum() / values.sum())
    assert np.allclose(found_.var(axis=0) * len(FRAME), values[:2])
    assert {figure.name for figure in trained.figures} == {"pca", "explained_variance"}


def test_t_sne_keeps_its_places_and_answers_nothing(tmp_path: Path) -> None:
    trained = reduced(tmp_path, "t-sne", {"max_iter": 250, "perplexity": 10})
    back = saved_and_loaded(trained.predictor, tmp_path / "kept", "reduction")
    assert back.signature.outputs == {}
    assert back.model.places.shape == (150, 2)
    assert any("answers no request" in note for note in trained.notes)
    assert len(trained.figures[0].data["points"]) == 150


WORDS = {
    "cooking": "soup bread oven salt recipe kitchen",
    "sailing": "boat harbour wind anchor mast sea",
    "law": "court judge statute appeal verdict jury",
}


def texts() -> tuple[list[str], list[str]]:
    draw = np.random.default_rng(0)
    about = [subject for subject in WORDS for _ in range(30)]
    return [" ".join(draw.choice(WORDS[one].split(), 8)) + " and the other" for one in about], about


def counted(batch: list[str]) -> Any:
    """Vectors of texts by their words, of length 1."""
    words = [word for line in WORDS.values() for word in line.split()]
    found_ = np.array([[text.split().count(word) for word in words] for text in batch], np.float32)
    return found_ / np.linalg.norm(found_, axis=1, keepdims=True)


def topic_tables() -> Tables:
    fields = (Field("text", "text", shape=(18,), embedder="counts@1"), Field("id", "number"))
    frame = pd.DataFrame({"text": pd.Series(texts()[0], dtype=object), "id": np.arange(90.0)})
    return tables(frame, fields, None, embed=counted)


@pytest.mark.parametrize(("use", "params"), [("kmeans", {"n_clusters": 3}), ("hdbscan", {"min_cluster_size": 8})])
def test_topics_are_named_by_their_words(tmp_path: Path, use: str, params: dict[str, Any]) -> None:
    trained = topics.train(Topics(data=DATA, model=Model(use, params)), topic_tables(), MemoryRun(tmp_path))
    back = saved_and_loaded(trained.predictor, tmp_path / "kept", "topics")
    lines, about = texts()
    rows = pd.DataFrame({"text": [*counted(lines)]})
    said = back.run("predict", rows)["prediction"]
    for subject, words in WORDS.items():
        names = {name for name, one in zip(said, about, strict=True) if one == subject and name != "noise"}
        assert len(names) == 1
        assert all(word in words for word in names.pop().split(", "))
    assert any("id" in note and "left out" in note for note in trained.notes)
    assert all(topic["examples"] for topic in trained.figures[1].data["topics"])


def test_class_based_tf_idf_by_hand() -> None:
    """Two groups of 4 words each: twice a word of its own, twice the one that both have."""
    weights = dict(topic_weights(["red red soup soup", "blue blue soup soup"], np.array([0, 1]), 2)[0])
    assert weights["red"] == pytest.approx(0.5 * np.log(1 + 4 / 2))
    assert weights["soup"] == pytest.approx(0.5 * np.log(1 + 4 / 4))


def test_topics_need_texts(tmp_path: Path) -> None:
    with pytest.raises(InvalidRequest, match="topics are of texts"):
        topics.train(Topics(data=DATA), tables(FRAME, FIELDS, None), MemoryRun(tmp_path))
