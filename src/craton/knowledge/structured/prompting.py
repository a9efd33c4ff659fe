"""The prompt that asks a model for SQL. What a database holds (comments, values) is data: whatever it says, only a
checked SELECT runs."""

from __future__ import annotations

from collections.abc import Sequence

from craton.core.chat import ChatRequest, Message, OutputSchema, Sampling, TextPart
from craton.core.errors import TooLarge
from craton.data.sql.words import Column, TableInfo
from craton.knowledge.structured.options import Curated

MAX_SCHEMA = 60_000  # characters
MAX_ANSWER = 1024  # tokens

INSTRUCTIONS = """\
You write SQL for PostgreSQL. Given tables and a question, write one SELECT statement whose result answers the question.
Use only the tables and columns that are listed, spelled as they are listed. Write no other statement than SELECT.
Return the columns that were asked for and no others. Answer with a JSON object: {"sql": "SELECT ..."}.
If the tables cannot answer the question, answer {"sql": ""}."""

SCHEMA = OutputSchema(
    {
        "type": "object",
        "properties": {"sql": {"type": "string"}},
        "required": ["sql"],
        "additionalProperties": False,
    },
    name="query",
)


def prompt(model: str, question: str, tables: Sequence[TableInfo], curated: Sequence[Curated]) -> ChatRequest:
    """Raises TooLarge when there are more tables than fit."""
    parts = [f"Tables:\n\n{describe(tables)}"]
    if curated:
        examples = "\n\n".join(f"Question: {one.question}\nSQL: {one.sql}" for one in curated)
        parts.append(f"Examples:\n\n{examples}")
    parts.append(f"Question: {question}")
    return ChatRequest(
        model=model,
        messages=(Message("user", (TextPart("\n\n".join(parts)),)),),
        system=(TextPart(INSTRUCTIONS),),
        sampling=Sampling(max_tokens=MAX_ANSWER, temperature=0.0),
        output_schema=SCHEMA,
    )


def again(request: ChatRequest, answer: str, reason: str) -> ChatRequest:
    """The same question after an answer that could not be used."""
    correction = f"That cannot be used: {reason}\nWrite another statement. Answer with the JSON object alone."
    said = (Message("assistant", (TextPart(answer or " "),)), Message("user", (TextPart(correction),)))
    return ChatRequest(
        model=request.model,
        messages=(*request.messages, *said),
        system=request.system,
        sampling=request.sampling,
        output_schema=request.output_schema,
    )


def describe(tables: Sequence[TableInfo]) -> str:
    """As much as fits: with values and comments, without values, without both."""
    for samples, comments in ((True, True), (False, True), (False, False)):
        text = "\n\n".join(_table(table, samples, comments) for table in tables)
        if len(text) <= MAX_SCHEMA:
            return text
    raise TooLarge("The description of the tables", MAX_SCHEMA, len(text), "characters")


def _table(table: TableInfo, samples: bool, comments: bool) -> str:
    lines = [f"{table.schema}.{table.name}" + (f"  -- {_line(table.comment)}" if comments and table.comment else "")]
    lines += [_column(column, samples, comments) for column in table.columns]
    if table.key:
        lines.append(f"  primary key ({', '.join(table.key)})")
    lines += [
        f"  ({', '.join(key.columns)}) refers to {key.schema}.{key.table} ({', '.join(key.references)})"
        for key in table.foreign_keys
    ]
    return "\n".join(lines)


def _column(column: Column, samples: bool, comments: bool) -> str:
    text = f"  {column.name} {column.type}"
    if comments and column.comment:
        text += f"  -- {_line(column.comment)}"
    if samples and column.samples:
        text += f"  -- such as {', '.join(repr(_line(value)) for value in column.samples)}"
    return text


def _line(text: str) -> str:
    return " ".join(text.split())
