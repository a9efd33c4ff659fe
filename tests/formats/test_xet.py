"""Xet's hashes, xorbs and shards: the reference's own values, what is read back, and what is refused."""

from __future__ import annotations

import random
import tracemalloc

import pytest
from lz4 import frame

from craton.core.errors import Damaged, InvalidRequest
from craton.formats.xet import hashes
from craton.formats.xet.chunks import MAX_CHUNK, Header, Scheme, Unpacker
from craton.formats.xet.shards import END, RECORD, read_files, write_shard
from craton.formats.xet.xorbs import MAX_CHUNKS, Layout, Xorb, unpack
from tests.formats.xet_makers import MadeXorb, header, made_file, shard_of, stored_chunk

# From the reference implementation's own test of its hashes: leaves with their lengths, xorb, file, salt, salted file.
ONE, TWO, THREE = (
    "cfc5d07f6f03c29bbf424132963fe08d19a37d5757aaf520bf08119f05cd56d6",
    "c3e67584b5c4fc2a89837ec39e40f2c8a6bb0b2987ac94cd4b31e5fbdd210a72",
    "0d2beb91b9196929a5ddec9f6e306924ddf4a24268e3e59fd8464738d525af37",
)
ZERO = "0" * 64
REFERENCE = [
    ([], ZERO, ZERO, "c1cdea79b61cd4776c9f3f8e08767fd5f42e33f9cec8c13d01b947901fad1954", ZERO),
    (
        [(ONE, 100)],
        ONE,
        "8e16257caa3fe079d484d872a8975264b2ff683b0d6db9028cc7c0f968a45661",
        "285371a6a3c8c4e561469c97766c46f0b9799bd8ea51a4ad27a082df8c28b7da",
        "6c18994ed5e6a223aeff68a6e386dbba7b3c25de076245dc77892b4ad49ac978",
    ),
    (
        [
            (leaf, length)
            for leaf, length in (
                (ZERO, 0),
                (ONE, 100),
                (TWO, 200),
                (THREE, 300),
                ("adf8773496a9b7319b2e50dc98093f344053b17d8ad37100b9c07d9805988784", 400),
                ("4ac202caf347fc1e9c874b1ef6a1c5e619141eb775a6f43f0f0124ccd0060d9e", 500),
                ("b3b28636f65c149ea52eb1f94669466f70f033b54cea792824c696ba6ef3c389", 600),
                ("0e2c1a002aae913d2c0fc8ddfa4e9e14b7b311b3b0d458726d5d9f6a6318013c", 700),
            )
            for _ in range(2)
        ],
        "636c65db520ec16e8166f9ec7a0cf9f74b26369077ac60160ec0221c86bc9f77",
        "6a90ad0d6f5246ac61f1de898c6944c03e14004a1368e6fb23387108c4d039e0",
        "9cf26338dd0a43d6b8ae238d197a558db083f42918b6abebe9c6008a982459fe",
        "7f14769cb2a682654aa7aa6b08845643b6973adb313b975fd319d34456bb9159",
    ),
]


@pytest.mark.parametrize(("leaves", "xorb", "file", "salt", "salted"), REFERENCE)
def test_trees_have_the_reference_s_hashes(
    leaves: list[tuple[str, int]], xorb: str, file: str, salt: str, salted: str
) -> None:
    parsed = [(hashes.from_text(leaf), length) for leaf, length in leaves]
    assert hashes.to_text(hashes.xorb_hash(parsed)) == xorb
    for key, wanted in ((ZERO, file), (salt, salted)):
        tree = hashes.Tree()
        for leaf in parsed:
            tree.add(*leaf)
        assert hashes.to_text(hashes.file_hash(tree, hashes.from_text(key))) == wanted


def test_the_text_of_a_hash_turns_every_eight_bytes_around() -> None:
    assert hashes.to_text(bytes(range(32))) == "07060504030201000f0e0d0c0b0a090817161514131211101f1e1d1c1b1a1918"
    assert hashes.from_text(hashes.to_text(bytes(range(32)))) == bytes(range(32))
    for text in ("", "0" * 63, "0" * 65, "g" * 64, "A" * 64, "\u0660" * 64):
        with pytest.raises(InvalidRequest):
            hashes.from_text(text)


