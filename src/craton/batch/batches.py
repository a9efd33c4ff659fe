"""Batches as their owners see them: ordered, followed, stopped. Each is a job with a row of its own beside it."""

from __future__ import annotations

import asyncio
import hashlib
from collections.abc import Callable, Mapping
from typing import Protocol

import msgspec
from sqlalchemy import Connection, insert, select, update

from craton.batch import rows
from craton.batch.tables import batches
from craton.batch.values import ENDED, Batch, Kind, Listing, Order
from craton.buckets.buckets import Buckets
from craton.core.errors import Conflict, NotFound
from craton.core.job import JobSpec
from craton.jobs.queue import Jobs
from craton.store.database import Database

KIND = "batch"
TOKEN_SECONDS = 86_400.0
"""How long a client's token means the call that it first came with."""


class Tags(Protocol):
    """Keeps what its owner says of a resource, in the caller's transaction."""

    def put(self, connection: Connection, tenant: str, resource: str, new: Mapping[str, str]) -> None: ...

    def drop(self, connection: Connection, tenant: str, resource: str) -> None: ...


class Batches:
    """Of one kind. resource: what their tags call them. clean: takes away what the process of a batch left on the disk,
    if it was given up. clock: seconds since the epoch."""

    def __init__(
        self,
        kind: Kind,
        resource: str,
        database: Database,
        jobs: Jobs,
        buckets: Buckets,
        tags: Tags,
        clean: Callable[[str], None],
        clock: Callable[[], float],
    ) -> None:
        self.kind, self._resource, self._tags, self._clean = kind, resource, tags, clean
        self._database, self._jobs, self._buckets, self._clock = database, jobs, buckets, clock

    async def create(
        self,
        tenant: str,
        order: Order,
        body: bytes | None = None,
        token: str = "",
        tags: Mapping[str, str] | None = None,
    ) -> Batch:
        """body: of a single invocation. Raises NotFound for a bucket, or where it holds no input; Conflict for a token
        that came with another order."""
        await self._buckets.get(tenant, order.output.bucket)
        if order.input is not None:
            await self._look(tenant, order.input.bucket, order.input.key)
        return await asyncio.to_thread(self._create, tenant, order, body, token, dict(tags or {}))

    async def get(self, tenant: str, batch: str) -> Batch:
        """Raises NotFound."""
        return await asyncio.to_thread(self._get, tenant, batch)

    def _list(self, tenant: str, listing: Listing) -> tuple[list[Batch], str]:
        with self._database.read() as connection:
            return rows.listed(connection, tenant, self.kind, listing)

    async def list(self, tenant: str, listing: Listing) -> tuple[list[Batch], str]:
        return await asyncio.to_thread(self._list, tenant, listing)

    async def stop(self, tenant: str, batch: str) -> Batch:
        """What is answered by then is written. Raises NotFound, Conflict for one that has ended."""
        return await asyncio.to_thread(self._stop, tenant, batch)

    async def _look(self, tenant: str, bucket: str, key: str) -> None:
        async for _ in self._buckets.list(tenant, bucket, key):
            return
        raise NotFound("object", f"s3://{bucket}/{key}", "Upload the records first.")

    def _create(self, tenant: str, order: Order, body: bytes | None, token: str, tags: dict[str, str]) -> Batch:
        now, batch = self._clock(), rows.new_id()
        digest = hashlib.sha256(msgspec.json.encode([order, tags]) + (body or b"")).hexdigest()
        with self._database.write() as connection:
            if token and (known := self._known(connection, tenant, token, digest, now)) is not None:
                return rows.find(connection, tenant, self.kind, known)
            subject = f"{order.model}: {order.name}" if order.name else order.model
            job = self._jobs.submit(connection, JobSpec(tenant, KIND, {"batch": batch, "kind": self.kind}, subject))
            connection.execute(
                insert(batches).values(
                    tenant=tenant,
                    id=batch,
                    kind=self.kind,
                    job=job.id,
                    name=order.name,
                    created=now,
                    updated=now,
                    expires=now + order.seconds,
                    phase="",
                    total=None if body is None else 1,
                    succeeded=0,
                    failed=0,
                    input_tokens=0,
                    output_tokens=0,
                    value=msgspec.json.encode(order).decode(),
                    body=body,
                    token=token or None,
                    digest=digest,
                )
            )
            if tags:
                self._tags.put(connection, tenant, f"{self._resource}/{batch}", tags)
            return rows.find(connection, tenant, self.kind, batch)

    def _known(self, connection: Connection, tenant: str, token: str, digest: str, now: float) -> str | None:
        """The batch that this token made. One that came long ago is free again."""
        same = (batches.c.tenant == tenant) & (batches.c.kind == self.kind) & (batches.c.token == token)
        row = connection.execute(select(batches.c.id, batches.c.digest, batches.c.created).where(same)).one_or_none()
        if row is None:
            return None
        if row.created <= now - TOKEN_SECONDS:
            connection.execute(update(batches).where(same).values(token=None))
            return None
        if row.digest != digest:
            raise Conflict("token", token[:64], "it came with another request before.")
        found: str = row.id
        return found

    def _get(self, tenant: str, batch: str) -> Batch:
        with self._database.read() as connection:
            return rows.find(connection, tenant, self.kind, batch)

    def _stop(self, tenant: str, batch: str) -> Batch:
        with self._database.write() as connection:
            found = rows.find(connection, tenant, self.kind, batch)
            if found.status in ENDED:
                raise Conflict("batch", batch, f"it has ended: {found.status}.")
            self._jobs.cancel(tenant, found.job, connection)
            return rows.find(connection, tenant, self.kind, batch)

    def forget(self, connection: Connection, tenant: str, job: str) -> None:
        """For `jobs.queue.Jobs.forgetting`."""
        mine = (batches.c.tenant == tenant) & (batches.c.job == job) & (batches.c.kind == self.kind)
        for batch in connection.scalars(select(batches.c.id).where(mine)).all():
            self._tags.drop(connection, tenant, f"{self._resource}/{batch}")
            self._clean(batch)
        connection.execute(batches.delete().where(mine))
