"""What may be asked."""

from __future__ import annotations

from craton.core.errors import InvalidRequest, TooLarge
from craton.core.knowledge import RetrieveRequest
from craton.index.matching import check_filter

MAX_QUERY = 20_000  # characters
MAX_TOP = 100
MAX_USER = 1_000  # characters


def check(request: RetrieveRequest) -> None:
    """Raises InvalidRequest, TooLarge."""
    if len(request.query) > MAX_QUERY:
        raise TooLarge("query", MAX_QUERY, len(request.query), "characters")
    if not request.query.strip():
        raise InvalidRequest("it must not be empty", "query")
    if any("\ud800" <= character <= "\udfff" for character in request.query):
        raise InvalidRequest("it is not valid Unicode", "query")
    if not 1 <= request.top <= MAX_TOP:
        raise InvalidRequest(f"1 to {MAX_TOP} results can be asked for", "top")
    if request.reranking is not None and request.reranking.top is not None and request.reranking.top < 1:
        raise InvalidRequest("at least one result must be kept", "reranking.top")
    if len(request.user) > MAX_USER:
        raise TooLarge("user", MAX_USER, len(request.user), "characters")
    check_filter(request.filter)
