"""Pull requests: a discussion and a ref, refs/pr/N, that its author may commit to, whoever's the repository is.

A merge is one commit on the target: what the request changed since its base, file by file, over what stands there now.
"""

from __future__ import annotations

from collections.abc import Iterable

from msgspec import Struct
from sqlalchemy import Connection

from craton.core.errors import Conflict, Forbidden, InvalidRequest, NotFound, TooLarge
from craton.core.repo import Revision
from craton.hub import rows as hub_rows
from craton.hub.changes import Place
from craton.hub.collaboration import rows
from craton.hub.collaboration.bounds import MAX_TITLE, MIN_TITLE
from craton.hub.collaboration.discussions import Discussions, Said
from craton.hub.collaboration.merging import Merged, merge
from craton.hub.collaboration.patches import write_patch
from craton.hub.collaboration.words import Discussion, Event, Pull, StatusChange
from craton.hub.comparing import Changed, compare
from craton.hub.files import note_files, stored_files
from craton.hub.reaching import Reached
from craton.hub.refs import Refs, full_ref
from craton.hub.repositories import Hub

MAX_CHANGES = 50_000  # files that one merge may look at


class PullChanges(Struct, frozen=True):
    """patch: what `git diff` would say. conflicts: files that the target changed too; none once it is merged."""

    patch: str
    conflicts: list[str]


class PullRequests:
    """Blocking, safe in threads. `who` is the tenant that does it."""

    def __init__(self, hub: Hub, discussions: Discussions) -> None:
        self._hub, self._discussions = hub, discussions
        self._database = hub.database

    def open(
        self, who: str, reached: Reached, title: str, text: str, target: str, *, draft: bool = False, parent: str = ""
    ) -> int:
        """The number N of a new request, whose ref refs/pr/N stands where the target branch does, or at `parent`.

        Raises NotFound when there is no such branch or parent.
        """
        self._discussions.admission.check(who, reached)
        place = Place.of(reached)
        with self._database.write() as connection:
            refs = Refs(connection, place.owner, place.id)
            base = refs.get("branch", target)
            if base is None:
                raise NotFound("revision", target)
            if parent:
                base = hub_rows.resolve(connection, place.owner, place.id, parent)
            opened = self._discussions.open_within(
                connection, who, place, _title(title), text or title, "draft" if draft else "open", Pull(target, base)
            )
            refs.create("pr", str(opened.number), base)
            return opened.number

    def withdraw(self, who: str, reached: Reached, number: int) -> None:
        """Closes a request whose first commit failed."""
        self._discussions.change_status(who, reached, number, "closed")

    def check_commit(self, who: str, reached: Reached, number: int) -> None:
        """May this tenant commit to refs/pr/N? The owner and the request's author may, until it is closed or merged.

        Raises NotFound, Forbidden, Gated, Conflict.
        """
        self._discussions.admission.check(who, reached)
        with self._database.read() as connection:
            found = _find(connection, Place.of(reached), number)
        if not (reached.own or who == found.author):
            raise Forbidden("commit to somebody else's pull request")
        if found.status in ("closed", "merged"):
            raise Conflict("pull request", str(number), f"it is {found.status}")

    def lend(self, who: str, reached: Reached, digests: Iterable[str]) -> None:
        """Gives the owner what the author of a request uploaded, so that a commit to its ref may name it.

        Only what the author has brought in itself: knowing a digest is not enough.
        """
        if reached.own:
            return
        wanted = set(digests)
        with self._database.write() as connection:
            theirs = stored_files(connection, who, wanted)
            missing = wanted - theirs.keys()
            if missing:
                raise InvalidRequest("a file was not uploaded: its bytes are not stored", "files")
            note_files(connection, reached.owner, theirs.values())

    def changes(self, who: str, reached: Reached, number: int, *, patch: bool) -> PullChanges:
        self._discussions.admission.check(who, reached)
        place = Place.of(reached)
        with self._database.read() as connection:
            found = _find(connection, place, number)
            try:
                head = _head(connection, place, found)
                text = write_patch(_compare(connection, place, _pull(found).base, head), self._read) if patch else ""
            except NotFound:  # its ref, or the history it began with, was taken away
                return PullChanges("", [])
            if found.status == "merged":
                return PullChanges(text, [])
            try:
                return PullChanges(text, self._merged(connection, place, found, head)[0].conflicts)
            except NotFound:  # the target branch is gone
                return PullChanges(text, [])

    def merge(self, who: str, reached: Reached, number: int, comment: str, author: str) -> Event:
        """Only the owner may. author: of the commit. Raises Conflict when files conflict or nothing is left to do."""
        if not reached.own:
            raise Forbidden(f"merge into {reached.repo.path}, which belongs to somebody else")
        place = Place.of(reached)
        if comment.strip():
            self._discussions.comment(who, reached, number, comment)
        with self._database.read() as connection:
            found = _find(connection, place, number)
            if found.status != "open":
                raise Conflict("pull request", str(number), f"it is {found.status}; only an open one can be merged")
            merged, base = self._merged(connection, place, found, _head(connection, place, found))
        if merged.conflicts:
            named = ", ".join(merged.conflicts[:5])
            raise Conflict("pull request", str(number), f"{len(merged.conflicts)} files conflict, such as {named}")
        if not merged.operations:
            raise Conflict("pull request", str(number), "it changes nothing that is not there already")
        events: list[Event] = []

        def settle(connection: Connection, revision: Revision) -> None:
            if _find(connection, place, number).status != "open":
                raise Conflict("pull request", str(number), "it was changed in between")
            rows.change(connection, place, number, status="merged", merged=revision.id)
            events.append(
                rows.append(connection, place, number, who, StatusChange("merged"), self._discussions.clock())
            )
            self._discussions.tell(connection, Said(place, rows.find(connection, place, number), new=False))

        self._hub.commit(
            reached.owner,
            reached.repo,
            full_ref("branch", _pull(found).target),
            base,
            merged.operations,
            f"{found.title} (#{number})",
            author,
            beside=settle,
        )
        return events[0]

    def _merged(self, connection: Connection, place: Place, found: Discussion, head: str) -> tuple[Merged, str]:
        """What merging would do, and on which revision of the target."""
        pull = _pull(found)
        target = Refs(connection, place.owner, place.id).get("branch", pull.target)
        if target is None:
            raise NotFound("revision", pull.target)
        ours = {it.path: it for it in _bounded(_compare(connection, place, pull.base, target))}
        return merge(_bounded(_compare(connection, place, pull.base, head)), ours, head), target

    def _read(self, digest: str) -> bytes:
        return b"".join(self._hub.blobs.read(digest))


