"""From a document (YAML, or JSON) to a specification. What is not known is refused with the nearest known word."""

from __future__ import annotations

import re
from collections.abc import Iterator
from types import UnionType
from typing import Any, Union, get_args, get_origin, get_type_hints

import msgspec
import yaml
from msgspec import Struct

from craton.core.errors import InvalidRequest, TooLarge
from craton.core.repo import RepoId
from craton.hub.names import check_repo
from craton.training.specification.gates import read_gate
from craton.training.specification.limits import check_ranges
from craton.training.specification.methods import (
    Classification,
    Clustering,
    Reduction,
    Regression,
    Reinforcement,
    Specification,
    Topics,
)
from craton.training.specification.names import FAIRNESS_METRICS, LEARNERS, METRICS
from craton.training.specification.suggesting import did_you_mean, unknown
from craton.training.specification.tuning import Tuned, Tuning

MAX_BYTES = 1 << 20
_Loader = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
_UNKNOWN = re.compile(r"Object contains unknown field `(?P<word>.*?)`")
_PLACE = re.compile(r"(?s)^(?P<what>.*?)(?: - at `\$\.?(?P<path>.*?)`)?$")


def methods() -> dict[str, type[Struct]]:
    """What `method` may be -> its structure."""
    return {str(kind.__struct_config__.tag): kind for kind in (*get_args(Specification), *get_args(Tuning))}


def method_of(spec: Specification | Tuned) -> str:
    """ "classification"."""
    return str(type(spec).__struct_config__.tag)


def parse(text: bytes | str) -> Any:
    """The document of a file, YAML or JSON. Raises InvalidRequest, TooLarge."""
    if len(text) > MAX_BYTES:
        raise TooLarge("a specification", MAX_BYTES, len(text))
    try:
        return yaml.load(text, Loader=_Loader)
    except (yaml.YAMLError, ValueError, RecursionError) as error:
        mark = getattr(error, "problem_mark", None)
        line = f" (line {mark.line + 1})" if mark is not None else ""
        raise InvalidRequest(f"the specification is neither YAML nor JSON{line}") from error


def is_tuning(document: Any) -> bool:
    """Whether its method makes a foundation model one's own."""
    kind = methods().get(str(document.get("method"))) if isinstance(document, dict) else None
    return kind is not None and issubclass(kind, Tuned)


def read_any(document: Any) -> Specification | Tuned:
    """Raises InvalidRequest: `field` is the place in the document, the reason names the nearest known word."""
    if not isinstance(document, dict):
        raise InvalidRequest("a specification is a mapping that begins with its method")
    known = methods()
    method = document.get("method")
    if method not in known:
        named = unknown("method", str(method), known) if method is not None else f"is one of {', '.join(known)}"
        raise InvalidRequest(named, "method")
    try:
        spec: Specification | Tuned = msgspec.convert(document, Tuning if is_tuning(document) else Specification)
    except msgspec.ValidationError as error:
        raise _explained(error, known[method]) from error
    check_tuning(spec) if isinstance(spec, Tuned) else check(spec)
    return spec


def read(document: Any) -> Specification:
    """Of the methods that learn from tables, or in an environment. Raises InvalidRequest."""
    spec = read_any(document)
    if isinstance(spec, Tuned):
        raise InvalidRequest("this method tunes a language model", "method")
    return spec


def read_tuning(document: Any) -> Tuned:
    """Raises InvalidRequest."""
    spec = read_any(document)
    if not isinstance(spec, Tuned):
        raise InvalidRequest("this method tunes no language model", "method")
    return spec


def check_tuning(spec: Tuned) -> None:
    """What the structures alone cannot say. Raises InvalidRequest."""
    check_ranges(spec)
    read_gate(spec.eval.gate)
    if spec.output.model:
        output_repo(spec)


