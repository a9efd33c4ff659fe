"""Checksums against published values, and however the bytes are cut."""

from __future__ import annotations

import base64
import hashlib

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from craton.buckets.crc import CRC32C, CRC64NVME, LANE, Crc
from craton.buckets.digests import ALGORITHMS, Digests, composite, composite_etag
from craton.core.errors import Damaged

# The catalogue's check values: of the ASCII digits 1 to 9.
CHECKS = {"crc32": "cbf43926", "crc32c": "e3069283", "crc64nvme": "ae8b14860a799888"}


@pytest.mark.parametrize("name", CHECKS)
def test_crcs_have_their_published_check_values(name: str) -> None:
    digests = Digests([name])
    digests.update(b"123456789")
    assert base64.b64decode(digests.checksums[name]).hex() == CHECKS[name]


@pytest.mark.parametrize("kind", [CRC32C, CRC64NVME])
@settings(max_examples=25, deadline=None)
@given(st.integers(0, 40 * LANE), st.integers(0, 40 * LANE), st.randoms(use_true_random=False))
def test_a_crc_does_not_depend_on_where_the_bytes_are_cut(kind: tuple[int, int], cut: int, size: int, random) -> None:  # type: ignore[no-untyped-def]
    data = random.randbytes(size)
    whole, cut_up, bytewise = Crc(kind), Crc(kind), Crc(kind)
    whole.update(data)
    cut_up.update(data[:cut])
    cut_up.update(data[cut:])
    for start in range(0, size, 97):  # shorter than a lane: one byte after the other
        bytewise.update(data[start : start + 97])
    assert whole.digest() == cut_up.digest() == bytewise.digest()


def test_all_algorithms_are_computed_and_held_against_what_was_promised() -> None:
    digests = Digests(ALGORITHMS)
    digests.update(b"hello ")
    digests.update(b"world")
    assert digests.etag == hashlib.md5(b"hello world").hexdigest()
    assert digests.size == 11
    sha256 = base64.b64encode(hashlib.sha256(b"hello world").digest()).decode()
    digests.check({"sha256": sha256})
    with pytest.raises(Damaged):
        digests.check({"sha1": sha256})


def test_parts_are_joined_as_s3_does() -> None:
    etags = [hashlib.md5(part).hexdigest() for part in (b"one", b"two")]
    joined = hashlib.md5(b"".join(bytes.fromhex(etag) for etag in etags)).hexdigest()
    assert composite_etag(etags) == f"{joined}-2"
    sums = [base64.b64encode(hashlib.sha256(part).digest()).decode() for part in (b"one", b"two")]
    raw = hashlib.sha256(b"".join(map(base64.b64decode, sums))).digest()
    assert composite("sha256", sums) == f"{base64.b64encode(raw).decode()}-2"
