"""Rows become tables: kinds, splits, and the faults that are refused or said aloud."""

from __future__ import annotations

from typing import Any

import pytest

pd = pytest.importorskip("pandas")
pytest.importorskip("sklearn")

import numpy as np  # noqa: E402
from hypothesis import assume, given  # noqa: E402
from hypothesis import strategies as st  # noqa: E402
from sklearn.tree import DecisionTreeClassifier  # noqa: E402

from craton.core.errors import InvalidRequest  # noqa: E402
from craton.training.data.bundled import RIVER, SKLEARN, read_bundled  # noqa: E402
from craton.training.data.checks import most_by_order  # noqa: E402
from craton.training.data.loading import Embedding, tables  # noqa: E402
from craton.training.data.refs import BundledRef, DatasetRef, read_ref  # noqa: E402
from craton.training.data.rows import Rows  # noqa: E402
from craton.training.protocol import Tables  # noqa: E402
from craton.training.specification.reading import read  # noqa: E402

ROWS = 200


def frame(**more: Any) -> Any:
    draw = np.random.default_rng(0)
    return pd.DataFrame(
        {
            "age": draw.integers(18, 80, ROWS),
            "income": draw.normal(1000, 200, ROWS),
            "city": pd.Series(draw.choice(["Bonn", "Ulm", "Jena"], ROWS), dtype=object),
            "churned": pd.Series(draw.choice(["no", "yes"], ROWS, p=[0.8, 0.2]), dtype=object),
            **more,
        }
    )


def load(rows: Any, target: str | None = "churned", method: str = "classification", **data: Any) -> tuple[Tables, Any]:
    said: list[str] = []
    document = {"method": method, "data": {"ref": "acme/x", **({"target": target} if target else {}), **data}}
    given = rows if isinstance(rows, Rows) else Rows(rows, None, "acme/x")
    return tables(read(document), given, None, said.append), said


def kinds(found: Tables) -> dict[str, str]:
    return {field.name: field.kind for field in found.fields}


