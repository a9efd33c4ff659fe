"""Members by deep, online and transfer learning: each fit is a run of that method within the ensemble's."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, ClassVar

import msgspec

from craton.core.errors import InvalidRequest
from craton.core.predicting import Field
from craton.engines.predictor.protocol import Predictor
from craton.training.data.loading import reads_text
from craton.training.methods.deep.checkpoints import Checkpoints
from craton.training.methods.ensemble.texts import refuse_texts, taken
from craton.training.methods.supervised.learners import Task
from craton.training.methods.within import Shared, Within
from craton.training.protocol import Run, Tables
from craton.training.specification.methods import Ensemble, Member

if TYPE_CHECKING:
    import numpy as np

    Array = np.ndarray[Any, Any]

    from craton.training.methods.estimators import MethodEstimator

OPTIONS = ("train", "base", "tune")
TAKEN = {"deep": ("train",), "online": (), "transfer": OPTIONS}
"""Method -> those of a member's keys that it has."""


class Fits:
    """The fits of one run: each has a folder of its own, by its number. A run that is taken up again counts alike."""

    def __init__(self, run: Run) -> None:
        self._run, self._shared, self._made = run, Shared(), 0

    def next(self) -> Within:
        folder = self._run.folder / "members" / f"{self._made:04}"
        folder.mkdir(parents=True, exist_ok=True)
        self._made += 1
        return Within(folder, self._run, self._shared)


@dataclass(frozen=True, slots=True)
class ByMethod:
    """tables: with the columns that it takes; texts that became vectors are vectors."""

    name: str
    place: int
    estimator: MethodEstimator
    tables: Tables
    fits: Fits
    takes_weights: ClassVar[bool] = False

    def fit(self, places: Array, weights: Array | None = None) -> Predictor:
        """On these training rows. Raises InvalidRequest for what the method cannot do with them."""
        import numpy as np
        from sklearn.base import clone

        target = self.tables.target
        assert target is not None
        rows, run = self.tables.train.iloc[places], self.fits.next()
        answers = np.array(rows[target.name].tolist())
        try:
            made: MethodEstimator = clone(self.estimator).fit(rows[self._names], answers, run=run)
        except InvalidRequest as error:
            raise InvalidRequest(f"{self.name}: {error.reason}", f"members.{self.place}") from error
        Checkpoints(run.folder).remove()  # many fits would fill the disk
        return made.predictor_

    @property
    def rows(self) -> int:
        return len(self.tables.train)

    @property
    def _names(self) -> list[str]:
        return [field.name for field in self.tables.fields]


def by_method(member: Member, place: int, spec: Ensemble, task: Task, tables: Tables, fits: Fits) -> ByMethod:
    """Raises InvalidRequest."""
    from craton.training.methods.estimators import MethodClassifier, MethodRegressor

    given = {name: value for name in OPTIONS if (value := getattr(member, name)) is not None}
    for name in given:
        if name not in TAKEN[member.method]:
            raise InvalidRequest(f"{member.method} has no such key", f"members.{place}.{name}")
    if (member.method, member.use) == ("transfer", "contrastive"):
        raise InvalidRequest("'contrastive' tunes an encoder and predicts nothing", f"members.{place}.use")
    fields = taken(member, place, tables.fields)
    if not reads_text(member.method, member.use):
        refuse_texts(fields, place)
    fields = tuple(_as_vector(one) for one in fields)
    kind = MethodClassifier if task == "classification" else MethodRegressor
    options = msgspec.to_builtins(given)
    made = kind(member.method, member.use, member.params, options, fields, random_state=spec.seed)
    alike = sum((other.method, other.use) == (member.method, member.use) for other in spec.members)
    name = f"{member.method} {member.use}" + ("" if alike == 1 else f" ({place})")
    return ByMethod(name, place, made, replace(tables, fields=fields), fits)


def _as_vector(field: Field) -> Field:
    """A text was embedded before its members see it."""
    return Field(field.name, "vector", field.nullable, shape=field.shape) if field.embedder else field
