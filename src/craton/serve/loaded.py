"""One worker (or engine in this process) with the models in it: one, or the adapters that share it."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import AbstractAsyncContextManager, contextmanager
from dataclasses import dataclass

from craton.engines.protocol import Engine
from craton.serve.admission import Admission
from craton.serve.target import Target


@dataclass(slots=True)
class Member:
    """A model in it. users: requests that have it in use."""

    target: Target
    last_used: float
    users: int = 0


@dataclass(slots=True)
class Loaded:
    """members: by their targets' keys. bytes_needed: the estimate that it was admitted with.

    finishing: another one has taken its place; it ends when nobody uses it any more.
    """

    members: dict[str, Member]
    engine: Engine
    admission: Admission
    bytes_needed: int
    users: int = 0
    last_used: float = 0.0
    finishing: bool = False

    @property
    def target(self) -> Target:
        """The one that it was loaded for first."""
        return next(iter(self.members.values())).target

    def lately(self, since: float) -> list[Member]:
        """Those in use, or used since then; the longest unused first."""
        found = [member for member in self.members.values() if member.users or member.last_used >= since]
        return sorted(found, key=lambda member: (member.users > 0, member.last_used))

    def slot(self, target: Target, ends: float) -> AbstractAsyncContextManager[None]:
        """See `Admission.slot`."""
        return self.admission.slot(ends, target.adapter)

    @contextmanager
    def used(self, target: Target, monotonic: Callable[[], float]) -> Iterator[None]:
        member = self.members[target.key]
        self.users += 1
        member.users += 1
        try:
            yield
        finally:
            self.users -= 1
            member.users -= 1
            self.last_used = member.last_used = monotonic()
