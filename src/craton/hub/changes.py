"""What happens to repositories, told to whoever listens inside the transaction that makes it happen.

So what follows from a change (a pull request's event, a webhook's delivery, rows that fall with their repository) is
there exactly when the change is.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeAlias

from msgspec import Struct
from sqlalchemy import Connection

from craton.core.repo import RepoId
from craton.hub.reaching import Reached


class Place(Struct, frozen=True):
    """The repository that it happened to. owner: its tenant; id: of its row."""

    owner: str
    id: str
    repo: RepoId
    private: bool

    @classmethod
    def of(cls, reached: Reached) -> Place:
        return cls(reached.owner, reached.id, reached.repo, reached.private)


class RefChange(Struct, frozen=True):
    """ref: in full, "refs/heads/main", "refs/pr/3". old None: it is new; new None: it is gone.

    author and message are those of the commit that moved it, "" when none did.
    """

    ref: str
    old: str | None
    new: str | None
    author: str = ""
    message: str = ""


class Created(Struct, frozen=True):
    place: Place


class Deleted(Struct, frozen=True):
    place: Place


class Moved(Struct, frozen=True):
    """place: where it was."""

    place: Place
    to: RepoId


class Configured(Struct, frozen=True):
    """place: as it is now. Only what changed is set."""

    place: Place
    private: bool | None = None
    gated: str | None = None


class Updated(Struct, frozen=True):
    place: Place
    refs: tuple[RefChange, ...]


Change: TypeAlias = Created | Deleted | Moved | Configured | Updated
Listener = Callable[[Connection, Change], None]
"""Called in the change's write transaction; what it raises undoes the change. It must be quick."""
