"""A grader behind an address: one POST for a batch.

    {"samples": [{"prompt": ..., "answer": "...", "record": {...}}, ...]}  ->  {"scores": [0.5, ...]}

The same batch carries the same Idempotency-Key, however often it is sent.
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from urllib.parse import urlsplit

import msgspec

from craton.core.errors import InvalidRequest
from craton.training.protocol import Outside
from craton.training.tuning.graders.protocol import Sample, as_score, fault, shown

FIELD = "grader.url"


class HttpGrader:
    def __init__(self, url: str, seconds: float, outside: Outside) -> None:
        """seconds: for a batch, with all that is tried again."""
        parts = urlsplit(url)
        if parts.scheme not in ("http", "https") or not parts.hostname:
            raise InvalidRequest("an address begins with https:// (or http://)", FIELD)
        self._url, self._host, self._seconds, self._outside = url, parts.hostname, seconds, outside

    def grade(self, samples: Sequence[Sample]) -> list[float]:
        asked = [{"prompt": one.prompt, "answer": one.answer, "record": one.record} for one in samples]
        body = msgspec.json.encode({"samples": asked})
        try:
            said = self._outside.post(self._url, body, hashlib.sha256(body).hexdigest(), self._seconds)
        except ConnectionError as error:
            places = f"{samples[0].place} to {samples[-1].place}"
            raise InvalidRequest(f"{self._host} did not grade the records at {places}: {error}", FIELD) from None
        try:
            scores = msgspec.json.decode(said)["scores"]
        except (msgspec.DecodeError, UnicodeDecodeError, RecursionError, KeyError, TypeError):
            text = shown(said.decode("utf-8", "replace"))
            raise InvalidRequest(f'{self._host} answered {text}, not {{"scores": [...]}}', FIELD) from None
        if not isinstance(scores, list) or len(scores) != len(samples):
            count = len(scores) if isinstance(scores, list) else shown(scores)
            raise InvalidRequest(f"{self._host} gave {count} scores for {len(samples)} answers", FIELD)
        return [self._score(found, sample) for found, sample in zip(scores, samples, strict=True)]

    def close(self) -> None: ...

    def _score(self, found: object, sample: Sample) -> float:
        try:
            return as_score(found)
        except ValueError as error:
            raise fault(sample, str(error)) from None
