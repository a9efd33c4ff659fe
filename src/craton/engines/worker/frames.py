"""What a server and a worker say to each other, in the frames of `craton.children.frames`."""

from __future__ import annotations

from msgspec import field

from craton.children.frames import Frame, WireError
from craton.core.chat import ChatRequest
from craton.core.events import Event
from craton.core.model import Capabilities, EmbedAnswer, EmbedRequest, ScoreAnswer, ScoreRequest
from craton.core.predicting import PredictAnswer, PredictorRequest
from craton.engines.protocol import EngineSpec

# --- from the server to the worker --------------------------------------------------------------------------


class Load(Frame, frozen=True, tag="load"):
    """The first frame. window: how many events of one chat may be under way before the server gave credit for more."""

    spec: EngineSpec
    window: int


class Chat(Frame, frozen=True, tag="chat"):
    id: int
    request: ChatRequest


class Embed(Frame, frozen=True, tag="embed"):
    id: int
    request: EmbedRequest


class Score(Frame, frozen=True, tag="score"):
    id: int
    request: ScoreRequest


class Predict(Frame, frozen=True, tag="predict"):
    id: int
    request: PredictorRequest


class Count(Frame, frozen=True, tag="count"):
    id: int
    request: ChatRequest


class Credit(Frame, frozen=True, tag="credit"):
    """The caller has taken this many events of chat `id`."""

    id: int
    events: int


class Cancel(Frame, frozen=True, tag="cancel"):
    """Nobody waits for `id` any more. It is not answered."""

    id: int


class Ping(Frame, frozen=True, tag="ping"):
    pass


# --- from the worker to the server --------------------------------------------------------------------------


class Ready(Frame, frozen=True, tag="ready"):
    """refused: by key, what is wrong with adapters that are not there."""

    capabilities: Capabilities
    refused: dict[str, WireError] = field(default_factory=dict)


class LoadFailed(Frame, frozen=True, tag="load_failed"):
    error: WireError


class Events(Frame, frozen=True, tag="events"):
    """More of chat `id`; done: all of it."""

    id: int
    events: tuple[Event, ...]
    done: bool = False


class Embedded(Frame, frozen=True, tag="embedded"):
    id: int
    answer: EmbedAnswer


class Scored(Frame, frozen=True, tag="scored"):
    id: int
    answer: ScoreAnswer


class Predicted(Frame, frozen=True, tag="predicted"):
    id: int
    answer: PredictAnswer


class Counted(Frame, frozen=True, tag="counted"):
    id: int
    tokens: int


class Failed(Frame, frozen=True, tag="failed"):
    id: int
    error: WireError


class Pong(Frame, frozen=True, tag="pong"):
    pass


ServerFrame = Load | Chat | Embed | Score | Predict | Count | Credit | Cancel | Ping
WorkerFrame = Ready | LoadFailed | Events | Embedded | Scored | Predicted | Counted | Failed | Pong