def _find(connection: Connection, place: Place, number: int) -> Discussion:
    found = rows.find(connection, place, number)
    if found.pull is None:
        raise InvalidRequest(f"discussion {number} is not a pull request", "number")
    return found


def _pull(found: Discussion) -> Pull:
    if found.pull is None:
        raise RuntimeError("a discussion was taken for a pull request")
    return found.pull


def _head(connection: Connection, place: Place, found: Discussion) -> str:
    head = Refs(connection, place.owner, place.id).get("pr", str(found.number))
    if head is None:
        raise NotFound("revision", full_ref("pr", str(found.number)))
    return head


def _compare(connection: Connection, place: Place, before: str, after: str) -> Iterable[Changed]:
    old, new = (hub_rows.find_revision(connection, place.owner, place.id, it).tree for it in (before, after))
    return compare(old, new, hub_rows.fetcher(connection, place.owner, place.id))


def _bounded(changes: Iterable[Changed]) -> Iterable[Changed]:
    for number, change in enumerate(changes):
        if number == MAX_CHANGES:
            raise TooLarge("The changes", MAX_CHANGES, unit="files")
        yield change


def _title(text: str) -> str:
    """A commit's message as a title."""
    line = " ".join("".join(it if it.isprintable() else " " for it in text).split())[:MAX_TITLE].strip()
    return line if len(line) >= MIN_TITLE else f"Pull request: {line}"
