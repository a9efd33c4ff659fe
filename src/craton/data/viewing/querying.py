"""Rows that fulfil a condition, and rows that hold words. DuckDB decides which; the files are read here, in batches.

It is given the columns that the question is about, as a stream, and no way to a file, a network or a setting.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterator, Sequence
from contextlib import contextmanager

import duckdb
import pyarrow as pa

from craton.core.errors import InvalidRequest, TooLarge, Unsupported
from craton.data.viewing.expressions import check_condition, check_order
from craton.data.viewing.frames import Filter, Search, Table
from craton.data.viewing.limits import ViewLimits
from craton.data.viewing.parquet import batches, common_schema, conform
from craton.data.viewing.values import Page
from craton.data.viewing.windows import gather

INDEX = "craton row index"
MAX_WORDS = 16
_MEMORY = "512MB"
_SETTINGS = (
    "temp_directory = ''",
    "python_enable_replacements = false",
    "autoinstall_known_extensions = false",
    "autoload_known_extensions = false",
    "enable_external_access = false",
    "lock_configuration = true",
)
_WORD = re.compile(r"[^\W_]+")
_SATURATION, _LENGTHS = 1.2, 0.75  # BM25's k1 and b


def filter_rows(task: Filter, limits: ViewLimits) -> Page:
    """Raises InvalidRequest for a condition that may not be asked, or that does not fit the columns."""
    table = task.table
    columns = {name.lower(): name for name in table.features}
    wanted = set(check_condition(task.where, columns)) if task.where else set()
    order = f'"{INDEX}"'
    if task.order:
        column, falling = check_order(task.order, columns)
        wanted.add(column)
        order = f"{_quoted(column)} {'DESC' if falling else 'ASC'} NULLS LAST, {order}"
    condition = f"WHERE ({task.where}\n)" if task.where else ""
    with _data(table, sorted(wanted), limits) as data:
        total = data.rows(f"SELECT count(*) FROM data {condition}")[0][0]
        page = f"LIMIT {task.length} OFFSET {task.offset}"
        found = data.rows(f'SELECT "{INDEX}" FROM data {condition} ORDER BY {order} {page}')
    return gather(table, [index for (index,) in found], total, limits)


def search_rows(task: Search, limits: ViewLimits) -> Page:
    """By BM25 over all columns of strings. Words are compared in lower case and without accents, not by their stems.

    Only texts that hold one of the words somewhere are cut into words; a text's length is that of its letters."""
    table = task.table
    words = list(dict.fromkeys(_WORD.findall(_folded(task.words))))
    if not words or len(words) > MAX_WORDS:
        raise InvalidRequest(f"it must hold from 1 to {MAX_WORDS} words", "query")
    strings = [name for name, kind in table.features.items() if _is_string(kind)]
    if not strings:
        raise Unsupported("Searching a table without a column of strings")
    text = ", ".join(map(_quoted, strings))
    holds = " OR ".join(f"contains(text, '{word}')" for word in words)
    split = (
        f"WITH folded AS (SELECT \"{INDEX}\" AS place, strip_accents(lower(concat_ws(' ', {text}))) AS text FROM data),"
        " split AS (SELECT place, length(text) AS size, CASE WHEN " + holds + " THEN"
        " regexp_extract_all(text, '[\\p{L}\\p{N}]+') ELSE [] END AS words FROM folded)"
    )
    counts = ", ".join(f"count(*) FILTER (list_contains(words, '{word}'))" for word in words)
    with _data(table, strings, limits) as data:
        total, rows, mean, *known = data.rows(
            f"{split} SELECT count(*) FILTER (list_has_any(words, {words})), count(*), avg(size), {counts} FROM split"
        )[0]
        score = " + ".join(_score(word, rows, count, mean or 1.0) for word, count in zip(words, known, strict=True))
        found = data.rows(
            f"{split} SELECT place, {score} AS score FROM split WHERE list_has_any(words, {words})"
            f" ORDER BY score DESC, place LIMIT {task.length} OFFSET {task.offset}"
        )
    return gather(table, [index for index, _ in found], total, limits)


def _score(word: str, rows: int, count: int, mean: float) -> str:
    rarity = f"ln(1 + ({rows} - {count} + 0.5) / ({count} + 0.5))"
    times = f"len(list_filter(words, lambda word: word = '{word}'))"
    length = f"{_SATURATION} * ({1 - _LENGTHS} + {_LENGTHS} * size / {mean})"
    return f"{rarity} * {times} * {_SATURATION + 1} / ({times} + {length})"


def _folded(text: str) -> str:
    apart = unicodedata.normalize("NFKD", text.lower())
    return "".join(letter for letter in apart if not unicodedata.combining(letter))


def _is_string(feature: object) -> bool:
    return (
        isinstance(feature, dict) and feature.get("_type") == "Value" and feature["dtype"] in {"string", "large_string"}
    )


def _quoted(name: str) -> str:
    return '"' + name.replace('"', '""') + '"'


class _Data:
    """A connection whose table `data` is read anew for each statement."""

    def __init__(
        self, connection: duckdb.DuckDBPyConnection, table: Table, schema: pa.Schema, limits: ViewLimits
    ) -> None:
        self._connection, self._table, self._columns, self._limits = connection, table, schema, limits

    def rows(self, statement: str) -> list[tuple[int, ...]]:
        schema = self._columns.append(pa.field(INDEX, pa.int64()))
        reader = pa.RecordBatchReader.from_batches(schema, self._batches(schema))
        self._connection.register("data", reader)
        try:
            return list(self._connection.execute(statement).fetchall())
        except duckdb.OutOfMemoryException:
            raise TooLarge("The memory that the question takes", int(_MEMORY[:-2]), unit="megabytes") from None
        except duckdb.NotImplementedException:
            raise Unsupported("A question about a column of this type") from None
        except (
            duckdb.BinderException,
            duckdb.CatalogException,
            duckdb.ConversionException,
            duckdb.ParserException,
            duckdb.InvalidInputException,
            duckdb.OutOfRangeException,
        ) as error:
            raise InvalidRequest("it does not fit the columns", "where") from error
        finally:
            self._connection.unregister("data")

    def _batches(self, schema: pa.Schema) -> Iterator[pa.RecordBatch]:
        for part in self._table.parts:
            for start, batch in batches(part, self._columns.names, self._limits):
                found = conform(batch, self._columns, part)
                index = pa.array(range(start, start + batch.num_rows), pa.int64())
                yield pa.RecordBatch.from_arrays([*found.columns, index], schema=schema)


@contextmanager
def _data(table: Table, columns: Sequence[str], limits: ViewLimits) -> Iterator[_Data]:
    schema = common_schema(table, columns, limits)
    with duckdb.connect(":memory:", config={"threads": 1, "memory_limit": _MEMORY}) as connection:
        for setting in _SETTINGS:
            connection.execute(f"SET {setting}")
        yield _Data(connection, table, schema, limits)
