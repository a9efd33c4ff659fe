"""What the server and the index process say to each other, in the frames of `craton.children.frames`.

Every request names its index by the whole spec, so that a process that was just started needs to be told nothing first.
"""

from __future__ import annotations

from craton.children.frames import Frame, WireError
from craton.index.edge.settings import EdgeSettings
from craton.index.protocol import Found, IndexSpec, Point, Search

# --- from the server ------------------------------------------------------------------------------------------


class Begin(Frame, frozen=True, tag="begin"):
    """The first frame. folder: where the indexes lie."""

    folder: str
    settings: EdgeSettings


class Open(Frame, frozen=True, tag="open"):
    id: int
    spec: IndexSpec


class Upsert(Frame, frozen=True, tag="upsert"):
    id: int
    spec: IndexSpec
    points: tuple[Point, ...]


class Delete(Frame, frozen=True, tag="delete"):
    id: int
    spec: IndexSpec
    ids: tuple[int, ...]


class Look(Frame, frozen=True, tag="look"):
    id: int
    spec: IndexSpec
    search: Search


class Count(Frame, frozen=True, tag="count"):
    id: int
    spec: IndexSpec


class Optimise(Frame, frozen=True, tag="optimise"):
    id: int
    spec: IndexSpec


class Drop(Frame, frozen=True, tag="drop"):
    id: int
    spec: IndexSpec


class Ping(Frame, frozen=True, tag="ping"):
    pass


# --- from the index process -------------------------------------------------------------------------------------


class Ready(Frame, frozen=True, tag="ready"):
    pass


class Refused(Frame, frozen=True, tag="refused"):
    """It cannot begin."""

    error: WireError


class Done(Frame, frozen=True, tag="done"):
    """count: the points, where that was asked."""

    id: int
    count: int = 0


class Seen(Frame, frozen=True, tag="seen"):
    id: int
    found: Found


class Failed(Frame, frozen=True, tag="failed"):
    id: int
    error: WireError


class Pong(Frame, frozen=True, tag="pong"):
    pass


Request = Open | Upsert | Delete | Look | Count | Optimise | Drop
ServerFrame = Begin | Request | Ping
Answer = Done | Seen | Failed
ChildFrame = Ready | Refused | Answer | Pong
