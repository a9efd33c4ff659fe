"""Hostile keys stay in their folder and come back as they went in."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from craton.buckets.names import check_bucket, check_key, parse_s3_uri
from craton.buckets.paths import OWN, part_of, path_of
from craton.core.errors import InvalidRequest, TooLarge

PARTS = st.one_of(
    st.sampled_from(["", ".", "..", OWN, f"{OWN}tmp", f"{OWN}key-", f"{OWN}key-..", "%2e%2e", "\\", "~", "-rf", "a b"]),
    st.text(st.characters(blacklist_characters="/\0", blacklist_categories=["Cs"]), max_size=20),
)
KEYS = st.lists(PARTS, min_size=1, max_size=6).map("/".join).filter(bool)


@given(KEYS)
def test_a_path_never_leads_out_and_is_never_one_of_cratons_own(key: str) -> None:
    path = path_of(key)
    assert not path.is_absolute()
    assert not {"", ".", ".."} & set(path.parts)
    assert path.parts[0] != f"{OWN}tmp"
    assert len(path.parts) == key.count("/") + 1


@given(KEYS)
def test_a_path_is_read_back_as_its_key(key: str) -> None:
    assert "/".join(part_of(name) or "" for name in path_of(key).parts) == key


@given(KEYS, KEYS)
def test_two_keys_have_two_paths(one: str, other: str) -> None:
    assert (path_of(one) == path_of(other)) == (one == other)


@given(st.text(max_size=40))
def test_cratons_own_names_stand_for_no_part_but_the_escaped_ones(text: str) -> None:
    part = part_of(OWN + text)
    assert part is None or path_of(part) == Path(OWN + text)


def test_what_no_key_may_be() -> None:
    for bad in ("", "a\0b", "\ud800"):
        with pytest.raises(InvalidRequest):
            check_key(bad)
    with pytest.raises(TooLarge):
        check_key("ü" * 513)
    with pytest.raises(TooLarge):
        path_of("a/" + "k" * 256)
    assert check_key("ü" * 512)


def test_bucket_names_are_those_of_s3() -> None:
    for good in ("abc", "a.b-c", "0" * 63, "v1.api"):
        assert check_bucket(good) == good
    for bad in ("ab", "a" * 64, "Docs", "a_b", "-ab", "ab-", "a..b", "10.0.0.1", "", "a/b", "..", "a\nb", "abc\n"):
        with pytest.raises(InvalidRequest):
            check_bucket(bad)


def test_uris_are_taken_apart() -> None:
    assert parse_s3_uri("s3://docs/a/b.txt") == ("docs", "a/b.txt")
    assert parse_s3_uri("s3://docs") == parse_s3_uri("s3://docs/") == ("docs", "")
    for bad in ("docs/a", "http://docs/a", "s3:/docs", "s3://", "s3://Docs/a", "s3://docs/a\0"):
        with pytest.raises(InvalidRequest):
            parse_s3_uri(bad)
