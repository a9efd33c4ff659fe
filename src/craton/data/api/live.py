"""Asks an HTTP API with a question: the answer's records are what is found. Nothing is kept.

A data source of the kind "api" whose options hold `live = true` is one. The address is the owner's, the question goes
only into the values of its query parameters or of its JSON body, encoded: it can name no other host, path or parameter.
"""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from typing import Any
from urllib.parse import urlencode, urlsplit

import httpx
import msgspec
from msgspec import Struct

from craton.core.errors import InvalidRequest, SourceFailed, TooLarge
from craton.core.streams import closing
from craton.data.api.options import QUESTION, LiveOptions, check_live
from craton.data.sources.http import place
from craton.data.sources.pointers import find, last
from craton.data.sources.records import as_text, render

MAX_QUESTION = 5000  # characters
MAX_RECORD = 64 * 1024  # characters of its text


class LiveRecord(Struct, frozen=True):
    """uri: its address for people. fields: the record, when it is an object."""

    text: str
    uri: str
    title: str = ""
    fields: Mapping[str, Any] | None = None


async def ask_live(
    client: httpx.AsyncClient, options: LiveOptions, question: str, secret: str = ""
) -> tuple[LiveRecord, ...]:
    """client: of `access.outgoing`, which refuses what the operator did not allow. Redirects are not followed.

    Raises InvalidRequest, OutgoingRefused, TooLarge, SourceFailed.
    """
    check_live(options)
    if len(question) > MAX_QUESTION:
        raise TooLarge("A question", MAX_QUESTION, len(question), "characters")
    request = _request(client, options, question, secret)
    name = place(options.url)
    try:
        async with asyncio.timeout(options.seconds):
            body = await _answer(client, request, options.max_bytes, name)
    except (TimeoutError, httpx.TimeoutException) as error:
        raise SourceFailed(name, f"it did not answer within {options.seconds:g} seconds") from error
    except (httpx.HTTPError, httpx.InvalidURL) as error:
        raise SourceFailed(name, "it cannot be reached, or broke off") from error
    return _records(body, options, request, name)


def _request(client: httpx.AsyncClient, options: LiveOptions, question: str, secret: str) -> httpx.Request:
    filled = {name: value.replace(QUESTION, question) for name, value in options.parameters.items()}
    headers = {"accept": "application/json", "accept-encoding": "identity", **options.headers}
    if secret:
        headers[options.auth_header] = f"{options.auth_prefix}{secret}"
    timeout = httpx.Timeout(options.seconds)
    try:
        if options.method == "POST":
            return client.build_request("POST", options.url, headers=headers, json=filled, timeout=timeout)
        separator = "&" if urlsplit(options.url).query else "?"
        url = f"{options.url}{separator}{urlencode(filled, errors='replace')}"
        return client.build_request("GET", url, headers=headers, timeout=timeout)
    except (httpx.InvalidURL, UnicodeError, ValueError) as error:
        raise InvalidRequest("the request cannot be written", "options") from error


async def _answer(client: httpx.AsyncClient, request: httpx.Request, limit: int, name: str) -> bytes:
    response = await client.send(request, stream=True, follow_redirects=False)
    try:
        if response.status_code != 200:
            raise SourceFailed(name, f"it answers with HTTP status {response.status_code}")
        if response.headers.get("content-encoding", "identity").strip().lower() not in {"", "identity"}:
            raise SourceFailed(name, "it compresses though it was not asked to")
        body = bytearray()
        async with closing(response.aiter_raw()) as pieces:
            async for piece in pieces:
                body += piece
                if len(body) > limit:
                    raise TooLarge(f"The answer of {name}", limit)
        return bytes(body)
    finally:
        await response.aclose()


def _records(body: bytes, options: LiveOptions, request: httpx.Request, name: str) -> tuple[LiveRecord, ...]:
    try:
        answer = msgspec.json.decode(body)
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError) as error:
        raise SourceFailed(name, "its answer is not JSON") from error
    found = find(answer, options.items)
    if found is None:
        return ()
    records = found if isinstance(found, list) else [found]
    return tuple(_record(record, options, str(request.url)) for record in records[: options.limit])


def _record(record: Any, options: LiveOptions, url: str) -> LiveRecord:
    if options.text:
        text = render({last(pointer): find(record, pointer) for pointer in options.text}, ())
    elif isinstance(record, dict):
        text = render(record, ())
    else:
        text = as_text(record)
    return LiveRecord(
        text[:MAX_RECORD],
        as_text(find(record, options.link)) if options.link else url,
        as_text(find(record, options.title))[:1024] if options.title else "",
        record if isinstance(record, dict) else None,
    )
