"""What a live HTTP API is told of, and what can be said of that before it is asked."""

from __future__ import annotations

from typing import Annotated, Literal
from urllib.parse import urlsplit

from msgspec import Meta, field

from craton.core.errors import InvalidRequest
from craton.data.sources.options import Name, Options, Pointer, Pointers, Url

QUESTION = "{question}"

Text = Annotated[str, Meta(max_length=2048)]
Header = Annotated[str, Meta(pattern="^[ -~]*$", max_length=1024)]


class LiveOptions(Options, frozen=True):
    """parameters: of the query (GET) or members of the JSON body (POST); "{question}" in a value stands for the
    question. items: JSON pointer to the list of records (or to the only one); text, title, link: from a record, text ()
    for the whole record. limit: records that are taken; max_bytes, seconds: of the answer.

    The spec's credential is sent as `auth_header: auth_prefix + secret`.
    """

    url: Url
    parameters: Annotated[dict[Name, Text], Meta(min_length=1, max_length=50)]
    live: Literal[True] = True
    method: Literal["GET", "POST"] = "GET"
    items: Pointer = ""
    text: Pointers = ()
    title: Pointer = ""
    link: Pointer = ""
    headers: Annotated[dict[Name, Header], Meta(max_length=20)] = field(default_factory=dict)
    auth_header: Annotated[str, Meta(pattern="^[A-Za-z0-9-]{1,64}$")] = "authorization"
    auth_prefix: Annotated[str, Meta(pattern="^[ -~]*$", max_length=64)] = "Bearer "
    limit: Annotated[int, Meta(ge=1, le=100)] = 10
    max_bytes: Annotated[int, Meta(ge=1024, le=8 * 1024 * 1024)] = 1024 * 1024
    seconds: Annotated[float, Meta(gt=0, le=60)] = 10.0


def check_live(options: LiveOptions) -> None:
    """Raises InvalidRequest for an address or parameters that cannot be used."""
    try:
        parts = urlsplit(options.url)
        usable = parts.scheme in {"http", "https"} and bool(parts.hostname) and not parts.username and parts.port != 0
    except ValueError:
        usable = False
    if not usable or parts.fragment or "{" in options.url:
        raise InvalidRequest("is not a plain http(s) address", "options.url")
    if not any(QUESTION in value for value in options.parameters.values()):
        raise InvalidRequest(f"none of them holds {QUESTION}", "options.parameters")