def check(spec: Specification) -> None:
    """The same, of a method that learns from tables. Raises InvalidRequest."""
    method = method_of(spec)
    use, known = spec.model.use, LEARNERS.get(method)
    if known is not None and use not in known:
        raise InvalidRequest(unknown("learner", use, known), "model.use")
    names = METRICS.get(method)
    gate = read_gate(spec.eval.gate)
    if names is not None:
        asked = dict.fromkeys(spec.eval.metrics or (), "eval.metrics")
        if not isinstance(spec, Reinforcement) and spec.data.sensitive:
            names = (*names, *FAIRNESS_METRICS)
        for name, place in (asked | ({gate.metric: "eval.gate"} if gate else {})).items():
            if name not in names:
                raise InvalidRequest(unknown("metric", name, names), place)
    if spec.output.model:
        output_repo(spec)
    if not isinstance(spec, Reinforcement):
        split = spec.data.split
        if split is not None and not (0 <= split.test < 1 and 0 <= split.validation < 1):
            raise InvalidRequest("shares of all rows: from 0 to less than 1", "data.split")
        if split is not None and split.test + split.validation >= 1:
            raise InvalidRequest("leaves no rows to train on", "data.split")
        if split is not None and split.by == "group" and not split.column:
            raise InvalidRequest("by 'group' needs the column whose values stay together", "data.split.column")
    if isinstance(spec, Classification | Regression) and spec.data.target is None:
        raise InvalidRequest(f"{method} needs the column that is to be predicted", "data.target")
    if isinstance(spec, Clustering | Reduction | Topics) and spec.data.target is not None:
        raise InvalidRequest(f"{method} has no target: list it under 'drop' to leave it out", "data.target")


def output_repo(spec: Specification | Tuned) -> RepoId:
    """The repository that gets the result. Raises InvalidRequest."""
    namespace, slash, name = spec.output.model.partition("/")
    if not slash:
        raise InvalidRequest(f"{spec.output.model!r} is no model's name: namespace/name", "output.model")
    repo = RepoId("model", namespace, name)
    check_repo(repo)
    return repo


def document_of(spec: Specification | Tuned) -> dict[str, Any]:
    """The specification as JSON, without what is as it would be anyway."""
    document: dict[str, Any] = msgspec.to_builtins(spec)
    return document


def _explained(error: msgspec.ValidationError, root: type[Struct]) -> InvalidRequest:
    found = _PLACE.match(str(error))
    assert found is not None
    what, path = found["what"], found["path"] or ""
    word = _UNKNOWN.match(what)
    if word is None:
        return InvalidRequest(_lower(what), path)
    known = {name for kind in _structs_at(root, path) for name in _hints(kind)}
    place = f"{path}.{word['word']}" if path else word["word"]
    hint = did_you_mean(word["word"], known | ({"method"} if not path else set()))
    return InvalidRequest("this key is not known" + (f"; {hint}" if hint else ""), place)


def _structs_at(root: type[Struct], path: str) -> Iterator[type[Struct]]:
    """The structures that a mapping at this place can be ("data.split", "members[...]")."""
    kinds: list[Any] = [root]
    for name in re.findall(r"[^.\[\]]+", path):
        if name != "..." and not name.isdecimal():
            kinds = [_hints(kind)[name] for kind in kinds if _is_struct(kind) and name in _hints(kind)]
        kinds = [inner for kind in kinds for inner in _unfolded(kind)]
    yield from (kind for kind in kinds if _is_struct(kind))


def _unfolded(kind: Any) -> list[Any]:
    """Optional and list types -> what is in them."""
    if get_origin(kind) in {Union, UnionType, list, tuple}:
        return [inner for part in get_args(kind) for inner in _unfolded(part)]
    return [kind]


def _hints(kind: type[Struct]) -> dict[str, Any]:
    return get_type_hints(kind)


def _is_struct(kind: Any) -> bool:
    return isinstance(kind, type) and issubclass(kind, Struct)


def _lower(sentence: str) -> str:
    return sentence[:1].lower() + sentence[1:]
