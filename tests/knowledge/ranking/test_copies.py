from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from craton.knowledge.ranking.copies import Copies

PROSE = (
    "A key is rotated by making a second one, moving every client to it, and revoking the first. Both are valid while "
    "the clients move, so nobody is locked out. The ledger says when each key was used last, and a key that nobody has "
    "used for a month can go. Revoking is at once: the next request with that key is refused, and so is every request "
    "after it, whatever the role of the key was and however long the request has been on its way to the server."
)


def test_a_copy_is_recognised_whatever_its_case_spaces_and_punctuation() -> None:
    copies = Copies()
    assert not copies.seen(PROSE)
    assert copies.seen(PROSE)
    assert copies.seen("  " + PROSE.upper().replace(" ", "\n ").replace(",", ";"))


def test_a_copy_with_another_last_word_is_a_near_copy() -> None:
    copies = Copies()
    assert not copies.seen(PROSE)
    assert copies.seen(PROSE + " Amen.")


def test_neighbours_that_share_a_fifth_are_both_kept() -> None:
    words = PROSE.split()
    cut = len(words) // 2
    copies = Copies()
    assert not copies.seen(" ".join(words[: cut + len(words) // 10]))
    assert not copies.seen(" ".join(words[cut - len(words) // 10 :]))


def test_short_texts_must_be_equal_to_be_copies() -> None:
    copies = Copies()
    assert not copies.seen("Port 8080 is the default.")
    assert not copies.seen("Port 9090 is the default.")
    assert copies.seen("port 8080 is the default")


def test_texts_without_words_are_no_copies() -> None:
    copies = Copies()
    assert not copies.seen("***")
    assert not copies.seen("***")
    assert not copies.seen("")


@given(st.lists(st.text(max_size=200), max_size=6))
def test_whatever_was_seen_is_seen_again(texts: list[str]) -> None:
    copies = Copies()
    for text in texts:
        copies.seen(text)
    assert all(
        copies.seen(text) or not any(character.isalnum() or character == "_" for character in text) for text in texts
    )
