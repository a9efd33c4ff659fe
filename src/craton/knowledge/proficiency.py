"""How well a model answers from passages: measured by a small probe, kept with the model's revision, and held against
a bar. A model that is below it, or that nobody has measured, answers by quoting.

The probe asks 60 questions about short texts, each beside a text about something else: 40 whose answer is there, 20
whose answer is not. The texts are made up, so that no model has read them before.
"""

from __future__ import annotations

import asyncio
import re
from collections.abc import Callable, Sequence
from importlib.resources import files

import msgspec
from msgspec import Struct
from sqlalchemy import delete, insert, select

from craton.core.access import SHARED_TENANT
from craton.core.chat import Sampling
from craton.core.events import fold_stream
from craton.core.knowledge import Location, Passage
from craton.core.model import ModelInfo
from craton.core.streams import closing
from craton.knowledge.answering.models import Calls
from craton.knowledge.answering.prompting import prompt, refuses
from craton.knowledge.grounding.words import fold
from craton.knowledge.tables import proficiencies
from craton.serve.inference import Call, Serving
from craton.store.database import Database

PROBE = "probe.json"
CONTAINED = 0.75
REFUSED = 0.5
WRONGLY_REFUSED = 0.2
"""The bar: so many of the answerable questions must be answered with the right words, so many of the others refused,
and no more than so many refused wrongly. Quoting finds more than CONTAINED of these answers, so less is no gain."""

_ARTICLES = re.compile(r"\b(?:a|an|the)\b")
_PUNCTUATION = re.compile(r"[^\w\s]")


class Proficiency(Struct, frozen=True):
    """Shares of the answerable questions: exact (nothing but the answer), contained, wrongly_refused; refused is of
    those without an answer. questions: how many of both kinds were asked. probe: its version."""

    model: str
    revision: str
    measured: float
    exact: float
    contained: float
    refused: float
    wrongly_refused: float
    questions: int
    probe: str = ""

    @property
    def generates(self) -> bool:
        """Whether answers of this model may be shown instead of quotes."""
        return self.contained >= CONTAINED and self.refused >= REFUSED and self.wrongly_refused <= WRONGLY_REFUSED


class Question(Struct, frozen=True):
    """answers: any of them is right; none: the text does not say."""

    question: str
    answers: tuple[str, ...] = ()


class Text(Struct, frozen=True):
    title: str
    text: str
    questions: tuple[Question, ...]


class Probe(Struct, frozen=True):
    version: str
    texts: tuple[Text, ...]

    def passages(self) -> list[Passage]:
        return [
            Passage(f"probe-{number}", number, text.text, Location("direct", text.title), 1.0, title=text.title)
            for number, text in enumerate(self.texts)
        ]

    def asked(self) -> list[tuple[Question, int]]:
        """Every question with the number of its text."""
        return [(question, number) for number, text in enumerate(self.texts) for question in text.questions]


def load_probe() -> Probe:
    return msgspec.json.decode((files("craton.knowledge") / PROBE).read_bytes(), type=Probe)


class Proficiencies:
    """The figures. A tenant sees its own and those that the operator measured for everybody."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def get(self, tenant: str, info: ModelInfo) -> Proficiency | None:
        """None when this revision was not measured."""
        return await asyncio.to_thread(self._get, tenant, info.id, info.revision)

    async def put(self, tenant: str, proficiency: Proficiency) -> None:
        await asyncio.to_thread(self._put, tenant, proficiency)

    def _get(self, tenant: str, model: str, revision: str) -> Proficiency | None:
        mine = proficiencies.c.tenant.in_([tenant, SHARED_TENANT])
        which = (proficiencies.c.model == model) & (proficiencies.c.revision == revision)
        with self._database.read() as connection:
            rows = dict(
                connection.execute(select(proficiencies.c.tenant, proficiencies.c.value).where(mine & which)).all()
            )
        value = rows.get(tenant) or rows.get(SHARED_TENANT)
        return None if value is None else msgspec.json.decode(value, type=Proficiency)

    def _put(self, tenant: str, measured: Proficiency) -> None:
        key = {"tenant": tenant, "model": measured.model, "revision": measured.revision}
        with self._database.write() as connection:
            same = [proficiencies.c[name] == value for name, value in key.items()]
            connection.execute(delete(proficiencies).where(*same))
            value = msgspec.json.encode(measured).decode()
            connection.execute(insert(proficiencies).values(**key, measured=measured.measured, value=value))


async def measure_proficiency(
    serving: Serving,
    call: Call,
    model: str,
    clock: Callable[[], float],
    *,
    probe: Probe | None = None,
    progress: Callable[[int, int], None] = lambda done, total: None,
) -> Proficiency:
    """Asks the model every question of the probe, one after the other; the caller keeps the figures. progress:
    (questions asked, questions in all). Raises what `Serving.chat` raises."""
    info = await serving.model(call.caller, model)
    probe = probe or load_probe()
    asked, passages, calls = probe.asked(), probe.passages(), Calls(call)
    answers = []
    for done, (question, number) in enumerate(asked):
        progress(done, len(asked))
        beside = passages[(number + 1) % len(passages)]
        found = [passages[number], beside] if done % 2 else [beside, passages[number]]
        request = prompt(model, question.question, found, (), f"{done:08x}", sampling=Sampling(max_tokens=96))
        async with closing(serving.chat(calls.named("probe"), request)) as events:
            answers.append((await fold_stream(events)).choices[0].text())
    progress(len(asked), len(asked))
    return score(info, clock(), probe.version, [question for question, _ in asked], answers)


def score(
    info: ModelInfo, measured: float, version: str, questions: Sequence[Question], answers: Sequence[str]
) -> Proficiency:
    told = [(q, a) for q, a in zip(questions, answers, strict=True) if q.answers]
    untold = [a for q, a in zip(questions, answers, strict=True) if not q.answers]
    return Proficiency(
        model=info.id,
        revision=info.revision,
        measured=measured,
        exact=_share([any(plain(right) == plain(answer) for right in q.answers) for q, answer in told]),
        contained=_share([any(contains(answer, right) for right in q.answers) for q, answer in told]),
        refused=_share([refuses(answer) for answer in untold]),
        wrongly_refused=_share([refuses(answer) for _, answer in told]),
        questions=len(questions),
        probe=version,
    )


def plain(text: str) -> str:
    """Folded, without articles and punctuation, single spaces: answers are compared like this."""
    return " ".join(_ARTICLES.sub(" ", _PUNCTUATION.sub(" ", fold(text))).split())


def contains(answer: str, right: str) -> bool:
    return f" {plain(right)} " in f" {plain(answer)} "


def _share(hits: Sequence[bool]) -> float:
    return sum(hits) / len(hits) if hits else 0.0
