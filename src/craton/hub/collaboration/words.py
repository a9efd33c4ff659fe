"""The words of discussions and pull requests. People are named by their tenant; times are seconds since the epoch."""

from __future__ import annotations

from typing import Literal

from msgspec import Struct

Status = Literal["draft", "open", "closed", "merged"]
"""Only a pull request is ever a draft or merged."""


class Pull(Struct, frozen=True):
    """target: the branch it is for; base: where that stood when it was opened; merged: the commit that merged it."""

    target: str
    base: str
    merged: str | None = None


class Discussion(Struct, frozen=True):
    """pull: what makes it a pull request, or None."""

    number: int
    author: str
    title: str
    status: Status
    created: float
    comments: int
    pull: Pull | None


class Version(Struct, frozen=True):
    """What a comment said before an edit."""

    text: str
    editor: str
    written: float


class Comment(Struct, frozen=True, tag="comment", omit_defaults=True):
    """text: Markdown, "" once it is hidden. edits: how many there were, of which history keeps the latest."""

    text: str
    editor: str
    written: float
    edits: int = 0
    history: tuple[Version, ...] = ()
    hidden_by: str = ""


class StatusChange(Struct, frozen=True, tag="status-change"):
    status: Status


class Pushed(Struct, frozen=True, tag="commit"):
    """A commit on a pull request's ref. subject: its message's first line."""

    oid: str
    subject: str


class TitleChange(Struct, frozen=True, tag="title-change"):
    old: str
    new: str


Content = Comment | StatusChange | Pushed | TitleChange


class Event(Struct, frozen=True):
    id: str
    author: str
    created: float
    content: Content


class Filter(Struct, frozen=True):
    """status "open" has drafts too, "closed" what was merged."""

    pulls: bool | None = None
    status: Literal["open", "closed"] | None = None
    author: str | None = None


class Found(Struct, frozen=True):
    """A page of discussions, newest first. total: of all that match."""

    discussions: list[Discussion]
    start: int
    total: int
