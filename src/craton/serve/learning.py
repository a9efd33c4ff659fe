"""Models that learn while they serve: one live process for each, whatever revision its snapshots have reached.

What was learned lives in the worker. It becomes a revision every so many rows, when somebody asks, and before the model
is unloaded; a worker that is killed loses what it learned since, and starts again from the last revision.
"""

from __future__ import annotations

import asyncio
import logging
import tempfile
from collections.abc import AsyncIterator, Awaitable, Callable
from pathlib import Path

from msgspec import Struct
from msgspec.structs import replace

from craton.core.chat import ChatRequest
from craton.core.errors import CratonError, ModelFailed, Unsupported
from craton.core.events import Event
from craton.core.model import Capabilities, EmbedAnswer, EmbedRequest, ScoreAnswer, ScoreRequest
from craton.core.predicting import PredictAnswer, PredictorRequest, PredictRequest, SnapshotRequest
from craton.engines.worker.supervisor import Worker
from craton.serve.snapshots import Snapshots
from craton.serve.target import Target

SNAPSHOT_ROWS = 1000
BY_ITSELF = "craton"  # the author of snapshots that nobody asked for

log = logging.getLogger("craton.learning")

Start = Callable[[Target], Awaitable[Worker]]


LIVE = ":live"


def is_live(target: Target) -> bool:
    """Whether it is the one process of a model that learns, and not a revision as it was."""
    return target.key.endswith(LIVE)


class Snapshot(Struct, frozen=True):
    """rows: learned since the revision before. revision: the newest, unchanged when nothing was learned."""

    revision: str
    rows: int


class Line:
    """One model's life over its revisions. target: what its newest revision is loaded from. revisions: its own."""

    def __init__(self, target: Target) -> None:
        self.target = replace(target, key=f"{target.key}{LIVE}")
        self.revisions = {target.info.revision}
        self.open = asyncio.Event()
        self.open.set()

    def moved(self, target: Target) -> None:
        self.target = target
        self.revisions.add(target.info.revision)


class Lines:
    """The live models by owner and id. `every`: rows after which a model makes a snapshot by itself, 0 for never."""

    def __init__(self, snapshots: Snapshots, every: int = SNAPSHOT_ROWS) -> None:
        self._snapshots, self._every = snapshots, every
        self._lines: dict[tuple[str, str], Line] = {}

    async def live(self, target: Target) -> Target:
        """What to load, or has been loaded, for a model that learns. Waits while it is being put away.

        A revision that somebody else has committed begins a line of its own.
        """
        key = (target.owner, target.info.id)
        line = self._lines.get(key)
        if line is None or target.info.revision not in line.revisions:
            line = self._lines[key] = Line(target)
        await line.open.wait()
        return line.target

    async def begin(self, target: Target, start: Start) -> LearningEngine:
        """target: of `live`. Raises what starting its worker raises."""
        line = self._lines.get((target.owner, target.info.id))
        if line is None or line.target.key != target.key:
            line = Line(replace(target, key=target.key.removesuffix(LIVE)))
        engine = LearningEngine(line, self._snapshots, start, self._every)
        await engine.renew()
        return engine


class LearningEngine:
    """Implements `craton.engines.protocol.Engine` over a worker, and counts what it has learned."""

    def __init__(self, line: Line, snapshots: Snapshots, start: Start, every: int) -> None:
        self._line, self._snapshots, self._start, self._every = line, snapshots, start, every
        self._worker: Worker | None = None
        self._life: int | None = None
        self._unsaved = 0
        self._saving = asyncio.Lock()
        self._renewal: asyncio.Task[None] | None = None
        self._snapshot: asyncio.Task[None] | None = None

    @property
    def capabilities(self) -> Capabilities:
        return self._current.capabilities

    @property
    def pid(self) -> int | None:
        return self._worker.pid if self._worker else None

    @property
    def _current(self) -> Worker:
        if self._worker is None:
            raise ModelFailed(self._line.target.info.id, "its worker is gone")
        return self._worker

    async def renew(self) -> None:
        """A worker at the newest revision. What an old one learned since that is lost."""
        if self._unsaved:
            log.warning("%s lost %d learned rows with its worker", self._line.target.info.id, self._unsaved)
        old, self._worker, self._unsaved = self._worker, None, 0
        if old is not None:
            await old.close()
        self._worker = await self._start(self._line.target)
        self._life = self._worker.pid

    async def predict(self, request: PredictorRequest) -> PredictAnswer:
        worker = await self._living()
        answer = await worker.predict(request)
        if isinstance(request, PredictRequest) and request.verb == "learn":
            self._unsaved += request.rows
            if self._every and self._unsaved >= self._every and (self._snapshot is None or self._snapshot.done()):
                self._snapshot = asyncio.create_task(self._save_by_itself())
        return answer

    async def save(self, author: str) -> Snapshot:
        """Commits what was learned. Raises Stale when somebody else has committed in between."""
        async with self._saving:
            rows, target, worker = self._unsaved, self._line.target, self._current
            if not rows:
                return Snapshot(target.info.revision, 0)
            if worker.pid != self._life:
                raise ModelFailed(target.info.id, f"its worker died, and {rows:,} learned rows with it")
            with tempfile.TemporaryDirectory(prefix="craton-snapshot-") as folder:
                answer = await worker.predict(SnapshotRequest(target.info.id, folder))
                parameters = answer.state["parameters"]
                saved = await asyncio.to_thread(self._snapshots.commit, target, Path(folder), parameters, rows, author)
            self._line.moved(saved)
            self._unsaved = max(0, self._unsaved - rows)
            return Snapshot(saved.info.revision, rows)

    async def close(self) -> None:
        """Keeps what was learned, then ends the worker. Whoever asks for the model meanwhile waits (`Lines.live`)."""
        self._line.open.clear()
        if self._renewal is not None:
            await asyncio.wait([self._renewal])
        try:
            await self._save_by_itself()
        finally:
            if self._worker is not None:
                await self._worker.close()
            self._line.open.set()

    async def _living(self) -> Worker:
        """A worker that died has started again from the revision that it was loaded from: an old one by now.

        Whoever asked first may leave: the others wait for the same renewal. One that failed is tried again.
        """
        if self._worker is None or self._worker.pid != self._life:
            if self._renewal is None or self._renewal.done():
                self._renewal = asyncio.create_task(self.renew())
            await asyncio.shield(self._renewal)
        return self._current

    async def _save_by_itself(self) -> None:
        try:
            await self.save(BY_ITSELF)
        except (CratonError, OSError) as error:
            log.warning("what %s learned was not kept: %s", self._line.target.info.id, error)

    # --- what it is not -----------------------------------------------------------------------------------------

    def chat(self, request: ChatRequest) -> AsyncIterator[Event]:
        raise Unsupported("chatting with a trained predictor")

    async def embed(self, request: EmbedRequest) -> EmbedAnswer:
        return await self._current.embed(request)

    async def score(self, request: ScoreRequest) -> ScoreAnswer:
        return await self._current.score(request)

    async def count_tokens(self, request: ChatRequest) -> int:
        return await self._current.count_tokens(request)
