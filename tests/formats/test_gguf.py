"""The GGUF reader: right on honest files, and only ever Damaged on others."""

from __future__ import annotations

import random
import struct
import tracemalloc
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from craton.core.errors import Damaged
from craton.formats.gguf import SkippedArray, read_gguf, read_gguf_file

Maker = Any  # tests/formats/makers.py


def test_an_honest_header_is_read(gguf_maker: Maker) -> None:
    header = read_gguf(gguf_maker.model(), "tiny")
    assert header.version == 3
    assert header.metadata["general.architecture"] == "llama"
    assert header.metadata["llama.context_length"] == 128
    assert header.metadata["tokenizer.ggml.tokens"] == SkippedArray(1500)
    assert [(t.name, t.dtype, t.shape, t.offset, t.size) for t in header.tensors] == [
        ("token_embd.weight", "Q4_0", (64, 10), 0, 360),
        ("norm.weight", "F32", (64,), 384, 256),
    ]


def test_it_reads_what_the_reference_reader_reads(starter_files: Path) -> None:
    gguf = pytest.importorskip("gguf")
    path = starter_files / "SmolLM2-135M-Instruct.Q4_1.gguf"
    ours, reference = read_gguf_file(path, "smollm2"), gguf.GGUFReader(path)
    assert [(t.name, t.dtype, t.shape, t.size, t.offset + ours.data_offset) for t in ours.tensors] == [
        (t.name, t.tensor_type.name, tuple(t.shape.tolist()), t.n_bytes, t.data_offset) for t in reference.tensors
    ]
    for key, value in ours.metadata.items():
        if isinstance(value, SkippedArray):
            assert value.count == len(reference.fields[key].data)
        else:
            expected = reference.fields[key].contents()
            assert (list(value) if isinstance(value, tuple) else value) == expected


def test_every_truncation_is_refused(gguf_maker: Maker) -> None:
    whole = gguf_maker.model()
    cuts = {*range(400), *range(400, len(whole), 97), *range(len(whole) - 700, len(whole))}
    for cut in sorted(cuts):
        with pytest.raises(Damaged):
            read_gguf(whole[:cut], "cut")


HUGE = 1 << 62
LIES = {
    "magic": lambda m: b"GGML" + m.model()[4:],
    "version 1": lambda m: m.file([], [], b"", version=1),
    "big endian": lambda m: m.file([], [], b"", version=0x03000000),
    "tensor count": lambda m: b"GGUF" + struct.pack("<IQQ", 3, HUGE, 0) + bytes(64),
    "entry count": lambda m: b"GGUF" + struct.pack("<IQQ", 3, 0, HUGE) + bytes(64),
    "key length": lambda m: b"GGUF" + struct.pack("<IQQQ", 3, 0, 1, HUGE) + bytes(64),
    "empty key": lambda m: m.file([m.number("", 1)], [], b""),
    "key twice": lambda m: m.file([m.number("a", 1), m.number("a", 2)], [], b""),
    "key not utf-8": lambda m: m.file([m.text(b"\xff\xfe") + struct.pack("<II", 4, 1)], [], b""),
    "string length": lambda m: m.file([m.entry("a", 8, struct.pack("<Q", HUGE))], [], bytes(64)),
    "string not utf-8": lambda m: m.file([m.entry("a", 8, m.text(b"\xc3"))], [], bytes(64)),
    "value type": lambda m: m.file([m.entry("a", 13, bytes(8))], [], bytes(64)),
    "boolean": lambda m: m.file([m.entry("a", 7, b"\x02")], [], bytes(64)),
    "array length": lambda m: m.file([m.entry("a", 9, struct.pack("<IQ", 8, HUGE))], [], bytes(64)),
    "array wraps around": lambda m: m.file([m.entry("a", 9, struct.pack("<IQ", 10, 1 << 61))], [], bytes(64)),
    "array of arrays": lambda m: m.file([m.entry("a", 9, struct.pack("<IQ", 9, 1) + bytes(12))], [], bytes(64)),
    "skipped string length": lambda m: m.model(
        tokens=m.entry("t", 9, struct.pack("<IQ", 8, 1100) + struct.pack("<Q", (1 << 64) - 8) * 1100)
    ),
    "alignment zero": lambda m: m.model(name=m.number("general.alignment", 0)),
    "alignment odd": lambda m: m.model(name=m.number("general.alignment", 33)),
    "alignment huge": lambda m: m.model(name=m.number("general.alignment", 1 << 30)),
    "alignment a string": lambda m: m.model(name=m.string("general.alignment", "32")),
    "no dimensions": lambda m: m.file([], [m.tensor("a", ())], bytes(64)),
    "five dimensions": lambda m: m.file([], [m.tensor("a", (1, 1, 1, 1, 1))], bytes(64)),
    "zero dimension": lambda m: m.file([], [m.tensor("a", (4, 0))], bytes(64)),
    "size overflow": lambda m: m.file([], [m.tensor("a", (1 << 32, 1 << 32, 1 << 32, 1 << 32))], bytes(64)),
    "size wraps to small": lambda m: m.file([], [m.tensor("a", ((1 << 62) + 1, 4))], bytes(64)),
    "row not whole blocks": lambda m: m.file([], [m.tensor("a", (31,), 2)], bytes(64)),
    "tensor type": lambda m: m.file([], [m.tensor("a", (4,), 4)], bytes(64)),
    "tensor past the end": lambda m: m.file([], [m.tensor("a", (17,), 0)], bytes(64)),
    "offset past the end": lambda m: m.file([], [m.tensor("a", (4,), 0, 1 << 63)], bytes(64)),
    "offset not aligned": lambda m: m.file([], [m.tensor("a", (4,), 0, 4)], bytes(64)),
    "overlap": lambda m: m.file([], [m.tensor("a", (16,)), m.tensor("b", (4,), 0, 32)], bytes(64)),
    "same name": lambda m: m.file([], [m.tensor("a", (4,)), m.tensor("a", (4,), 0, 32)], bytes(64)),
    "long name": lambda m: m.file([], [m.tensor("a" * 64, (4,))], bytes(64)),
}


