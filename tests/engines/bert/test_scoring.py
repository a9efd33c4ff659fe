"""Labels and masks: the same numbers as numpy, for each family of encoders."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from craton.core.errors import ContextExceeded, Damaged, InvalidRequest, TooLarge, Unsupported
from craton.core.model import ClassifyRequest, EmbedRequest, FillRequest, ScoreAnswer
from craton.engines.bert import BertEngine
from tests.engines.bert.families import FAMILIES, MASK, Family, TinyHead

pytestmark = pytest.mark.anyio
TEXTS = ("a red cat sleeps.", "dog", "a blue dog runs runs runs.")
IDS = ([2, 4, 5, 7, 9, 12, 3], [2, 8, 3], [2, 4, 6, 8, 10, 10, 10, 12, 3])
LABELS = ("bad", "fair", "good")
MASKED = ("a red [MASK] sleeps.", "[MASK] dog")
MASKED_IDS = ([2, 4, 5, MASK, 9, 12, 3], [2, MASK, 8, 3])


def softmax(logits: np.ndarray[Any, Any]) -> np.ndarray[Any, Any]:
    powers = np.exp(logits - logits.max())
    return powers / powers.sum()


def by_label(answer: ScoreAnswer, names: tuple[str, ...]) -> np.ndarray[Any, Any]:
    rows = [{score.label: score.score for score in row} for row in answer.scores]
    return np.array([[row[name] for name in names] for row in rows])


@pytest.mark.parametrize("family", FAMILIES)
async def test_labels_have_numpys_scores(tmp_path: Path, family: Family) -> None:
    made = TinyHead(tmp_path, family, LABELS)
    engine = BertEngine.load(made.files.spec("classify"))
    logits = np.array([made.logits(ids) for ids in IDS])
    answer = await engine.score(ClassifyRequest("m", TEXTS))
    np.testing.assert_allclose(by_label(answer, LABELS), [softmax(row) for row in logits], atol=1e-4)
    assert answer.tokens == tuple(map(len, IDS))
    assert all(list(row) == sorted(row, key=lambda it: -it.score) for row in answer.scores)
    raw = await engine.score(ClassifyRequest("m", TEXTS, function="none"))
    np.testing.assert_allclose(by_label(raw, LABELS), logits, atol=1e-3)
    each = await engine.score(ClassifyRequest("m", TEXTS, function="sigmoid"))
    np.testing.assert_allclose(by_label(each, LABELS), 1 / (1 + np.exp(-logits)), atol=1e-4)
    best = await engine.score(ClassifyRequest("m", TEXTS, top=1))
    assert [[score.label for score in row] for row in best.scores] == [[LABELS[row.argmax()]] for row in logits]
    assert engine.capabilities.verbs == ("classify",)
    await engine.close()


@pytest.mark.parametrize(
    ("labels", "problem", "function"),
    [
        (LABELS, "multi_label_classification", "sigmoid"),
        (LABELS, "regression", "none"),
        (("only",), None, "sigmoid"),
        (("only",), "single_label_classification", "softmax"),
    ],
)
async def test_the_configuration_says_what_makes_scores(
    tmp_path: Path, labels: tuple[str, ...], problem: str | None, function: Any
) -> None:
    engine = BertEngine.load(TinyHead(tmp_path, "bert", labels, problem_type=problem).files.spec("classify"))
    usual = await engine.score(ClassifyRequest("m", TEXTS))
    assert usual == await engine.score(ClassifyRequest("m", TEXTS, function=function))
    await engine.close()


@pytest.mark.parametrize("family", FAMILIES)
async def test_masks_are_filled_with_numpys_shares(tmp_path: Path, family: Family) -> None:
    made = TinyHead(tmp_path, family)
    engine = BertEngine.load(made.files.spec("fill"))
    shares = [softmax(made.logits(ids)) for ids in MASKED_IDS]
    answer = await engine.score(FillRequest("m", MASKED))
    for row, expected in zip(answer.scores, shares, strict=True):
        assert [score.token for score in row] == np.argsort(-expected)[:5].tolist()
        np.testing.assert_allclose([score.score for score in row], np.sort(expected)[::-1][:5], atol=1e-4)
    [asked, _] = (await engine.score(FillRequest("m", MASKED, targets=("cat", "dog"), top=9))).scores
    assert {score.label: score.text for score in asked} == {"cat": "a red cat sleeps .", "dog": "a red dog sleeps ."}
    np.testing.assert_allclose([score.score for score in asked], [shares[0][score.token] for score in asked], atol=1e-4)
    await engine.close()


async def test_what_cannot_be_scored_is_refused(tmp_path: Path) -> None:
    (tmp_path / "c").mkdir()
    (tmp_path / "f").mkdir()
    classifier = BertEngine.load(TinyHead(tmp_path / "c", "bert", LABELS).files.spec("classify"))
    filler = BertEngine.load(TinyHead(tmp_path / "f", "bert").files.spec("fill"))
    for engine, request in ((classifier, FillRequest("m", ("a",))), (filler, ClassifyRequest("m", ("a",)))):
        with pytest.raises(Unsupported):
            await engine.score(request)
        with pytest.raises(Unsupported):
            await engine.embed(EmbedRequest("m", ("a",)))
    with pytest.raises(TooLarge):
        await classifier.score(ClassifyRequest("m", ("a",) * 257))
    with pytest.raises(ContextExceeded):
        await classifier.score(ClassifyRequest("m", ("dog " * 30,)))
    assert (await classifier.score(ClassifyRequest("m", ("dog " * 30,), truncate=True))).tokens == (24,)
    for text in ("no mask", "[MASK] [MASK]"):
        with pytest.raises(InvalidRequest, match=r"inputs\[1\]: it holds \[MASK\]"):
            await filler.score(FillRequest("m", ("a [MASK]", text)))
    with pytest.raises(InvalidRequest, match="it must be one"):
        await filler.score(FillRequest("m", ("a [MASK]",), targets=("red cat",)))
    with pytest.raises(InvalidRequest, match="top"):
        await filler.score(FillRequest("m", ("a [MASK]",), top=0))
    await classifier.close()
    await filler.close()


@pytest.mark.parametrize(
    "change",
    [
        {"id2label": {"0": "a", "2": "b"}},
        {"id2label": {str(index): "x" for index in range(4)}},
        {"problem_type": "other"},
        {"num_labels": -1, "id2label": None},
        {"id2label": {"0": "x" * 501}},
    ],
)
def test_labels_that_make_no_sense_are_damage(tmp_path: Path, change: dict[str, Any]) -> None:
    with pytest.raises(Damaged):
        BertEngine.load(TinyHead(tmp_path, "bert", LABELS, **change).files.spec("classify"))
