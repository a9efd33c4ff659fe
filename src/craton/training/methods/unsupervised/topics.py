"""What texts are about: their vectors are grouped, and each group is named by the words that set it apart.

The words are those with the largest class-based TF-IDF: how often the group has them, times the logarithm of 1 plus how
many words a group has on average, divided by how often all groups have this one (Grootendorst, "BERTopic: Neural topic
modeling with a class-based TF-IDF procedure", 2022).
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from msgspec import Struct

from craton.core.errors import InvalidRequest
from craton.core.predicting import Field
from craton.training.data.embedding import embedded
from craton.training.methods.hearing import heard
from craton.training.methods.unsupervised.clustering import as_predictor, group, judge, pictured, refuse_target
from craton.training.methods.unsupervised.learners import before
from craton.training.protocol import Run, Tables, Trained
from craton.training.reports.topics import topic_words
from craton.training.specification.methods import Topics

if TYPE_CHECKING:
    import numpy as np

    Array = np.ndarray[Any, Any]

WORDS = 10  # of a topic, in the report
NAMED_BY = 3
EXAMPLES = 3


class Topic(Struct, frozen=True):
    """words: with their weights, the heaviest first. examples: the texts nearest to the topic's middle."""

    name: str
    texts: int
    words: tuple[tuple[str, float], ...]
    examples: tuple[str, ...] = ()


def train(spec: Topics, tables: Tables | None, run: Run) -> Trained:
    """Raises InvalidRequest, also where there is no column of texts."""
    assert tables is not None
    refuse_target(spec.data.target)
    fields = tuple(field for field in tables.fields if field.kind == "text")
    if not fields:
        raise InvalidRequest("topics are of texts: name a column of them", "data.text")
    texts = _joined(tables, fields)
    vectors = embedded(_only(tables, fields), run)
    run.check()
    prepared, matrix = before(vectors.train, fields)
    with heard(run):
        groups = group(spec.model.use, spec.model.params, spec.seed, matrix)
    topics = described(texts, groups.codes, groups.count, matrix)
    predictor = as_predictor(fields, prepared, groups, [topic.name for topic in topics])
    metrics, notes = judge(predictor, groups, matrix, vectors, spec.seed, spec.eval.metrics)
    figures = [pictured(groups, matrix, [topic.name for topic in topics]), topic_words(topics)]
    left_out = [field.name for field in tables.fields if field.kind != "text"]
    if left_out:
        notes.append(f"Topics are of texts alone; these columns were left out: {', '.join(left_out)}.")
    notes.append("Topics are named by their words with the largest class-based TF-IDF; English stop words are skipped.")
    return Trained(predictor, metrics, figures, notes)


def described(texts: list[str], codes: Array, count: int, matrix: Array) -> list[Topic]:
    """Topics by number. Two that would have one name get their numbers, too."""
    import numpy as np

    words = topic_weights(texts, codes, count)
    topics: list[Topic] = []
    taken: set[str] = set()
    for code in range(count):
        own = np.flatnonzero(codes == code)
        name = ", ".join(word for word, _ in words[code][:NAMED_BY]) or f"topic {code}"
        name = f"{name} ({code})" if name in taken else name
        taken.add(name)
        examples: tuple[str, ...] = ()
        if len(own):
            far = np.linalg.norm(matrix[own] - matrix[own].mean(axis=0), axis=1)
            examples = tuple(texts[at][:300] for at in own[np.argsort(far, kind="stable")[:EXAMPLES]])
        topics.append(Topic(name, len(own), tuple(words[code][:WORDS]), examples))
    return topics


def topic_weights(texts: list[str], codes: Array, count: int) -> list[list[tuple[str, float]]]:
    """For each group, its words by class-based TF-IDF. Texts that are noise count for none."""
    import numpy as np
    from sklearn.feature_extraction.text import CountVectorizer

    inside = np.flatnonzero(codes >= 0)
    try:
        counter = CountVectorizer(stop_words="english", token_pattern=r"(?u)\b[^\W\d_]{2,}\b")
        counts = counter.fit_transform([texts[at] for at in inside])
    except ValueError:  # stop words alone
        return [[] for _ in range(count)]
    sums = np.zeros((count, counts.shape[1]))
    for code in range(count):
        sums[code] = counts[np.flatnonzero(codes[inside] == code)].sum(axis=0)
    every = sums.sum(axis=0)
    average = sums.sum() / max(count, 1)
    shares = sums / np.maximum(sums.sum(axis=1, keepdims=True), 1)
    weights = shares * np.log(1 + average / np.maximum(every, 1))
    names = counter.get_feature_names_out()
    found = []
    for row in weights:
        order = np.argsort(-row, kind="stable")[:50]
        found.append([(str(names[at]), float(row[at])) for at in order if row[at] > 0])
    return found


def _joined(tables: Tables, fields: tuple[Field, ...]) -> list[str]:
    columns = [tables.train[field.name] for field in fields]
    return [" ".join(value for value in values if isinstance(value, str)) for values in zip(*columns, strict=True)]


def _only(tables: Tables, fields: tuple[Field, ...]) -> Tables:
    from dataclasses import replace

    return replace(tables, fields=fields)
