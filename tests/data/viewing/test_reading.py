"""Every format as the table that `load_dataset` gives of it."""

from __future__ import annotations

import bz2
import gzip
import json
from pathlib import Path
from typing import Any

import pytest
from msgspec.structs import replace

from craton.core.errors import Damaged, TooLarge, Unsupported
from craton.data.viewing.frames import Head, Source
from craton.data.viewing.limits import ViewLimits
from craton.data.viewing.tasks import perform
from craton.data.viewing.values import Page
from tests.data.viewing.tables import LIMITS, Desk, cells, kinds, rows

CSV = b"""\
id,name,score,ok,note,when,empty,long
1,Ann,1.5,true,"a, b",2020-01-01,,12345678901234567890
2,"J\xc3\xb6rg",,FALSE,NA,2020-01-02,,1
3,None,3.25,True,"two
lines",2020-01-03,,2
"""


def test_csv_is_typed_by_all_of_it(desk: Desk) -> None:
    table = desk.table(desk.source("a.csv", CSV, "csv"))
    assert kinds(table.features) == {
        "id": "int64",
        "name": "string",
        "score": "float64",
        "ok": "bool",
        "note": "string",
        "when": "string",
        "empty": "float64",
        "long": "string",
    }
    assert rows(table)[1:] == [
        {
            "id": 2,
            "name": "Jörg",
            "score": None,
            "ok": False,
            "note": None,
            "when": "2020-01-02",
            "empty": None,
            "long": "1",
        },
        {
            "id": 3,
            "name": None,
            "score": 3.25,
            "ok": True,
            "note": "two\nlines",
            "when": "2020-01-03",
            "empty": None,
            "long": "2",
        },
    ]


@pytest.mark.parametrize(
    ("values", "kind"),
    [
        (["1", "2"], "int64"),
        (["1", ""], "float64"),
        (["1", "2.5"], "float64"),
        (["true", "false"], "bool"),
        (["true", "1"], "string"),
        (["1", "true"], "string"),
        (["1", "x"], "string"),
        (["+1", " 2"], "int64"),
        (["1e3", "inf"], "float64"),
        (["0x10"], "string"),
    ],
)
def test_columns_are_what_pandas_says(desk: Desk, values: list[str], kind: str) -> None:
    table = desk.csv("a,b\n" + "".join(f"{value},k\n" for value in values))
    assert kinds(table.features)["a"] == kind


def test_the_millionth_value_decides_too(desk: Desk) -> None:
    lines = "n,t\n" + "7,x\n" * 400_000
    table = desk.table(
        desk.source("a.csv", (lines + "7.5,x\n").encode(), "csv"), limits=replace(LIMITS, line_bytes=1 << 18)
    )
    assert kinds(table.features) == {"n": "float64", "t": "string"}
    assert rows(table, 399_999) == [{"n": 7.0, "t": "x"}, {"n": 7.5, "t": "x"}]


def test_headers_as_pandas_makes_them(desk: Desk) -> None:
    assert list(desk.csv(",a,a,\n0,1,2,3\n").features) == ["Unnamed: 0", "a", "a.1", "Unnamed: 3"]
    assert list(desk.table(desk.source("a.tsv", b"\xef\xbb\xbfx\ty\n1\t2\n", "csv", separator="\t")).features) == [
        "x",
        "y",
    ]


def test_lines_of_json(desk: Desk) -> None:
    lines = b'{"a": 1, "b": {"c": [1, 2]}, "t": "x"}\n\n{"a": 2.5, "b": {"c": []}}\n'
    table = desk.table(desk.source("a.jsonl", lines, "json"))
    assert table.features == {
        "a": {"dtype": "float64", "_type": "Value"},
        "b": {"c": {"feature": {"dtype": "int64", "_type": "Value"}, "_type": "List"}},
        "t": {"dtype": "string", "_type": "Value"},
    }
    assert rows(table) == [{"a": 1.0, "b": {"c": [1, 2]}, "t": "x"}, {"a": 2.5, "b": {"c": []}, "t": None}]


