"""What SQL may be made of. Everything else is refused: what is not here was not thought about.

Left out on purpose: what can run without end or fill memory from little (WITH RECURSIVE, generate_series, repeat, lpad,
power, regular expressions), what reads files, settings or the catalogue, what sleeps, locks or calls out, casts to
types that look names up (regclass), set-returning functions, LATERAL.
"""

from __future__ import annotations


def _words(text: str) -> frozenset[str]:
    return frozenset(text.split())


NODES = _words(
    # statements and their clauses
    "Select Union Except Intersect Subquery With CTE From Join Where Group Having Order Ordered Limit Offset Fetch "
    "Distinct Window WindowSpec GroupingSets Rollup Cube Filter WithinGroup LimitOptions "
    # names and values
    "Column Identifier Star Table TableAlias Alias Literal Boolean Null Tuple Paren Var Interval DataType "
    "DataTypeParam Cast "
    # operators
    "And Or Not EQ NEQ GT GTE LT LTE Is In Between Like ILike SimilarTo Escape Add Sub Mul Div Mod Neg DPipe Case "
    "If Any All Exists NullSafeEQ NullSafeNEQ "
    # aggregates and windows
    "Count Sum Avg Min Max Stddev StddevPop StddevSamp Variance VariancePop PercentileCont PercentileDisc "
    "GroupConcat LogicalAnd LogicalOr Corr RowNumber Rank DenseRank Lag Lead FirstValue LastValue Ntile "
    "PercentRank CumeDist "
    # text
    "Lower Upper Length Trim Substring StrPosition Replace Concat ConcatWs Left Right Initcap SplitPart StartsWith "
    # numbers and choices
    "Coalesce Nullif Greatest Least Abs Round Ceil Floor Sqrt Sign Trunc Ln Log "
    # dates
    "CurrentDate CurrentTimestamp Extract TimestampTrunc DateTrunc TimeToStr StrToDate StrToTime Date AtTimeZone "
    # names of functions that the parser has no class for: FUNCTIONS says which
    "Anonymous"
)

FUNCTIONS = frozenset({"age", "make_date", "btrim", "ltrim", "rtrim"})

TYPES = _words(
    "TEXT VARCHAR SMALLINT INT BIGINT DECIMAL FLOAT DOUBLE BOOLEAN DATE TIME TIMESTAMP TIMESTAMPTZ INTERVAL UUID"
)

UNITS = _words(
    "MICROSECONDS MILLISECONDS MICROSECOND MILLISECOND SECOND SECONDS MINUTE MINUTES HOUR HOURS DAY DAYS DOW DOY "
    "ISODOW WEEK WEEKS MONTH MONTHS QUARTER QUARTERS YEAR YEARS ISOYEAR EPOCH DECADE CENTURY"
)

PARTS = {  # the parts that some nodes may have; of the others every part is a node, which is looked at by itself
    "Select": _words("with_ expressions from_ joins where group having order limit offset distinct windows"),
    "Union": _words("with_ this expression distinct order limit offset"),
    "Except": _words("with_ this expression distinct order limit offset"),
    "Intersect": _words("with_ this expression distinct order limit offset"),
    "Subquery": frozenset({"this", "alias"}),
    "With": frozenset({"expressions"}),
    "CTE": frozenset({"this", "alias"}),
    "Table": frozenset({"this", "db", "alias"}),
    "Join": frozenset({"this", "side", "kind", "on", "using", "method"}),
    "Fetch": frozenset({"direction", "count", "limit_options"}),
    "LimitOptions": frozenset({"rows"}),
    "Limit": frozenset({"expression"}),
    "Column": frozenset({"this", "table", "db"}),
}
