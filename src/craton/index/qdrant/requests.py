"""What is said to a Qdrant server (1.16 or later): bodies of its REST API. Vectors, payloads and filters are those of
the embedded index."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from craton.index.analysis import document_terms, query_terms
from craton.index.payload import conditions, payload
from craton.index.protocol import Point, Search
from craton.index.vectors import floats

DENSE, LEXICAL = "dense", "lexical"
EF = 128

Body = dict[str, Any]


def collection(dimensions: int) -> Body:
    graph = {"m": 16, "ef_construct": 64}
    vectors = {"size": dimensions, "distance": "Cosine", "datatype": "float16", "hnsw_config": graph}
    return {"vectors": {DENSE: vectors}, "sparse_vectors": {LEXICAL: {"modifier": "idf"}}}


def keyword_index(field: str) -> Body:
    return {"field_name": field, "field_schema": "keyword"}


def upsert(points: Sequence[Point], tenant: str) -> Body:
    return {"points": [_point(point, tenant) for point in points]}


def delete(ids: Sequence[int]) -> Body:
    return {"points": list(ids)}


def legs(search: Search) -> dict[str, Body]:
    """Name of the leg -> its query."""
    asked: dict[str, Body] = {}
    shared = {"filter": conditions(search), "limit": search.limit, "with_payload": False}
    if search.vector is not None:
        query = floats(search.vector)
        params: Body = {"hnsw_ef": max(EF, search.limit)}
        if search.filter is not None:
            params["acorn"] = {"enable": True}
        asked[DENSE] = {"query": query, "using": DENSE, "params": params, **shared}
    if search.text is not None and (terms := query_terms(search.text)):
        sparse = {"indices": terms, "values": [1.0] * len(terms)}
        asked[LEXICAL] = {"query": sparse, "using": LEXICAL, **shared}
    return asked


def batch(queries: Sequence[Body]) -> Body:
    return {"searches": list(queries)}


def everywhere(query: Body) -> Body:
    """The same, without the graph."""
    return {**query, "params": {"exact": True}}


def _point(point: Point, tenant: str) -> Body:
    vector: Body = {DENSE: floats(point.vector)}
    if terms := document_terms(point.text):
        vector[LEXICAL] = {"indices": list(terms), "values": list(terms.values())}
    return {"id": point.id, "vector": vector, "payload": payload(point, tenant)}
