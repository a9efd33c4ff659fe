"""Which rows are learned from and which are kept aside. Rows keep their order within each part."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from msgspec import Struct

from craton.core.errors import InvalidRequest
from craton.training.specification.parts import Split

if TYPE_CHECKING:
    import numpy as np
    import pandas as pd

    Places = np.ndarray[Any, np.dtype[np.int64]]


class Parts(Struct, frozen=True):
    """Places of rows, ascending. warnings: where the split is not quite what was asked for."""

    train: Any
    validation: Any
    test: Any
    warnings: tuple[str, ...] = ()


def split_rows(frame: pd.DataFrame, split: Split, seed: int, classes: pd.Series[Any] | None) -> Parts:
    """classes: the column by which a random split is stratified. Raises InvalidRequest when a part would be empty."""
    import numpy as np

    rows = len(frame)
    seed = seed if split.seed is None else split.seed
    test, validation = round(rows * split.test), round(rows * split.validation)
    if (split.test and not test) or (split.validation and not validation) or test + validation >= rows:
        raise InvalidRequest(f"{rows:,} rows are too few to be split so", "data.split")
    everything = np.arange(rows)
    if split.by == "order":
        learned = rows - test - validation
        return Parts(everything[:learned], everything[learned : rows - test], everything[rows - test :])
    if split.by == "group":
        return _by_group(frame[split.column], everything, split, seed)
    rest, aside, warned = _random(everything, split.test, seed, classes)
    share = split.validation / (1 - split.test)
    train, checked, warned_again = _random(rest, share, seed, classes)
    return Parts(train, checked, aside, tuple(dict.fromkeys(warned + warned_again)))


def _random(
    places: Places, share: float, seed: int, classes: pd.Series[Any] | None
) -> tuple[Places, Places, tuple[str, ...]]:
    """As scikit-learn's train_test_split draws. The one row of a class is learned from."""
    import numpy as np
    import pandas as pd
    from sklearn.model_selection import train_test_split

    if not share:
        return places, places[:0], ()
    alone, warned = places[:0], list[str]()
    labels = None
    if classes is not None:
        codes, names_of = pd.factorize(classes, sort=True)  # scikit-learn sorts the labels, too, and texts slowly
        labels = codes[places]
        counts = pd.Series(labels).value_counts()
        if (counts == 1).any():
            single = np.isin(labels, counts.index[counts == 1].to_numpy())
            alone, places, labels = places[single], places[~single], labels[~single]
            names = ", ".join(str(names_of[code]) for code in counts.index[counts == 1][:5])
            warned.append(f"Classes with one row are learned from and never judged: {names}.")
        if min(round(len(places) * share), len(places) - round(len(places) * share)) < len(counts) - len(alone):
            warned.append("There are too few rows for each part to have every class: the split is plainly random.")
            labels = None
    if len(places) < 2:
        raise InvalidRequest("too few rows are left to be split", "data.split")
    first, second = train_test_split(places, test_size=share, random_state=seed, stratify=labels)
    return np.sort(np.concatenate([first, alone])), np.sort(second), tuple(warned)


def _by_group(groups: pd.Series[Any], places: Places, split: Split, seed: int) -> Parts:
    """Whole groups, in a random order, until each part has its share of the rows."""
    import numpy as np

    names = groups.astype(str).to_numpy()
    order = np.random.default_rng(seed).permutation(np.unique(names))
    part = np.zeros(len(names), dtype=int)  # 0: learned from
    wanted = {2: split.test * len(names), 1: split.validation * len(names)}
    for name in order:
        mine = names == name
        for number, share in wanted.items():
            if share > 0 and (part == number).sum() + mine.sum() / 2 <= share:
                part[mine] = number
                break
    found = Parts(places[part == 0], places[part == 1], places[part == 2])
    for share, got in ((1.0, found.train), (split.validation, found.validation), (split.test, found.test)):
        if share and not len(got):
            raise InvalidRequest(f"{len(order)} groups are too few, or too unequal, to be split so", "data.split")
    return found