@pytest.mark.parametrize("lie", LIES)
def test_a_lying_header_is_refused(gguf_maker: Maker, lie: str) -> None:
    with pytest.raises(Damaged) as error:
        read_gguf(LIES[lie](gguf_maker), "the file")
    assert str(error.value).startswith("the file is damaged: ")


def test_claimed_counts_allocate_nothing(gguf_maker: Maker) -> None:
    claims = [LIES[lie](gguf_maker) for lie in ("tensor count", "entry count", "array length", "string length")]
    tracemalloc.start()
    for claim in claims:
        with pytest.raises(Damaged):
            read_gguf(claim, "claim")
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 100_000


def test_many_small_arrays_stay_within_the_memory_bound(gguf_maker: Maker) -> None:
    array = struct.pack("<IQ", 2, 1024) + struct.pack("<H", 60_000) * 1024
    bomb = gguf_maker.file([gguf_maker.entry(f"k{number}", 9, array) for number in range(1_100)], [], b"")
    with pytest.raises(Damaged, match="metadata is larger"):
        read_gguf(bomb, "bomb")


def test_an_empty_file_is_refused(tmp_path: Path) -> None:
    (tmp_path / "empty.gguf").touch()
    with pytest.raises(Damaged):
        read_gguf_file(tmp_path / "empty.gguf", "empty")


EDGES = [0, 1, 2, 7, 8, 9, 31, 32, 63, 64, 255, 1 << 16, 1 << 31, (1 << 32) - 1, 1 << 32, 1 << 61, (1 << 64) - 1]


@settings(max_examples=400, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(seed=st.integers(0, 1 << 32), changes=st.integers(1, 6), skip=st.booleans())
def test_mutated_headers_are_read_or_refused(gguf_maker: Maker, seed: int, changes: int, skip: bool) -> None:
    """Numbers are overwritten by edge values where numbers stand, bytes flipped, pieces cut out and doubled."""
    chance = random.Random(seed)
    tokens = gguf_maker.strings("tokenizer.ggml.tokens", ["a"] * (1100 if skip else 3))
    content = bytearray(gguf_maker.model(tokens=tokens))
    for _ in range(changes):
        at = chance.randrange(len(content))
        match chance.randrange(5):
            case 0:
                content[at : at + 8] = struct.pack("<Q", chance.choice(EDGES))
            case 1:
                content[at : at + 4] = struct.pack("<I", chance.choice(EDGES) & 0xFFFFFFFF)
            case 2:
                content[at] ^= 1 << chance.randrange(8)
            case 3:
                del content[at : at + chance.randrange(1, 64)]
            case _:
                content[at:at] = content[at : at + chance.randrange(1, 64)]
    try:
        header = read_gguf(bytes(content), "mutant")
    except Damaged:
        return
    assert all(tensor.offset + tensor.size <= len(content) - header.data_offset for tensor in header.tensors)
