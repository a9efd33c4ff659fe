"""Rows for trained models in the bodies of InvokeModel and InvokeEndpoint: JSON or CSV, as `wire.rows` has them.

A JSON answer is {"predictions": [{"prediction": ..., ...}, ...]}; a CSV answer has no header, as SageMaker's have none.
"""

from __future__ import annotations

from typing import NamedTuple

from craton.core.errors import InvalidRequest, Unsupported
from craton.core.predicting import PredictVerb
from craton.serve.inference import Call, Predicting
from craton.wire.http import encode_json
from craton.wire.rows.reading import CSV, media_type, read_table, usual_verb
from craton.wire.rows.writing import answer_type, as_csv, records


class Invoked(NamedTuple):
    """model: the one that ran."""

    body: bytes
    content_type: str
    model: str
    revision: str


async def invoke(
    serving: Predicting, call: Call, name: str, body: bytes, content_type: str, accept: str, verb: PredictVerb | None
) -> Invoked:
    """verb: None for the body's, or else the model's usual one. Raises Unsupported for a model of another kind."""
    info, signature = await serving.signature(call.caller, name)
    asked = verb or usual_verb(signature)
    wanted = answer_type(accept, media_type(content_type))
    table = read_table(body, content_type, signature, asked)
    asked = table.verb or asked
    if asked == "learn":
        raise Unsupported("'learn' by this operation", f"POST /v1/models/{name}/learn does it.")
    if asked not in signature.outputs:
        raise InvalidRequest(f"the model does not know {asked!r}; it knows {', '.join(signature.outputs)}", "verb")
    answer = await serving.predict(call, table.request(name, asked))
    written = (
        as_csv(answer, signature.outputs[asked], header=False)
        if wanted == CSV
        else encode_json({"predictions": records(answer)})
    )
    return Invoked(written, wanted, info.id, info.revision)