def test_mixed_types_become_json(desk: Desk) -> None:
    table = desk.table(desk.source("a.jsonl", b'{"a":1,"b":{}}\n{"a":"x","b":{}}\n{"a":[1]}\n', "json"))
    assert table.features["a"] == table.features["b"] == {"decode": True, "_type": "Json"}
    assert rows(table) == [{"a": 1, "b": {}}, {"a": "x", "b": {}}, {"a": [1], "b": None}]


@pytest.mark.parametrize(
    ("content", "options"),
    [
        (b'[\n {"a": 1},\n {"a": 2}\n]', {}),
        (b'{"a": [1, 2]}', {}),
        (b'\xef\xbb\xbf{\n "a": [\n1, 2]}', {}),
        (b'{"version": 1, "data": [{"a": 1}, {"a": 2}]}', {"field": "data"}),
        (b'{"a": 1}\r\n{"a": 2}', {}),
    ],
)
def test_documents_of_json(desk: Desk, content: bytes, options: dict[str, str]) -> None:
    if content == b'{"a": [1, 2]}':
        content = b'{\n"a": [1, 2]}'  # on one line it is a row whose cell is a list
    assert rows(desk.table(desk.source("a.json", content, "json", **options))) == [{"a": 1}, {"a": 2}]


def test_text_is_a_line_a_row(desk: Desk) -> None:
    table = desk.table(desk.source("a.txt", b"one\ntwo\r\n\nthree", "text"))
    assert [row["text"] for row in rows(table)] == ["one", "two", "", "three"]


@pytest.mark.parametrize("stream", [True, False])
def test_arrow_files(desk: Desk, tmp_path: Path, stream: bool) -> None:
    import pyarrow as pa

    table = pa.table({"a": pa.array([1, 2], pa.int8()), "d": pa.array(["x", "y"]).dictionary_encode()})
    path = tmp_path / "a.arrow"
    with (
        pa.OSFile(str(path), "wb") as file,
        (pa.ipc.new_stream if stream else pa.ipc.new_file)(file, table.schema) as out,
    ):
        out.write_table(table)
    copied = desk.table(desk.source("b.arrow", path.read_bytes(), "arrow"))
    assert kinds(copied.features) == {"a": "int8", "d": "string"}
    assert rows(copied) == [{"a": 1, "d": "x"}, {"a": 2, "d": "y"}]


@pytest.mark.parametrize(("ending", "packing"), [("gz", "gzip"), ("bz2", "bz2")])
def test_packed_files(desk: Desk, ending: str, packing: Any) -> None:
    packed = gzip.compress(CSV) if ending == "gz" else bz2.compress(CSV)
    assert len(rows(desk.table(desk.source(f"a.csv.{ending}", packed, "csv", packing)))) == 3


def test_files_of_a_split_are_one_table(desk: Desk) -> None:
    table = desk.table(
        desk.source("a.csv", b"n,s\n1,x\n2,y\n", "csv"),
        desk.source("b.csv", b"s,n\nz,3.5\n", "csv"),
        desk.source("c.csv", b"n\n4\n", "csv"),
    )
    assert rows(table, 1, 3) == [{"n": 2, "s": "y"}, {"n": 3.5, "s": "z"}, {"n": 4, "s": None}]


def test_the_first_rows_need_no_more_than_the_beginning(desk: Desk) -> None:
    content = b"n\n" + b"1\n" * 1000 + b"1,2,3\n" * 100_000  # broken, far behind
    source = desk.source("a.csv", content, "csv")
    limits = replace(LIMITS, line_bytes=64)
    page: Page = perform(Head(source, 5, {}), limits)
    assert (cells(page), page.total) == ([{"n": 1}] * 5, None)
    with pytest.raises(Damaged):
        desk.convert(source, limits)