@pytest.mark.parametrize("scheme", list(Scheme))
@pytest.mark.parametrize("length", [1, 2, 3, 4, 5, 6, 7, 8, 1001, MAX_CHUNK])
def test_every_way_of_storing_a_chunk_gives_its_content_back(scheme: Scheme, length: int) -> None:
    content = random.Random(length).randbytes(length // 2 + 1)[:length].ljust(length, b"x")
    assert b"".join(unpack([stored_chunk(content, scheme)], "it")) == content


@pytest.mark.parametrize("size", [1, 7, 8, 9, 1000, 10**6])
def test_a_xorb_is_taken_in_whatever_pieces_it_comes(size: int) -> None:
    made = MadeXorb([bytes([number]) * (500 + number) for number in range(50)], Scheme.LZ4)
    for footer in (b"", made.footer()):
        sent = made.content + footer
        xorb = Xorb("it")
        kept = b"".join(xorb.receive(sent[at : at + size] for at in range(0, len(sent), size)))
        assert kept == made.content
        assert xorb.layout.hash() == made.hash
        assert [chunk.hash for chunk in xorb.layout.chunks()] == made.hashes
        start, end = xorb.layout.span(3, 7)
        assert b"".join(unpack([kept[start:end]], "it")) == b"".join(made.chunks[3:7])
        assert Layout(xorb.layout.packed).length(3, 7) == sum(map(len, made.chunks[3:7]))


BOMB = frame.compress(bytes(50 * 1024 * 1024))
HOSTILE = {
    "empty": b"",
    "only a footer": b"XETBLOB\x01",
    "half a header": b"\0\1\0",
    "half a chunk": stored_chunk(b"x" * 100)[:-1],
    "another version": header(4, 0, 4, version=1) + b"abcd",
    "an unknown way": header(4, 3, 4) + b"abcd",
    "no content": header(1, 1, 0) + b"a",
    "nothing stored": header(0, 1, 4),
    "two lengths": header(4, 0, 5) + b"abcd",
    "too long a chunk": header(MAX_CHUNK, 1, MAX_CHUNK + 1) + bytes(MAX_CHUNK),
    "no LZ4": header(4, 1, 4) + b"abcd",
    "a bomb": header(len(BOMB), 1, MAX_CHUNK) + BOMB,
    "longer than promised": header(len(frame.compress(bytes(101))), 1, 100) + frame.compress(bytes(101)),
    "shorter than promised": header(len(frame.compress(bytes(99))), 1, 100) + frame.compress(bytes(99)),
    "something behind the frame": header(len(frame.compress(bytes(9))) + 1, 1, 9) + frame.compress(bytes(9)) + b"x",
    "a cut frame": header(len(frame.compress(bytes(9))) - 1, 1, 9) + frame.compress(bytes(9))[:-1],
    "too many chunks": stored_chunk(b"x") * (MAX_CHUNKS + 1),
    "too much content": stored_chunk(bytes(MAX_CHUNK), Scheme.LZ4) * 513,
    "a long footer": stored_chunk(b"x") + b"XETBLOB" + bytes(10**6),
}


@pytest.mark.parametrize("name", list(HOSTILE))
def test_a_hostile_xorb_is_refused(name: str) -> None:
    with pytest.raises(Damaged):
        list(Xorb("it").receive([HOSTILE[name]]))


def test_a_bomb_is_never_unpacked() -> None:
    assert len(BOMB) < 2 * MAX_CHUNK * 2
    tracemalloc.start()
    try:
        with pytest.raises(Damaged):
            Unpacker("it").unpack(Header(len(BOMB), 1, MAX_CHUNK), memoryview(BOMB), memoryview(bytearray(MAX_CHUNK)))
        assert tracemalloc.get_traced_memory()[1] < 2 * 1024 * 1024
    finally:
        tracemalloc.stop()


def test_a_shard_is_read_as_it_was_written() -> None:
    xorb = MadeXorb([b"a" * 10, b"b" * 20, b"c" * 30])
    first, second = made_file((xorb, 0, 3)), made_file((xorb, 2, 3), (xorb, 0, 1))
    taken = Xorb("it")
    list(taken.receive([xorb.content]))
    shard = write_shard([first[0], second[0]], [(xorb.hash, taken.layout)], 1, 2)
    assert list(read_files(shard, "it")) == [first[0], second[0]]
    assert second[0].size == 40


def test_every_cut_and_every_flipped_count_of_a_shard_is_refused() -> None:
    xorb = MadeXorb([b"a" * 10, b"b" * 20])
    taken = Xorb("it")
    list(taken.receive([xorb.content]))
    shard = write_shard([made_file((xorb, 0, 2))[0]], [(xorb.hash, taken.layout)], 1, 2)
    end = shard.rindex(END) + RECORD
    for cut in range(0, end, 7):
        with pytest.raises(Damaged):
            list(read_files(shard[:cut], "it"))
    counts = [RECORD + 36, 6 * RECORD + 36 - RECORD]
    for at in counts:
        with pytest.raises(Damaged):
            list(read_files(shard[:at] + b"\xff\xff\xff\x7f" + shard[at + 4 :], "it"))
    with pytest.raises(Damaged):
        list(read_files(b"x" + shard[1:], "it"))


def test_a_segment_that_no_xorb_can_have_is_refused() -> None:
    file, _ = made_file((MadeXorb([b"a"]), 0, 1))
    for start, stop in ((0, 0), (1, 1), (2, 1), (0, MAX_CHUNKS + 1)):
        segment = file.segments[0]._replace(start=start, end=stop)
        with pytest.raises(Damaged):
            list(read_files(shard_of(type(file)(file.hash, [segment], file.ranges, file.sha256)), "it"))
