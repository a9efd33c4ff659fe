"""Which texts an ensemble's members read as they are. The others become vectors once, for all of them.

When the model serves, a column comes as one of the two: members that want it otherwise do not go together.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

from craton.core.errors import InvalidRequest
from craton.core.predicting import Field
from craton.engines.predictor.protocol import Predictor
from craton.training.data.embedding import embedded
from craton.training.data.loading import reads_text
from craton.training.protocol import Run, Tables
from craton.training.specification.methods import Ensemble, Member
from craton.training.specification.suggesting import unknown


def prepared(spec: Ensemble, tables: Tables, models: Mapping[int, Predictor], run: Run) -> Tables:
    """models: of the hub, by the member's place. Raises InvalidRequest."""
    read = _read(spec, tables.fields, models)
    fields = tuple(Field(one.name, "text", one.nullable) if one.name in read else one for one in tables.fields)
    others = replace(tables, fields=tuple(one for one in fields if one.name not in read))
    return replace(embedded(others, run), fields=fields)


def taken(member: Member, place: int, fields: tuple[Field, ...]) -> tuple[Field, ...]:
    """The columns that a learner is given. Raises InvalidRequest."""
    where = f"members.{place}.features"
    if member.features is None:
        return fields
    known = {one.name: one for one in fields}
    for name in member.features:
        if name not in known:
            raise InvalidRequest(unknown("feature", name, known), where)
    if not member.features:
        raise InvalidRequest("leaves no column to learn from", where)
    return tuple(known[name] for name in dict.fromkeys(member.features))


def refuse_texts(fields: tuple[Field, ...], place: int) -> None:
    """Of a member that takes numbers. Raises InvalidRequest where a text is there as it is."""
    for field in fields:
        if field.kind == "text" and not field.embedder:
            raise InvalidRequest(
                f"takes texts as vectors, and another member reads {field.name!r} as it is: name the columns that "
                "this one takes, or take {method: transfer, use: encoder}, which is a head on vectors",
                f"members.{place}.features",
            )


def _read(spec: Ensemble, fields: tuple[Field, ...], models: Mapping[int, Predictor]) -> set[str]:
    texts, found = {one.name for one in fields if one.kind == "text"}, set[str]()
    for place, member in enumerate(spec.members):
        if place in models:
            inputs = models[place].signature.inputs
            found |= {one.name for one in inputs if one.kind == "text" and not one.embedder}
        elif reads_text(member.method, member.use):
            found |= {one.name for one in taken(member, place, fields)}
    return texts & found