def test_a_window_reads_its_row_group_only(desk: Desk) -> None:
    """The bytes of the other row groups are overwritten: reading them would fail."""
    import pyarrow.parquet as pq

    table = desk.parquet({"n": list(range(1000)), "big": ["x" * 100] * 1000}, row_group_size=100)
    path = Path(table.parts[0].path)
    footer, content = pq.read_metadata(path), bytearray(path.read_bytes())
    for group in (0, 4, 6, 9):
        for column in range(2):
            chunk = footer.row_group(group).column(column)
            start = chunk.dictionary_page_offset or chunk.data_page_offset
            content[start : start + chunk.total_compressed_size] = b"\xff" * chunk.total_compressed_size
    path.write_bytes(content)
    assert [row["n"] for row in rows(table, 550, 3)] == [550, 551, 552]
    with pytest.raises(Damaged):
        rows(table, 450, 1)


def test_what_is_too_much_is_converted_in_part(desk: Desk) -> None:
    lines = b"".join(b'{"n": %d}\n' % number for number in range(100_000))
    described, _ = desk.convert(desk.source("a.jsonl", lines, "json"), replace(LIMITS, source_bytes=500_000))
    assert described.partial
    assert 30_000 < described.rows < 100_000
    whole, _ = desk.convert(desk.source("b.jsonl", lines, "json"))
    assert (whole.rows, whole.partial) == (100_000, False)


def page(desk: Desk, columns: dict[str, Any], limit: int) -> Page:
    from craton.data.viewing.frames import Window

    return perform(Window(desk.parquet(columns), 0, 100), replace(LIMITS, page_bytes=limit))


def test_long_cells_are_cut_and_said_to_be(desk: Desk) -> None:
    found = page(desk, {"short": ["a", "b"], "long": ["é" * 3000, "c"], "list": [["x" * 50] * 100, []]}, 1000)
    first, second = cells(found)
    assert found.rows[0].truncated == ("long", "list")
    assert first["short"] == "a"
    assert first["long"].startswith("éé")
    assert "\ufffd" not in first["long"]
    assert first["list"].startswith('["xxx')
    assert len(found.rows[0].cells) < 1100
    assert second == {"short": "b", "long": "c", "list": []}


def test_pages_that_fit_are_whole(desk: Desk) -> None:
    found = page(desk, {"long": ["x" * 900]}, 1000)
    assert found.rows[0].truncated == ()
    assert cells(found) == [{"long": "x" * 900}]


def test_values_that_json_has_no_word_for(desk: Desk) -> None:
    import datetime
    from decimal import Decimal

    import pyarrow as pa

    day = datetime.datetime(2020, 1, 2, 3, 4, 5)
    table = desk.parquet(
        {
            "nan": [float("nan")],
            "bytes": [b"\x00\xff"],
            "when": pa.array([day], pa.timestamp("us")),
            "fine": pa.array([1], pa.timestamp("ns")),
            "day": [day.date()],
            "money": [Decimal("1.50")],
            "deep": pa.array([[{"at": 1}]], pa.list_(pa.struct([("at", pa.timestamp("ns"))]))),
            "far": pa.array([2**50], pa.timestamp("s")),
        }
    )
    (row,) = rows(table)
    assert row["nan"] is None
    assert row["bytes"] == "AP8="
    assert row["when"] == "2020-01-02T03:04:05"
    assert row["fine"] == "1970-01-01T00:00:00"
    assert row["deep"] == [{"at": "1970-01-01T00:00:00"}]
    assert row["day"] == "2020-01-02"
    assert row["money"] == "1.50"
    assert isinstance(row["far"], str)


def test_pictures_are_data_urls(desk: Desk) -> None:
    import pyarrow as pa

    picture = pa.array(
        [{"bytes": b"\x89PNG....", "path": "a.png"}], pa.struct([("bytes", pa.binary()), ("path", pa.string())])
    )
    features = {"info": {"features": {"picture": {"_type": "Image"}}}}
    schema = pa.schema([("picture", picture.type)], metadata={"huggingface": json.dumps(features)})
    table = desk.parquet(pa.Table.from_arrays([picture], schema=schema))
    assert table.features == {"picture": {"_type": "Image"}}
    assert rows(table) == [{"picture": {"src": "data:image/png;base64,iVBORy4uLi4="}}]


