"""Laws of differences and merges."""

from __future__ import annotations

import time

from hypothesis import given
from hypothesis import strategies as st

from craton.core.repo import Copy, Delete, TreeEntry
from craton.hub.collaboration.diffing import edits, hunks
from craton.hub.collaboration.merging import merge
from craton.hub.comparing import Changed

LINES = st.lists(st.sampled_from("abcd"), max_size=30)
FILES = st.dictionaries(st.sampled_from(["a", "b", "c", "d/a", "d/b"]), st.sampled_from("0123456789"), max_size=5)


@given(before=LINES, after=LINES)
def test_edits_make_the_one_into_the_other(before: list[str], after: list[str]) -> None:
    made: list[str] = []
    at = 0
    for a, b, c, d in edits(before, after):
        assert before[at:a] == after[len(made) : c]
        made += before[at:a] + after[c:d]
        at = b
    assert made + before[at:] == after


@given(before=LINES, after=LINES)
def test_edits_are_no_longer_than_they_must_be(before: list[str], after: list[str]) -> None:
    """By the textbook's table: lines less the longest common subsequence."""
    longest = [[0] * (len(after) + 1) for _ in range(len(before) + 1)]
    for i, old in enumerate(before):
        for j, new in enumerate(after):
            longest[i + 1][j + 1] = longest[i][j] + 1 if old == new else max(longest[i][j + 1], longest[i + 1][j])
    spent = sum(b - a + d - c for a, b, c, d in edits(before, after))
    assert spent == len(before) + len(after) - 2 * longest[-1][-1]


def test_a_hunk_by_hand() -> None:
    before = ["a", "b", "c", "d", "e", "f", "g", "h", "i"]
    after = ["a", "b", "c", "d", "X", "f", "g", "h", "i", "j"]
    assert list(hunks(before, after)) == [
        "@@ -2,8 +2,9 @@",
        *(" b", " c", " d", "-e", "+X", " f", " g", " h", " i", "+j"),
    ]


def test_texts_made_to_be_slow_are_quick() -> None:
    before = [str(number % 97) for number in range(20_000)]
    after = [str(number % 89) for number in range(20_000)]
    started = time.process_time()
    assert edits(before, after)
    assert time.process_time() - started < 3


def changes(before: dict[str, str], after: dict[str, str]) -> dict[str, Changed]:
    def entry(path: str, content: str | None) -> TreeEntry | None:
        return None if content is None else TreeEntry(path, content, 1, content)

    return {
        path: Changed(path, entry(path, before.get(path)), entry(path, after.get(path)))
        for path in sorted(before.keys() | after.keys())
        if before.get(path) != after.get(path)
    }


@given(base=FILES, theirs=FILES, ours=FILES)
def test_a_merge_takes_what_one_side_changed(
    base: dict[str, str], theirs: dict[str, str], ours: dict[str, str]
) -> None:
    merged = merge(changes(base, theirs).values(), changes(base, ours), "head")
    assert merged.conflicts == sorted(
        path
        for path in base.keys() | theirs.keys()
        if theirs.get(path) not in {base.get(path), ours.get(path)} and ours.get(path) != base.get(path)
    )
    result = dict(ours)
    for operation in merged.operations:
        if isinstance(operation, Copy):
            assert operation.source_revision == "head"
            result[operation.path] = theirs[operation.source_path]
        elif isinstance(operation, Delete):
            del result[operation.path]
    for path in base.keys() | theirs.keys() | ours.keys():
        if path not in merged.conflicts:
            changed = theirs if theirs.get(path) != base.get(path) else ours
            assert result.get(path) == changed.get(path)


def test_a_file_and_a_folder_of_one_name_conflict() -> None:
    assert merge(changes({}, {"a": "1"}).values(), changes({}, {"a/b": "2"}), "head").conflicts == ["a"]
    assert merge(changes({}, {"a/b": "1"}).values(), changes({}, {"a": "2"}), "head").conflicts == ["a/b"]
