"""Cursors: where a page of results ended. They are opaque, and good for the same question over the same index only."""

from __future__ import annotations

import base64
import binascii
import hashlib

import msgspec
from msgspec import Struct

from craton.core.errors import InvalidRequest
from craton.core.knowledge import KnowledgeBase, RetrieveRequest

_ENCODER, _VERSION = msgspec.msgpack.Encoder(), 1
_LONGEST = 200  # characters


class _Place(Struct, frozen=True, array_like=True):
    version: int
    question: bytes
    epoch: int
    offset: int


def question(tenant: str, base: KnowledgeBase, request: RetrieveRequest) -> bytes:
    """What decides the order of the results: two requests with the same digest are pages of one answer.

    Raises InvalidRequest for text that is not Unicode.
    """
    asked = (
        tenant,
        base.id,
        base.embedder,
        base.embedder_revision,
        request.query,
        request.mode,
        request.filter,
        request.reranking,
        request.user,
        request.decompose,
    )
    try:
        return hashlib.sha256(_ENCODER.encode(asked)).digest()[:16]
    except UnicodeEncodeError:  # lone surrogates
        raise InvalidRequest("it is not valid Unicode", "filter") from None


def encode(question: bytes, epoch: int, offset: int) -> str:
    """epoch: of the index. offset: how many results were given out so far."""
    packed = _ENCODER.encode(_Place(_VERSION, question, epoch, offset))
    return base64.urlsafe_b64encode(packed).decode()


def decode(cursor: str, question: bytes, epoch: int, limit: int) -> int:
    """The offset; 0 for "". Raises InvalidRequest for a cursor of another question, of an index that was rebuilt since,
    beyond `limit` results, or that was never given out."""
    if not cursor:
        return 0
    try:
        if len(cursor) > _LONGEST:
            raise ValueError
        place = msgspec.msgpack.decode(base64.b64decode(cursor, altchars=b"-_", validate=True), type=_Place)
    except (ValueError, binascii.Error):  # UnicodeError and msgspec's errors are ValueErrors
        raise InvalidRequest("it was not given out", "cursor") from None
    if place.version != _VERSION or place.question != question or not 0 < place.offset <= limit:
        raise InvalidRequest("it belongs to another question", "cursor")
    if place.epoch != epoch:
        raise InvalidRequest("the index was built again since; begin with the first page", "cursor")
    return place.offset
