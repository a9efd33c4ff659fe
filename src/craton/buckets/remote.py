"""A bucket of an S3-compatible store, Amazon's or another, through obstore.

What a file system refuses is fine there, but obstore takes no key with an empty part, "." or "..": those are refused.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator, Mapping
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

import msgspec

from craton.buckets.digests import Digests
from craton.buckets.protocol import Draft
from craton.buckets.threads import settled
from craton.buckets.values import (
    ANYTHING,
    WHOLE,
    Condition,
    ConditionFailed,
    Headers,
    ObjectInfo,
    Opened,
    Page,
    Span,
    StoredObject,
)
from craton.buckets.walking import Found
from craton.core.errors import NotFound, StorageFull, Unsupported

if TYPE_CHECKING:
    from obstore.store import S3Store

_PART = 8 * 1024 * 1024  # bytes of one part of what is sent
_STANDARD = {
    "Content-Type": "content_type",
    "Cache-Control": "cache_control",
    "Content-Disposition": "content_disposition",
    "Content-Encoding": "content_encoding",
    "Content-Language": "content_language",
}


class RemoteStore:
    """The objects of one remote bucket."""

    def __init__(self, store: S3Store) -> None:
        self._store = store

    async def stat(self, key: str) -> StoredObject:
        import obstore

        with _asking(key):
            got = await obstore.get_async(self._store, _path(key), options={"head": True})
            return _stored(key, got.meta, got.attributes)

    async def open(self, key: str, span: Span = WHOLE) -> Opened:
        import obstore

        stored = await self.stat(key)
        start, end = span.within(stored.info.size)
        if start >= end:
            return Opened(stored, start, end, _nothing())
        options: dict[str, Any] = {"range": (start, end)}
        if stored.info.etag:
            options["if_match"] = f'"{stored.info.etag}"'
        with _asking(key):
            got = await obstore.get_async(self._store, _path(key), options=options)  # type: ignore[arg-type]
        return Opened(stored, start, end, _bytes(key, got))

    async def put(
        self,
        key: str,
        blocks: AsyncIterator[bytes],
        draft: Draft,
        condition: Condition = ANYTHING,
        algorithms: tuple[str, ...] = (),
    ) -> StoredObject:
        """The store makes the object visible once its last part has come; what the draft refuses never gets there."""
        import obstore

        digests = Digests(algorithms)
        checked = _checked(blocks, digests, draft)
        head: list[bytes] = []
        size = 0
        async for block in checked:
            head.append(block)
            size += len(block)
            if size >= _PART:
                break
        mode: Any = {}
        if condition.absent:
            mode["mode"] = "create"
        elif condition.etags and condition.etags != ("*",):
            mode["mode"] = {"e_tag": f'"{condition.etags[0]}"'}
        small = size < _PART
        with _asking(key):
            source: Any = b"".join(head) if small else _joined(head, checked)
            if mode and not small:
                await self._check(key, condition)
                mode = {}
            await obstore.put_async(
                self._store,
                _path(key),
                source,
                attributes=_attributes(draft.headers),
                use_multipart=not small,
                chunk_size=_PART,
                max_concurrency=2,
                **mode,
            )
        return await self.stat(key)

    async def _check(self, key: str, condition: Condition) -> None:
        try:
            etag: str | None = (await self.stat(key)).info.etag
        except NotFound:
            etag = None
        condition.check(key, etag)

    async def delete(self, key: str, condition: Condition = ANYTHING) -> None:
        import obstore

        if condition != ANYTHING:
            await self._check(key, condition)
        try:
            with _asking(key):
                await obstore.delete_async(self._store, _path(key))
        except NotFound:
            pass

    async def page(self, prefix: str, delimiter: str, after: str, limit: int) -> Page:
        etags: dict[str, str] = {}
        taken: list[Found] = []
        more = False
        async for item in self._list(prefix, after):
            found = Found(item.key, item.size, max(1, round(item.modified * 1e9)))
            cut = item.key.find(delimiter, len(prefix)) if delimiter else -1
            if cut >= 0:
                common = item.key[: cut + len(delimiter)]
                if common <= after or (taken and taken[-1].key == common):
                    continue
                found = Found(common)
            if len(taken) == limit:
                more = True
                break
            taken.append(found)
            etags[item.key] = item.etag
        last = taken[-1].key if more else ""
        objects = [
            ObjectInfo(item.key, item.size, etags[item.key], item.modified / 1e9)
            for item in taken
            if not item.is_folder
        ]
        return Page(tuple(objects), tuple(item.key for item in taken if item.is_folder), last)

    async def objects(self, prefix: str) -> AsyncIterator[ObjectInfo]:
        async for item in self._list(prefix, ""):
            yield item

    async def _list(self, prefix: str, after: str) -> AsyncIterator[ObjectInfo]:
        """The store is asked by whole folders (obstore knows no others); the rest of the prefix is looked at here."""
        import obstore

        folder = prefix.rpartition("/")[0]
        offset = max(after, prefix[:-1])
        stream = obstore.list(self._store, folder or None, offset=offset or None)
        while True:
            with _asking(prefix):
                batch = await anext(stream, None)
            if batch is None:
                return
            for meta in batch:
                key = str(meta["path"])
                if key.startswith(prefix) and key > after:
                    yield _info(key, meta)
                elif key > prefix and not key.startswith(prefix):
                    return


async def _nothing() -> AsyncIterator[bytes]:
    nothing: tuple[bytes, ...] = ()
    for item in nothing:
        yield item


async def _bytes(key: str, got: Any) -> AsyncIterator[bytes]:
    with _asking(key):
        async for data in got.stream(min_chunk_size=1024 * 1024):
            yield bytes(data)


async def _checked(blocks: AsyncIterator[bytes], digests: Digests, draft: Draft) -> AsyncIterator[bytes]:
    """The blocks; the draft is asked before the last one is out, so that what it refuses is never completed."""
    held = b""
    async for block in blocks:
        await settled(digests.update, block)
        if held:
            yield held
        held = block
    draft.finish(digests)
    if held:
        yield held


async def _joined(head: list[bytes], rest: AsyncIterator[bytes]) -> AsyncIterator[bytes]:
    for block in head:
        yield block
    head.clear()
    async for block in rest:
        yield block


def _path(key: str) -> str:
    if any(part in {"", ".", ".."} for part in key.split("/")):
        raise Unsupported("A key with an empty part, '.' or '..' between its slashes", "Remote buckets hold none.")
    return key


def _info(key: str, meta: Mapping[str, Any]) -> ObjectInfo:
    etag = str(meta.get("e_tag") or "").removeprefix("W/").strip('"')
    return ObjectInfo(key, int(meta["size"]), etag, meta["last_modified"].timestamp())


def _stored(key: str, meta: Mapping[str, Any], attributes: Mapping[Any, Any]) -> StoredObject:
    given = {str(name): str(value) for name, value in attributes.items()}
    standard = {member: given[name] for name, member in _STANDARD.items() if name in given}
    metadata = {name: value for name, value in given.items() if name not in _STANDARD}
    headers = msgspec.convert({**standard, "metadata": metadata}, Headers)
    return StoredObject(_info(key, meta), headers)


def _attributes(headers: Headers) -> dict[str, str]:
    standard = {name: getattr(headers, member) for name, member in _STANDARD.items()}
    return {name: value for name, value in standard.items() if value} | dict(headers.metadata)


@contextmanager
def _asking(key: str) -> Iterator[None]:
    """Words what the store answers; its own sentences may name hosts, and stay in the exception's cause."""
    from obstore import exceptions

    try:
        yield
    except (FileNotFoundError, exceptions.NotFoundError) as error:
        raise NotFound("object", key) from error
    except (exceptions.PreconditionError, exceptions.AlreadyExistsError, exceptions.NotModifiedError) as error:
        raise ConditionFailed(key, "the object in the store is another one") from error
    except (exceptions.PermissionDeniedError, exceptions.UnauthenticatedError) as error:
        raise StorageFull("The bucket's store refuses the credential that the operator gave for it.") from error
    except exceptions.InvalidPathError as error:
        raise Unsupported("This key", "Remote buckets do not hold it.") from error
    except exceptions.BaseError as error:
        raise StorageFull("The bucket's store did not answer as it should; try again.") from error
