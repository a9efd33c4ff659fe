"""Discussions: whoever sees a repository may open and comment on them; its owner and a discussion's author keep them.

A pull request is a discussion with a ref to commit to: `pulls.PullRequests` does what only they have.
"""

from __future__ import annotations

from collections.abc import Callable

from msgspec import Struct
from msgspec.structs import replace
from sqlalchemy import Connection

from craton.core.errors import Conflict, Forbidden, InvalidRequest
from craton.hub.admission import Admission
from craton.hub.changes import Place
from craton.hub.collaboration import rows
from craton.hub.collaboration.bounds import MAX_HISTORY, check_text, check_title
from craton.hub.collaboration.words import (
    Comment,
    Content,
    Discussion,
    Event,
    Filter,
    Found,
    Pull,
    Status,
    StatusChange,
    TitleChange,
    Version,
)
from craton.hub.reaching import Reached
from craton.store.database import Database

PAGE = 50
MAX_PAGE_INDEX = 100_000


class Said(Struct, frozen=True):
    """What others are told: a discussion was opened (new) or changed; or a comment was, when there is one."""

    place: Place
    discussion: Discussion
    new: bool
    comment: Event | None = None


Tell = Callable[[Connection, Said], None]
"""Called in the transaction that makes it so."""


class Discussions:
    """Blocking, safe in threads. `who` is the tenant that does it. Others than a gated repository's owner must have
    been let in (Gated): discussions quote its files."""

    def __init__(self, database: Database, admission: Admission, clock: Callable[[], float], tell: Tell) -> None:
        self.database, self.admission, self.clock, self.tell = database, admission, clock, tell

    def open(self, who: str, reached: Reached, title: str, text: str) -> Discussion:
        self.admission.check(who, reached)
        with self.database.write() as connection:
            return self.open_within(connection, who, Place.of(reached), title, text, "open", None)

    def open_within(
        self, connection: Connection, who: str, place: Place, title: str, text: str, status: Status, pull: Pull | None
    ) -> Discussion:
        """`open` as a part of the caller's transaction."""
        now = self.clock()
        text = check_text(text, "description")
        opened = rows.add(connection, place, who, check_title(title), status, now, pull)
        first = rows.append(connection, place, opened.number, who, Comment(text, who, now), now)
        self.tell(connection, Said(place, opened, new=True, comment=first))
        return rows.find(connection, place, opened.number)

    def get(self, who: str, reached: Reached, number: int) -> tuple[Discussion, list[Event]]:
        self.admission.check(who, reached)
        place = Place.of(reached)
        with self.database.read() as connection:
            return rows.find(connection, place, number), list(rows.all_events(connection, place, number))

    def comment(self, who: str, reached: Reached, number: int, text: str) -> Event:
        self.admission.check(who, reached)
        place = Place.of(reached)
        with self.database.write() as connection:
            found = rows.find(connection, place, number)
            return self._comment(connection, who, place, found, text)

    def _comment(self, connection: Connection, who: str, place: Place, found: Discussion, text: str) -> Event:
        now = self.clock()
        event = rows.append(connection, place, found.number, who, Comment(check_text(text), who, now), now)
        self.tell(connection, Said(place, found, new=True, comment=event))
        return event

    def edit(self, who: str, reached: Reached, number: int, event: str, text: str) -> Event:
        """Only the comment's author may."""
        text = check_text(text, "content")

        def edited(old: Comment, author: str) -> Comment:
            if who != author:
                raise Forbidden("edit what somebody else wrote")
            history = (*old.history, Version(old.text, old.editor, old.written))[-MAX_HISTORY:]
            return replace(old, text=text, editor=who, written=self.clock(), edits=old.edits + 1, history=history)

        return self._rewrite(who, reached, number, event, edited)

    def hide(self, who: str, reached: Reached, number: int, event: str) -> Event:
        """The comment's author and the repository's owner may. What it said is gone for good."""

        def hidden(old: Comment, author: str) -> Comment:
            if who != author and not reached.own:
                raise Forbidden("hide what somebody else wrote")
            return replace(old, text="", history=(), hidden_by=who)

        return self._rewrite(who, reached, number, event, hidden)

    def _rewrite(
        self, who: str, reached: Reached, number: int, event: str, change: Callable[[Comment, str], Comment]
    ) -> Event:
        self.admission.check(who, reached)
        place = Place.of(reached)
        with self.database.write() as connection:
            discussion = rows.find(connection, place, number)
            found = rows.find_event(connection, place, number, event)
            if not isinstance(found.content, Comment):
                raise InvalidRequest("it is not a comment", "comment")
            if found.content.hidden_by:
                raise Conflict("comment", event, "it is hidden")
            changed = replace(found, content=change(found.content, found.author))
            rows.rewrite(connection, place, number, event, changed.content)
            self.tell(connection, Said(place, discussion, new=False, comment=changed))
            return changed

    def rename(self, who: str, reached: Reached, number: int, title: str) -> Event:
        title = check_title(title)

        def renamed(connection: Connection, place: Place, found: Discussion) -> Content:
            if found.title == title:
                raise Conflict("discussion", str(number), "it has this title already")
            rows.change(connection, place, number, title=title)
            return TitleChange(found.title, title)

        return self._change(who, reached, number, "", renamed)

    def change_status(self, who: str, reached: Reached, number: int, status: Status, comment: str = "") -> Event:
        """Opens or closes it; a draft that is opened is one no longer."""
        if status not in ("open", "closed"):
            raise InvalidRequest('use "open" or "closed"', "status")

        def changed(connection: Connection, place: Place, found: Discussion) -> Content:
            if found.status in (status, "merged"):
                raise Conflict("discussion", str(number), f"it is {found.status} already")
            rows.change(connection, place, number, status=status)
            return StatusChange(status)

        return self._change(who, reached, number, comment, changed)

    def _change(
        self,
        who: str,
        reached: Reached,
        number: int,
        comment: str,
        change: Callable[[Connection, Place, Discussion], Content],
    ) -> Event:
        """What the owner and the author may. comment: said before it, "" for none."""
        self.admission.check(who, reached)
        place = Place.of(reached)
        with self.database.write() as connection:
            found = rows.find(connection, place, number)
            if not (reached.own or who == found.author):
                raise Forbidden("change what somebody else opened")
            if comment.strip():
                self._comment(connection, who, place, found, comment)
            content = change(connection, place, found)
            event = rows.append(connection, place, number, who, content, self.clock())
            self.tell(connection, Said(place, rows.find(connection, place, number), new=False))
            return event

    def list(self, who: str, reached: Reached, asked: Filter, page: int) -> Found:
        """page: from 0, of PAGE discussions."""
        self.admission.check(who, reached)
        if not 0 <= page <= MAX_PAGE_INDEX:
            raise InvalidRequest("there is no such page", "p")
        with self.database.read() as connection:
            found, total = rows.page(connection, Place.of(reached), asked, page * PAGE, PAGE)
        return Found(found, page * PAGE, total)
