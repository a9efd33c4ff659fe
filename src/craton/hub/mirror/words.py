"""An upstream hub as the operator configured it, and what it says of a repository."""

from __future__ import annotations

from fnmatch import fnmatchcase
from typing import Protocol

from msgspec import Struct

from craton.core.access import STRANGER
from craton.core.repo import RepoId, RepoKind
from craton.hub.reaching import MIRRORED


class Upstream(Struct, frozen=True):
    """name: the operator's for it. allow: patterns of namespace/name. tenants: who may use it; none named: everybody.

    gated: whether repositories that the operator's token opens (gated and private ones) are served, to those tenants.
    fresh: seconds for which a branch is believed to point where it did. keeper: the tenant who fetches for himself:
    what comes is his own, and comes whole.
    """

    name: str
    endpoint: str
    allow: tuple[str, ...] = ()
    kinds: tuple[RepoKind, ...] = ("model", "dataset", "space")
    tenants: tuple[str, ...] = ()
    gated: bool = False
    fresh: float = 60.0
    keeper: str = ""

    def serves(self, tenant: str) -> bool:
        """Strangers may read what is here and shared, but have nothing fetched."""
        return tenant != STRANGER and (not self.tenants or tenant in self.tenants)

    def allows(self, kind: RepoKind, path: str) -> bool:
        """path: namespace/name, or a name alone as upstream's oldest repositories have it ("gpt2")."""
        return kind in self.kinds and any(fnmatchcase(path, pattern) for pattern in self.allow)

    def owner(self, restricted: bool) -> str:
        """Whose the mirrored repositories are: of each upstream another's, and what only a token opens apart. So who
        may see them is one condition, and knowing a hash at one upstream grants nothing of another."""
        return self.keeper or f"{MIRRORED}{self.name}{':gated' if restricted else ''}"

    def owners(self) -> tuple[str, ...]:
        """Those whose repositories are served."""
        return tuple(
            dict.fromkeys(self.owner(restricted) for restricted in ((False, True) if self.gated else (False,)))
        )

    @property
    def source(self) -> str:
        """As the author of what comes from there."""
        return self.endpoint.partition("://")[2]


class Located(Struct, frozen=True):
    """Where a mirrored revision stands here."""

    owner: str
    repo: RepoId
    commit: str


class Watch(Protocol):
    """Is told how much is to come, and what has come."""

    def expect(self, size: int) -> None: ...

    def arrived(self, size: int) -> None: ...


class Unwatched:
    def expect(self, size: int) -> None:
        """Nobody looks."""

    def arrived(self, size: int) -> None:
        """Nobody looks."""


class Seen(Struct, frozen=True):
    """A revision as upstream knows it. repo: as it is called there now. modified: seconds since the epoch."""

    repo: RepoId
    commit: str
    private: bool
    gated: bool
    modified: float

    @property
    def restricted(self) -> bool:
        """Only a token opens it."""
        return self.private or self.gated


class RemoteFile(Struct, frozen=True):
    """sha256: None for what git keeps itself. git_oid: of the bytes, or of the pointer to them."""

    path: str
    size: int
    git_oid: str
    sha256: str | None = None
