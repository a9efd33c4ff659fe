from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from craton.index.protocol import Found, Hit
from craton.knowledge.retrieval.candidates import Candidate, looked, merged, ranked

CHUNKS = {piece: piece // 3 for piece in range(1, 41)}
TENS = {1: 10, 2: 20, 3: 30}


def hits(*scored: tuple[int, float]) -> tuple[Hit, ...]:
    return tuple(Hit(piece, score) for piece, score in scored)


def leg(top: float) -> st.SearchStrategy[tuple[Hit, ...]]:
    """Best first, each piece once."""
    pairs = st.lists(
        st.tuples(st.integers(1, 40), st.floats(0, top, width=32)), max_size=30, unique_by=lambda pair: pair[0]
    )
    return pairs.map(lambda found: hits(*sorted(found, key=lambda hit: (-hit[1], hit[0]))))


found = st.builds(Found, leg(1.0), leg(30.0))


def test_both_legs_by_hand() -> None:
    both = Found(hits((1, 0.8), (2, 0.6), (3, 0.4)), hits((2, 9.0), (3, 3.0)))
    order = ranked(both, TENS)
    assert [one.chunk for one in order] == [20, 10, 30]
    assert [one.score for one in order] == pytest.approx([0.5 * 0.5 + 0.5 * 1.0, 0.5 * 1.0, 0.5 * 3.0 / 9.0])


def test_a_full_lexical_leg_is_stretched_from_its_last_hit() -> None:
    order = ranked(Found((), hits((1, 9.0), (2, 5.0), (3, 3.0))), TENS, depth=3)
    assert [one.score for one in order] == pytest.approx([1.0, 2 / 6, 0.0])


def test_cosines_that_lie_close_together_are_not_torn_apart_by_stretching() -> None:
    both = Found(hits((1, 0.51), (2, 0.5)), hits((2, 3.0), (1, 2.9)))
    first, second = ranked(both, TENS)
    assert first.score - second.score < 0.05


def test_a_chunk_counts_as_its_best_piece() -> None:
    order = ranked(Found(hits((1, 0.8), (2, 0.7), (3, 0.2))), {1: 10, 2: 20, 3: 10})
    assert order == [Candidate(10, 0.8, (1, 3), 0.8), Candidate(20, 0.7, (2,), 0.7)]


@given(found)
def test_scores_lie_between_0_and_1_and_each_chunk_is_there_once(given: Found) -> None:
    order = ranked(given, CHUNKS)
    assert all(0 <= one.score <= 1 for one in order)
    assert [one.score for one in order] == sorted((one.score for one in order), reverse=True)
    assert len({one.chunk for one in order}) == len(order)
    assert {piece for one in order for piece in one.pieces} == {hit.id for hit in (*given.dense, *given.lexical)}


@given(found, st.sets(st.sampled_from(sorted(CHUNKS))))
def test_nothing_that_may_not_be_seen_is_ranked(given: Found, current: set[int]) -> None:
    assert {
        piece for one in ranked(given, {piece: CHUNKS[piece] for piece in current}) for piece in one.pieces
    } <= current


def test_a_chunk_that_the_dense_leg_did_not_find_counts_as_its_last_hit() -> None:
    both = Found(hits((1, 0.8), (2, 0.4)), hits((3, 5.0)))
    assert {one.chunk: one.cosine for one in ranked(both, TENS)} == {10: 0.8, 20: 0.4, 30: 0.4}


@given(found, st.integers(0, 30), st.data())
def test_after_the_second_look_each_is_there_once_and_scores_fall(
    given: Found, count: int, data: st.DataObject
) -> None:
    before = ranked(given, CHUNKS)
    words = st.text("ab. ", max_size=12)
    texts = [data.draw(words) for _ in before[:count]]
    after = looked("a b", before, texts)
    assert {(one.chunk, one.pieces) for one in after} == {(one.chunk, one.pieces) for one in before}
    assert len(after) == len(before)
    assert {one.chunk for one in after[:count]} == {one.chunk for one in before[:count]}
    assert [one.score for one in after] == sorted((one.score for one in after), reverse=True)
    assert all(0 <= one.score <= 1 for one in after)


def test_answers_to_several_questions_are_merged_with_all_their_pieces() -> None:
    one = [Candidate(10, 0.9, (1,)), Candidate(20, 0.5, (2,))]
    other = [Candidate(20, 0.95, (3, 2), 0.6), Candidate(10, 0.3, (4, 1))]
    assert merged([one, other]) == [Candidate(20, 0.95, (2, 3), 0.6), Candidate(10, 0.9, (1, 4))]


def test_what_answers_one_question_well_comes_before_what_is_halfway_near_to_both() -> None:
    one = [Candidate(10, 0.9, (1,)), Candidate(30, 0.5, (3,))]
    other = [Candidate(20, 0.8, (2,)), Candidate(30, 0.5, (3,))]
    assert [candidate.chunk for candidate in merged([one, other])] == [10, 20, 30]
