"""Checker: schemas, grammars, regular expressions and chat templates, compiled first where nothing else can be hurt.

Why: a bad schema hung a batch of other people's requests (notes on OpenVINO), and llama.cpp answers without the grammar
when it does not compile. Cheap bounds are checked in process; the rest by a child that is thrown away when it takes too
much time or memory. Verdicts are remembered by digest.
"""

from __future__ import annotations

import asyncio
import hashlib
import logging
import signal
from collections import OrderedDict
from collections.abc import Awaitable, Callable

from msgspec import Struct

from craton.children.asker import Asker, Died
from craton.children.process import Process
from craton.core.chat import ChatRequest, Json
from craton.core.errors import InvalidRequest, ModelUnavailable
from craton.engines.checking.bounds import check_bounds
from craton.engines.checking.frames import Check, ChildFrame, Kind, Verdict

Child = Asker[ChildFrame, str]

log = logging.getLogger(__name__)

MAX_GRAMMAR = 256 * 1024  # characters
MAX_REGEX = 1_000
MAX_TEMPLATE = 256 * 1024


class CheckLimits(Struct, frozen=True):
    """Of one check: processor seconds, wall-clock seconds (for a child that sleeps), megabytes beyond what the
    compilers themselves take. Of the checker: children at once, checks until a child is replaced, remembered verdicts.
    """

    cpu_seconds: float = 2.0
    wall_seconds: float = 10.0
    megabytes: int = 512
    children: int = 2
    checks_per_child: int = 500
    remembered: int = 2048


class Checker:
    """Every check returns, or raises InvalidRequest with a reason for the caller and the field given."""

    def __init__(
        self, limits: CheckLimits | None = None, *, spawn: Callable[[int], Awaitable[Process]] | None = None
    ) -> None:
        """spawn: starts a checking process, given its megabytes."""
        self._limits = limits or CheckLimits()
        self._spawn = spawn or spawn_child
        self._places = asyncio.Semaphore(self._limits.children)
        self._idle: list[Child] = []
        self._verdicts: OrderedDict[bytes, str] = OrderedDict()
        self._warming: asyncio.Task[None] | None = None
        self._closed = False

    async def start(self) -> None:
        """Warms one child. Without it the first check pays for the start (about 0.3 s)."""
        if not self._idle:
            self._idle.append(await self._new_child())

    async def close(self) -> None:
        """Ends the children. Checks under way fail."""
        self._closed = True
        if self._warming is not None:
            self._warming.cancel()
            await asyncio.wait([self._warming])
        while self._idle:
            await self._idle.pop().end()

    async def check_request(self, request: ChatRequest) -> None:
        """All schemas of a request; the field is "output_schema" or "tools[i].schema"."""
        if request.output_schema is not None:
            await self.check_schema(request.output_schema.schema, "output_schema")
        for index, tool in enumerate(request.tools):
            await self.check_schema(tool.schema, f"tools[{index}].schema")

    async def check_schema(self, schema: Json, field: str = "output_schema") -> None:
        await self._check("schema", check_bounds(schema, field).decode(), field)

    async def check_grammar(self, grammar: str, field: str = "grammar") -> None:
        """GBNF, or Lark when it begins with "%llguidance"."""
        await self._check("grammar", _short(grammar, MAX_GRAMMAR, field), field)

    async def check_regex(self, expression: str, field: str = "regex") -> None:
        """In the syntax of Rust's regex crate, which llguidance reads: no look-around, no back-references."""
        await self._check("regex", _short(expression, MAX_REGEX, field), field)

    async def check_template(self, template: str, field: str = "chat_template") -> None:
        """A Jinja chat template: renders a few conversations. What it does with longer ones is the worker's risk."""
        await self._check("template", _short(template, MAX_TEMPLATE, field), field)

    async def _check(self, kind: Kind, text: str, field: str) -> None:
        key = hashlib.sha256(f"{kind}\0{text}".encode("utf-8", "surrogatepass")).digest()
        reason = self._verdicts.get(key)
        if reason is None:
            async with self._places:
                reason, lasting = await self._ask(Check(kind, text, self._limits.cpu_seconds))
            if lasting:
                self._verdicts[key] = reason
                if len(self._verdicts) > self._limits.remembered:
                    self._verdicts.popitem(last=False)
        else:
            self._verdicts.move_to_end(key)
        if reason:
            raise InvalidRequest(reason, field)

    async def _ask(self, check: Check) -> tuple[str, bool]:
        """The verdict, and whether it would be the same next time."""
        child = await self._take()
        try:
            async with asyncio.timeout(self._limits.wall_seconds):
                reason = await child.ask(check, _verdict)
        except TimeoutError:
            await self._replace(child)
            return "it takes too long to compile", False
        except Died:
            return _reason_of_death(await self._replace(child)), True
        except BaseException:
            await self._replace(child)
            raise
        if child.asked >= self._limits.checks_per_child or self._closed:
            await self._replace(child)
        else:
            self._idle.append(child)
        return reason, True

    async def _take(self) -> Child:
        """An idle child that lives, the one that is being warmed, or a new one."""
        if not self._idle and self._warming is not None:
            await asyncio.wait([self._warming])
        while self._idle:
            child = self._idle.pop()
            if child.alive:
                return child
            await child.end()
        return await self._new_child()

    async def _new_child(self) -> Child:
        return await Child.start(await self._spawn(self._limits.megabytes), ChildFrame, "the checking process")

    async def _replace(self, child: Child) -> int:
        if not self._closed and self._warming is None:
            self._warming = asyncio.create_task(self._warm())
        return await child.end()

    async def _warm(self) -> None:
        try:
            await self.start()
        except (OSError, ModelUnavailable):
            log.exception("no spare checking process")  # the next check tries again, and says so
        finally:
            self._warming = None


async def spawn_child(megabytes: int) -> Process:
    return await Process.spawn("craton.engines.checking.child", (str(megabytes),))


def _verdict(frame: ChildFrame) -> str | None:
    return frame.reason if isinstance(frame, Verdict) else None


def _reason_of_death(code: int) -> str:
    return "it takes too long to compile" if code == -signal.SIGPROF else "it is too large or too deep to compile"


def _short(text: str, limit: int, field: str) -> str:
    if len(text) > limit:
        raise InvalidRequest(f"it is longer than {limit:,} characters", field)
    return text