BROKEN: list[tuple[str, bytes, Any, str]] = [
    ("a.csv", b"", "csv", "empty"),
    ("a.csv", b"a,b\n1,2\n3\n", "csv", "does not fit"),
    ("a.csv", b"a,b\n1,2,3\n", "csv", "does not fit"),
    ("a.csv", b"a\n\xff\xfe\n", "csv", "UTF-8"),
    ("a.csv", "ä,b\n1,2\n".encode("utf-16"), "csv", "UTF-8"),
    ("a.csv", "größe\n1\n".encode("latin-1"), "csv", "UTF-8"),
    ("a.jsonl", b'{"a": 1}\n{"a": \n', "json", "no JSON"),
    ("a.jsonl", b"[1, 2]\n", "json", "neither"),
    ("a.jsonl", b'{"a": 1}\n7\n', "json", "object"),
    ("a.jsonl", '{"a": 1}\n'.encode("utf-16"), "json", "no JSON"),
    ("a.json", b'{\n"a": [1], "b": [1, 2]}', "json", "equally long"),
    ("a.json", b"[" * 100_000, "json", "JSON"),
    ("a.jsonl", b'{"a":' * 5000 + b"1" + b"}" * 5000, "json", "JSON|broken|nested"),
    ("a.txt", b"\xff\xff", "text", "UTF-8"),
    ("a.arrow", b"ARROW1\0\0" + b"x" * 500, "arrow", "Arrow"),
    ("a.arrow", b"\xff\xff\xff\xff\xff\xff\xff\x7f", "arrow", "Arrow"),
]


@pytest.mark.parametrize(("name", "content", "format_", "words"), BROKEN)
def test_broken_files_say_what_is_wrong(desk: Desk, name: str, content: bytes, format_: Any, words: str) -> None:
    source = desk.source(name, content, format_)
    with pytest.raises(Damaged, match=words):
        desk.convert(source)
    assert not (desk.folder / f"{name}.copy").exists()


def test_bombs_and_endless_lines(desk: Desk) -> None:
    small = replace(LIMITS, line_bytes=1 << 20, whole_bytes=1 << 20)

    def refused(source: Source, limits: ViewLimits = small) -> None:
        with pytest.raises(TooLarge):
            desk.convert(source, limits)

    bomb = gzip.compress(b"a,b\n" + b"1,2\n" * 30_000_000, 9)
    refused(desk.source("bomb.csv.gz", bomb, "csv", "gzip"), replace(small, ratio=100))
    refused(desk.source("long.csv", b"a\n" + b"x" * (3 << 20), "csv"))
    refused(desk.source("quote.csv", b'a\n"' + b"x\n" * (3 << 20), "csv"))
    refused(desk.source("long.jsonl", b'{"a": "' + b"x" * (3 << 20) + b'"}', "json"))
    refused(desk.source("long.json", b'[{"a": "' + b"x" * (6 << 20) + b'"}]', "json"))
    refused(desk.source("long.txt", b"x" * (6 << 20), "text"))
    refused(desk.source("wide.csv", b"a," * 6000 + b"\n", "csv"))


def test_torn_archives(desk: Desk) -> None:
    whole = gzip.compress(CSV * 1000)
    for content in (whole[: len(whole) // 2], b"\x1f\x8b\x08" + b"x" * 50, b"no archive"):
        with pytest.raises(Damaged):
            desk.convert(desk.source("a.csv.gz", content, "csv", "gzip"))
    with pytest.raises(Unsupported, match="gzip"):
        desk.convert(desk.source("a.csv.zst", b"x", "csv", "zstd"))
