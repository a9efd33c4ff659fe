"""The safetensors reader: right on honest files, and only ever Damaged on others."""

from __future__ import annotations

import json
import random
import struct
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from craton.core.errors import Damaged
from craton.formats.safetensors import read_safetensors, read_safetensors_file

Make = Callable[[dict[str, tuple[int, ...]]], bytes]


def raw(header: bytes | dict[str, Any], data: bytes = b"") -> bytes:
    encoded = header if isinstance(header, bytes) else json.dumps(header).encode()
    return struct.pack("<Q", len(encoded)) + encoded + data


def tensor(dtype: Any = "F32", shape: Any = (2,), offsets: Any = (0, 8), **more: Any) -> dict[str, Any]:
    return {"dtype": dtype, "shape": shape, "data_offsets": offsets, **more}


def test_an_honest_header_is_read(make_safetensors: Make) -> None:
    header = read_safetensors(make_safetensors({"a": (2, 3), "b": ()}), "honest")
    assert [(t.name, t.shape, t.offset, t.size) for t in header.tensors] == [("a", (2, 3), 0, 24), ("b", (), 24, 4)]


def test_it_reads_what_the_reference_reader_reads(starter_files: Path) -> None:
    safetensors = pytest.importorskip("safetensors")
    path = starter_files / "all-MiniLM-L6-v2" / "model.safetensors"
    ours = read_safetensors_file(path, "minilm")
    with safetensors.safe_open(path, "np") as reference:
        assert ours.metadata == reference.metadata()
        assert {t.name: list(t.shape) for t in ours.tensors} == {
            name: reference.get_slice(name).get_shape()
            for name in reference.keys()  # noqa: SIM118 - not a mapping
        }


def test_every_truncation_is_refused(make_safetensors: Make) -> None:
    whole = make_safetensors({"a": (2, 3), "b": (5,)})
    for cut in range(len(whole)):
        with pytest.raises(Damaged):
            read_safetensors(whole[:cut], "cut")


@pytest.mark.parametrize(
    "content",
    [
        struct.pack("<Q", 1 << 63) + b"{}",
        raw(b""),
        raw(b"[]"),
        raw(b' {"a": 1}'),
        raw(b'{"a"'),
        raw(b"\xff{}"),
        raw(b'{"a":' + b"[" * 50_000),
        raw(b'{"a":' + b"9" * 5_000 + b"}"),
        raw({"a": 1}),
        raw({"__metadata__": {"a": 1}}),
        raw({"__metadata__": []}),
        raw({"a": {"dtype": "F32", "shape": [2]}}, bytes(8)),
        raw({"a": tensor(extra=1)}, bytes(8)),
        raw({"a": tensor(dtype="F33")}, bytes(8)),
        raw({"a": tensor(dtype=["F32"])}, bytes(8)),
        raw({"a": tensor(shape=[-2])}, bytes(8)),
        raw({"a": tensor(shape=[2.0])}, bytes(8)),
        raw({"a": tensor(shape=[True, 2])}, bytes(8)),
        raw({"a": tensor(shape=[1 << 64])}, bytes(8)),
        raw({"a": tensor(shape=[1 << 63, 1 << 63, 0, 2])}, bytes(8)),
        raw({"a": tensor(shape=[1] * 9)}, bytes(4)),
        raw({"a": tensor(shape=2)}, bytes(8)),
        raw({"a": tensor(offsets=[8, 0])}, bytes(8)),
        raw({"a": tensor(offsets=[0, 8, 8])}, bytes(8)),
        raw({"a": tensor(offsets=[0, 1 << 62])}, bytes(8)),
        raw({"a": tensor(offsets=[4, 12])}, bytes(12)),
        raw({"a": tensor()}, bytes(9)),
        raw({"a": tensor(), "b": tensor(offsets=(4, 12))}, bytes(12)),
        raw({"a": tensor(), "b": tensor(offsets=(12, 20))}, bytes(20)),
        raw(
            b'{"a":{"dtype":"F32","shape":[0],"data_offsets":[0,0]},"a":{"dtype":"F32","shape":[0],"data_offsets":[0,0]}}'
        ),
        raw(b"{" + b"[" * 3_000_000),
    ],
)
def test_a_lying_header_is_refused(content: bytes) -> None:
    with pytest.raises(Damaged):
        read_safetensors(content, "liar")


def test_the_file_reader_agrees(make_safetensors: Make, tmp_path: Path) -> None:
    content = make_safetensors({"a": (2, 3)})
    (tmp_path / "a.safetensors").write_bytes(content)
    assert read_safetensors_file(tmp_path / "a.safetensors", "a") == read_safetensors(content, "a")
    (tmp_path / "b.safetensors").write_bytes(content[:-1])
    with pytest.raises(Damaged):
        read_safetensors_file(tmp_path / "b.safetensors", "b")


_json = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=4) | st.sampled_from(["F32", "U8"]),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=3), inner, max_size=3),
    max_leaves=6,
)
_tensors = st.fixed_dictionaries({"dtype": _json, "shape": _json, "data_offsets": _json}) | _json


@settings(max_examples=300, deadline=None)
@given(header=st.dictionaries(st.sampled_from(["__metadata__", "a", "b"]), _tensors), data=st.binary(max_size=16))
def test_any_json_is_read_or_refused(header: dict[str, Any], data: bytes) -> None:
    try:
        read = read_safetensors(raw(header, data), "any")
    except Damaged:
        return
    assert sum(tensor.size for tensor in read.tensors) == len(data)


@settings(max_examples=300, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(seed=st.integers(0, 1 << 32), changes=st.integers(1, 4))
def test_mutated_files_are_read_or_refused(make_safetensors: Make, seed: int, changes: int) -> None:
    chance = random.Random(seed)
    content = bytearray(make_safetensors({"a": (2, 3), "b": (5,)}))
    for _ in range(changes):
        content[chance.randrange(len(content))] = chance.choice(b'\0\xff{}[]",:019-e')
    try:
        read = read_safetensors(bytes(content), "mutant")
    except Damaged:
        return
    assert all(tensor.offset + tensor.size <= len(content) - read.data_offset for tensor in read.tensors)
