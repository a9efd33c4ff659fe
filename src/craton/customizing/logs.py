"""Invocation logs of Bedrock as records to distil from: what models were asked, and what they answered.

The format: docs.aws.amazon.com/bedrock/latest/userguide/model-invocation-logging.html. Bodies of Converse and of
Anthropic's messages are read; other bodies (and conversations with more than text in them) are passed over and counted.
"""

from __future__ import annotations

import asyncio
import zlib
from collections.abc import Callable, Iterable, Iterator
from typing import Any

import msgspec
from msgspec import Struct

from craton.buckets.buckets import Buckets
from craton.core.chat import Json
from craton.core.errors import InvalidRequest, NotFound, TooLarge
from craton.training.tuning.conversations import read_messages
from craton.training.tuning.records import BLOCK, read_lines

MAX_RECORDS = 15_000
"""As on Bedrock."""
MAX_FILE = 256 << 20  # bytes of one log

Accept = Callable[[dict[str, str]], bool]


class Logs(Struct, frozen=True):
    """source: "s3://bucket/folder/", of logs. answers: whether what was answered is learned from, or only what was
    asked is given to the teacher. filters: as `read_filter` takes them."""

    source: str
    answers: bool = False
    filters: Json | None = None


def read_log(blocks: Iterable[bytes], accept: Accept, *, answers: bool) -> Iterator[Json | None]:
    """The entries that `accept` takes, by their metadata: None for one that does not say what is needed. blocks: of a
    file of JSON lines, compressed by gzip or not. Raises InvalidRequest for a file that is neither."""
    for record in read_lines(_plain(blocks)):
        entry = record.value
        if entry is None:
            yield None
        elif entry.get("schemaType", "ModelInvocationLog") == "ModelInvocationLog" and accept(_metadata(entry)):
            yield _record(entry, answers=answers)


def read_filter(given: Json | None) -> Accept:
    """Of requestMetadataFilters. None accepts all."""
    if not given:
        return lambda _: True
    ((kind, value),) = given.items()
    if kind in {"andAll", "orAll"}:
        parts = [_compare(part) for part in value]
        combine = all if kind == "andAll" else any
        return lambda metadata: combine(part(metadata) for part in parts)
    return _compare(given)


def _compare(given: Json) -> Accept:
    same, other = given.get("equals", {}), given.get("notEquals", {})
    return lambda metadata: (
        all(metadata.get(key) == value for key, value in same.items())
        and all(metadata.get(key) != value for key, value in other.items())
    )


def _metadata(entry: Json) -> dict[str, str]:
    found = entry.get("requestMetadata")
    return found if isinstance(found, dict) else {}


def _record(entry: Json, *, answers: bool) -> Json | None:
    asked, answered = _body(entry, "input"), _body(entry, "output")
    try:
        messages = list(asked["messages"])
        system = asked.get("system")
        if answers:
            message = answered["output"]["message"] if "output" in answered else answered
            messages.append({"role": "assistant", "content": _parts(message["content"])})
        given = [{**message, "content": _parts(message["content"])} for message in messages]
        return {"messages": read_messages({"messages": given, **({"system": _parts(system)} if system else {})})}
    except (KeyError, TypeError, InvalidRequest):
        return None


def _body(entry: Json, side: str) -> Json:
    body = (entry.get(side) or {}).get(f"{side}BodyJson")
    return body if isinstance(body, dict) else {}


def _parts(content: Any) -> Any:
    """Anthropic's parts say their type; those of text become Converse's."""
    if not isinstance(content, list):
        return content
    return [{"text": part["text"]} if part.get("type") == "text" else part for part in content]


def _plain(blocks: Iterable[bytes]) -> Iterator[bytes]:
    unzip: Any = None
    first = True
    for block in blocks:
        if first and block[:2] == b"\x1f\x8b":
            unzip = zlib.decompressobj(wbits=31)
        first = False
        if unzip is None:
            yield block
            continue
        try:
            rest = block
            while rest:
                yield unzip.decompress(rest, BLOCK)
                rest = unzip.unconsumed_tail
        except zlib.error:
            raise InvalidRequest("the compression of a log is broken", "invocationLogsConfig") from None


async def gather(buckets: Buckets, tenant: str, logs: Logs) -> bytes:
    """The records below the prefix, the first ones, as lines of JSON. Raises NotFound when there is no log,
    InvalidRequest when none of its entries is of use."""
    bucket, _, prefix = logs.source.removeprefix("s3://").partition("/")
    lines: list[bytes] = []
    passed_over, files, accept = 0, 0, read_filter(logs.filters)
    async for info in buckets.list(tenant, bucket, prefix):
        if not info.key.endswith((".json", ".json.gz", ".jsonl", ".jsonl.gz")):
            continue
        if info.size > MAX_FILE:
            raise TooLarge(f"The log {info.key[:200]}", MAX_FILE, info.size)
        files += 1
        blocks = [block async for block in buckets.read(tenant, bucket, info.key)]
        found, bad = await asyncio.to_thread(_lines, blocks, accept, logs.answers, MAX_RECORDS - len(lines))
        lines += found
        passed_over += bad
        if len(lines) >= MAX_RECORDS:
            break
    if not files:
        raise NotFound("invocation log", logs.source, "Logs are files that end in .json or .json.gz.")
    if not lines:
        raise InvalidRequest(
            f"no entry fits: {passed_over:,} were passed over, which say no conversation of texts",
            "invocationLogsConfig",
        )
    return b"".join(lines)


def _lines(blocks: list[bytes], accept: Accept, answers: bool, most: int) -> tuple[list[bytes], int]:
    found: list[bytes] = []
    bad = 0
    for record in read_log(blocks, accept, answers=answers):
        if record is None:
            bad += 1
        elif len(found) < most:
            found.append(msgspec.json.encode(record) + b"\n")
        else:
            break
    return found, bad