def test_columns_are_told_apart_by_what_they_hold() -> None:
    sentences = pd.Series([f"the parcel {number} came late and was wet" for number in range(ROWS)], dtype=object)
    more = {
        "member": [True, False] * (ROWS // 2),
        "since": pd.date_range("2024-01-01", periods=ROWS),
        "place": pd.Series([[0.5, float(number)] for number in range(ROWS)], dtype=object),
        "row": np.arange(ROWS),
        "code": pd.Series([f"c{number}" for number in range(ROWS)], dtype=object),
        "empty": pd.Series([None] * ROWS, dtype=object),
        "note": sentences,
    }
    found = tables(
        read({"method": "classification", "data": {"ref": "acme/x", "target": "churned"}}),
        Rows(frame(**more), None, "acme/x"),
        lambda: Embedding("small@1", 4, lambda texts: np.zeros((len(texts), 4), np.float32)),
        (said := []).append,
    )
    assert kinds(found) == {
        "age": "integer",
        "income": "number",
        "city": "category",
        "member": "boolean",
        "since": "time",
        "place": "vector",
        "note": "text",
    }
    assert found.target is not None
    assert found.target.categories == ("no", "yes")
    note = found.fields[-1]
    assert (note.embedder, note.shape) == ("small@1", (4,))
    assert [word for word in ("row", "code", "empty") if any(f"{word!r} is left out" in line for line in said)] == [
        "row",
        "code",
        "empty",
    ]


def test_text_without_an_embedder_is_refused() -> None:
    words = pd.Series([f"the parcel {number} came late" for number in range(ROWS)], dtype=object)
    with pytest.raises(InvalidRequest, match="text"):
        load(frame(note=words))


def test_a_random_split_keeps_the_shares_of_the_classes_and_the_order_of_the_rows() -> None:
    found, said = load(frame(at=np.linspace(0, 1, ROWS)), split={"test": 0.25, "validation": 0.25})
    assert [len(part) for part in (found.train, found.validation, found.test)] == [100, 50, 50]
    shares = [(part.churned == "yes").mean() for part in (found.train, found.validation, found.test)]
    assert max(shares) - min(shares) < 0.03
    assert found.train["at"].is_monotonic_increasing
    again, _ = load(frame(at=np.linspace(0, 1, ROWS)), split={"test": 0.25, "validation": 0.25})
    assert again.test.equals(found.test)
    assert said == []


def test_the_last_rows_and_whole_groups() -> None:
    last, _ = load(frame(at=np.linspace(0, 1, ROWS)), split={"test": 0.2, "by": "order"})
    assert last.train["at"].max() < last.test["at"].min()
    grouped, _ = load(frame(who=np.arange(ROWS) // 10), split={"test": 0.2, "by": "group", "column": "who"})
    assert not {*grouped.train.who} & {*grouped.test.who}
    assert len(grouped.test) == 40
    assert "who" not in kinds(grouped)


def test_the_datasets_own_test_rows_are_used_unless_a_split_is_given() -> None:
    rows = Rows(frame(), frame().head(30), "acme/x")
    assert [len(part) for part in (load(rows)[0].train, load(rows)[0].test)] == [ROWS, 30]
    assert len(load(rows, split={"test": 0.1})[0].test) == 20


@pytest.mark.parametrize(
    ("values", "reason"),
    [
        (["no"] * ROWS, "nothing to learn"),
        ([None] * ROWS, "is empty"),
        (np.linspace(0, 1, ROWS), "fractions"),
        ([["a"]] * ROWS, "neither texts nor numbers"),
    ],
)
def test_targets_that_cannot_be_learned_are_refused(values: Any, reason: str) -> None:
    column = pd.Series(values, dtype=object if isinstance(values, list) else None)
    with pytest.raises(InvalidRequest, match=reason):
        load(frame(churned=column))


def test_a_regression_needs_finite_numbers() -> None:
    with pytest.raises(InvalidRequest, match="no numbers"):
        load(frame(), "city", "regression")
    with pytest.raises(InvalidRequest, match="infinite"):
        load(frame(income=[np.inf, *range(ROWS - 1)]), "income", "regression")


def test_missing_targets_and_infinite_numbers_are_said() -> None:
    found, said = load(
        frame(churned=pd.Series([None, "no", "yes", "no"] * 50, dtype=object), income=[np.inf, *np.linspace(0, 1, 199)])
    )
    assert len(found.train) + len(found.test) == 150
    assert any("50 rows are left out" in line for line in said)
    _, said = load(frame(income=[np.inf, *np.linspace(0, 1, 199)]))
    assert any("1 infinite numbers in 'income'" in line for line in said)


def test_the_only_row_of_a_class_is_learned_from() -> None:
    found, said = load(frame(churned=pd.Series(["rare", *["no", "yes"] * 99, "no"], dtype=object)))
    assert (found.train.churned == "rare").sum() == 1
    assert any("never judged: rare" in line for line in said)


def test_an_unknown_column_is_answered_with_the_nearest_one() -> None:
    with pytest.raises(InvalidRequest, match="did you mean 'churned'"):
        load(frame(), "churnd")
    with pytest.raises(InvalidRequest, match="cannot be a feature"):
        load(frame(), features=["age", "churned"])


def answers(churned: Any) -> Any:
    return (churned == "yes").to_numpy()


@pytest.mark.parametrize(
    ("leak", "how"),
    [
        (lambda churned: churned, "is equal to"),
        (lambda churned: churned.map({"no": "stays", "yes": "leaves"}), "under other names"),
        (lambda churned: answers(churned) * 100.0 + np.linspace(0, 1, ROWS), "alone says nearly always"),
    ],
)
def test_a_column_that_gives_the_answer_away_is_said_aloud(leak: Any, how: str) -> None:
    plain = frame()
    _, said = load(plain.assign(leak=leak(plain.churned)))
    assert [line for line in said if "'leak'" in line and how in line]
    assert not [line for line in said if "'age'" in line or "'city'" in line]


def test_a_regressions_leak_is_one_in_another_unit() -> None:
    plain = frame()
    _, said = load(plain.assign(cents=plain.income * 100), "income", "regression")
    assert [line for line in said if "'cents'" in line]


def test_class_labels_have_their_names() -> None:
    feature = {"label": {"_type": "ClassLabel", "names": ["ham", "spam"]}}
    rows = Rows(frame(label=[0, 1] * (ROWS // 2)), None, "acme/x", feature)
    found, _ = load(rows, "label")
    assert found.target is not None
    assert found.target.categories == ("ham", "spam")


@pytest.mark.parametrize("name", [f"sklearn:{name}" for name in SKLEARN] + [f"river:{name}" for name in RIVER])
def test_sets_that_libraries_carry(name: str) -> None:
    ref = read_ref(name)
    assert isinstance(ref, BundledRef)
    if ref.library == "river":
        pytest.importorskip("river")
    rows = read_bundled(ref, "", 500)
    assert "target" in rows.train
    method = "regression" if rows.train.target.dtype.kind == "f" else "classification"
    found, _ = load(rows, "target", method)
    assert found.fields
    clustered, _ = load(rows, None, "clustering")
    assert "target" not in kinds(clustered)
    assert len(clustered.test) == 0


def test_digits_as_pictures() -> None:
    found, _ = load(read_bundled(BundledRef("sklearn", "digits"), "images", 50), "target")
    assert kinds(found) == {"image": "image"}
    assert found.train["image"].iloc[0].shape == found.fields[0].shape == (8, 8, 1)


def test_references() -> None:
    assert str(read_ref("acme/churn")) == "datasets/acme/churn@main"
    assert isinstance(read_ref("datasets/acme/churn@v1"), DatasetRef)
    for wrong in ("churn", "a/b/c", "sqlite:x", "datasets/@x"):
        with pytest.raises(InvalidRequest):
            read_ref(wrong)
    with pytest.raises(InvalidRequest, match="did you mean 'digits'"):
        read_bundled(BundledRef("sklearn", "digit"), "", None)


@given(data=st.data())
def test_what_an_order_tells_at_most_is_never_less_than_what_a_tree_finds_in_it(data: st.DataObject) -> None:
    classes = data.draw(st.integers(2, 5))
    rows = data.draw(st.lists(st.tuples(st.integers(0, 30) | st.none(), st.integers(0, classes - 1)), min_size=2))
    numbers = np.array([np.nan if number is None else number for number, _ in rows], dtype=float)
    labels = np.array([label for _, label in rows])
    assume(not np.isnan(numbers).all())
    tree = DecisionTreeClassifier(max_leaf_nodes=classes, random_state=0).fit(numbers.reshape(-1, 1), labels)
    assert tree.score(numbers.reshape(-1, 1), labels) <= most_by_order(numbers, labels, classes) + 1e-12
