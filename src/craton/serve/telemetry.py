"""What a server is expected to show of itself: Prometheus metrics, and OpenTelemetry spans where an endpoint is set."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple, Protocol

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, generate_latest

from craton.serve.metering import Record

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from craton.serve.drifting import FieldDrift
    from craton.serve.pool import Pool

_SECONDS = (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0, 60.0, 300.0)


class _ModelMetrics(NamedTuple):
    input: Counter
    output: Counter
    first_token: Histogram


class Metrics:
    """The counters. One registry per server, none global."""

    def __init__(self) -> None:
        self.registry = CollectorRegistry()
        self._http = Counter(
            "craton_http_requests", "Requests answered.", ("dialect", "operation", "status"), registry=self.registry
        )
        self._http_seconds = Histogram(
            "craton_http_request_seconds",
            "Seconds from the request's head to the end of its answer.",
            ("dialect", "operation"),
            buckets=_SECONDS,
            registry=self.registry,
        )
        self._tokens = Counter("craton_tokens", "Tokens read and written.", ("model", "kind"), registry=self.registry)
        self._runs = Counter(
            "craton_model_requests", "Requests that reached a model.", ("model", "status"), registry=self.registry
        )
        self._first_token = Histogram(
            "craton_first_token_seconds",
            "Seconds to the first token.",
            ("model",),
            buckets=_SECONDS,
            registry=self.registry,
        )
        self._loaded = Gauge("craton_models_loaded", "Models in memory.", registry=self.registry)
        self._running = Gauge(
            "craton_model_running", "Requests that a model works on.", ("model",), registry=self.registry
        )
        self._waiting = Gauge(
            "craton_model_waiting", "Requests that wait for a model.", ("model",), registry=self.registry
        )
        about = "Population stability index of live rows against the training rows, since the server started."
        self._drift = Gauge("craton_model_drift_psi", about, ("model", "field"), registry=self.registry)
        about = "Stored blobs that are damaged or missing, and were not repaired."
        self._broken = Gauge("craton_blobs_broken", about, registry=self.registry)

        # Looking labels up costs more than counting, so what was found is kept.
        self._answered: dict[tuple[str, str, int], tuple[Counter, Histogram]] = {}
        self._models: dict[str, _ModelMetrics] = {}

    def broken_blobs(self, count: int) -> None:
        self._broken.set(count)

    def answered(self, dialect: str, operation: str, status: int, seconds: float) -> None:
        found = self._answered.get((dialect, operation, status))
        if found is None:
            counter, histogram = self._http.labels(dialect, operation, str(status)), self._http_seconds
            found = self._answered[dialect, operation, status] = (counter, histogram.labels(dialect, operation))
        found[0].inc()
        found[1].observe(seconds)

    def finished(self, record: Record) -> None:
        if not record.resolved:
            return  # a name that means no model must not become a label: strangers choose those
        self._runs.labels(record.resolved, record.status).inc()
        model = self._models.get(record.resolved) or self._model(record.resolved)
        if record.usage is not None:
            model.input.inc(record.usage.input)
            model.output.inc(record.usage.output)
        if record.first_token_seconds is not None:
            model.first_token.observe(record.first_token_seconds)

    def _model(self, name: str) -> _ModelMetrics:
        model = self._models[name] = _ModelMetrics(
            self._tokens.labels(name, "input"), self._tokens.labels(name, "output"), self._first_token.labels(name)
        )
        return model

    def exposition(self, pool: Pool, drift: Iterable[FieldDrift] = ()) -> bytes:
        """Everything in Prometheus' text format."""
        self._drift.clear()
        for found in drift:
            self._drift.labels(found.model, found.field).set(found.psi)
        workers = pool.loaded()
        self._loaded.set(sum(len(loaded.members) for loaded in workers if not loaded.finishing))
        self._running.clear()
        self._waiting.clear()
        for loaded in workers:  # a model may be in several of them: in other revisions, or finishing what it has begun
            for member in loaded.members.values():
                running, waiting = loaded.admission.of(member.target.adapter)
                self._running.labels(member.target.info.id).inc(running)
                self._waiting.labels(member.target.info.id).inc(waiting)
        return generate_latest(self.registry)


class Finished(Protocol):
    def finished(self, record: Record) -> None: ...


class Fanout:
    """Tells several about each finished record."""

    def __init__(self, listeners: Sequence[Finished]) -> None:
        self._listeners = listeners

    def finished(self, record: Record) -> None:
        for listener in self._listeners:
            listener.finished(record)
