"""Tensors of bytes are the numbers that they are; what does not fit is refused before anything is made of it."""

from __future__ import annotations

import struct
from typing import Any

import pytest

from craton.core.errors import InvalidRequest, TooLarge
from craton.core.predicting import Block, Field, Signature
from craton.engines.predictor.arranging import unpacked
from craton.wire.openinference.binary import divided, head_length, packed
from craton.wire.openinference.binary import unpacked as values_of
from craton.wire.openinference.tensors import PackedTensor, columns_of

NUMBERS = Signature((Field("a", "number"), Field("b", "number")), {"predict": ()})
KINDS = {"FP16": "e", "FP32": "f", "FP64": "d", "INT8": "b", "INT16": "h", "INT32": "i", "INT64": "q", "UINT64": "Q"}


def tensor(datatype: str, data: bytes, *shape: int, name: str = "x") -> PackedTensor:
    return PackedTensor(name, list(shape), datatype, packed=data)


@pytest.mark.parametrize("datatype", KINDS)
def test_every_type_of_number_is_read(datatype: str) -> None:
    data = struct.pack(f"<4{KINDS[datatype]}", 1, 2, 3, 4)
    table, names = columns_of([tensor(datatype, data, 2, 2)], NUMBERS)
    if isinstance(table, Block):
        assert (table.numbers, table.rows, table.width) == (data, 2, 2)
    else:
        assert table == ([1, 3], [2, 4])
    assert names == ()
    named, names = columns_of([tensor(datatype, data, 4, name="a"), tensor(datatype, data, 4, 1, name="b")], NUMBERS)
    assert isinstance(named, tuple)
    assert [unpacked(column) for column in named] == [[1, 2, 3, 4]] * 2
    assert names == ("a", "b")
    assert packed(datatype, values_of("x", datatype, data, 4)) == data


@pytest.mark.parametrize(
    ("sent", "told"),
    [
        (tensor("FP64", b"\0" * 31, 2, 2), "has 31 bytes; 4 values of FP64 have 32"),
        (tensor("FP64", b"\0" * 16, 2, 2), "has 16 bytes"),
        (tensor("INT8", b"\0", 2, 2), "1 bytes; 4 values of INT8"),
        (tensor("BYTES", b"\1\0\0\0a", 2, name="a"), "not the 2 values"),
        (tensor("BYTES", b"\1\0\0\0ab", 1, name="a"), "not the 1 values"),
        (tensor("BYTES", b"\1\0\0", 1, name="a"), "in the middle"),
        (tensor("BYTES", b"\1\0\0\0\xff", 1, name="a"), "value 0 of 'a' is not valid UTF-8"),
        (tensor("BYTES", b"\xff\xff\xff\xffa", 1, name="a"), "in the middle"),
        (tensor("FP8", b"", 0), "must be one of"),
        (tensor("FP64", b"", -1), "lengths of the tensor's dimensions"),
    ],
)
def test_bytes_that_do_not_fit_are_refused(sent: PackedTensor, told: str) -> None:
    with pytest.raises(InvalidRequest, match=told):
        columns_of([sent], NUMBERS)


def test_a_tensor_is_bounded_before_it_is_read() -> None:
    with pytest.raises(TooLarge):
        columns_of([tensor("BOOL", b"", 10**5, 10**5)], NUMBERS)


def test_the_body_is_divided_in_the_order_of_the_tensors() -> None:
    assert divided(b"{}abc", 2, [1, None, 2]) == [b"a", None, b"bc"]
    assert head_length(None, 5) is None
    assert head_length("5", 5) == 5
    for size in (-1, 4, True, "1", 1.0):
        with pytest.raises(InvalidRequest, match="3 bytes are left in the body"):
            divided(b"{}abc", 2, [size])
    said: Any
    for said in ("0", "6", "-1", "x", "", "9" * 20):
        with pytest.raises(InvalidRequest, match="from 1 to 5"):
            head_length(said, 5)
