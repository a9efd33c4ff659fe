"""OpenTelemetry spans in the GenAI semantic conventions, exported only when OTEL_EXPORTER_OTLP_ENDPOINT is set.

https://opentelemetry.io/docs/specs/semconv/gen-ai/gen-ai-spans/
"""

from __future__ import annotations

import threading
from collections.abc import Mapping
from typing import TYPE_CHECKING

from craton.core.chat import ChatRequest
from craton.core.errors import Unsupported
from craton.core.model import ClassifyRequest, FillRequest, NextRequest
from craton.serve.metering import Record
from craton.serve.predicting import AskedRows

if TYPE_CHECKING:
    from opentelemetry.sdk.trace import TracerProvider

CLOSE_SECONDS = 3.0  # to send what is left; a collector that is gone must not hold up the end
MAX_NAME = 512  # characters kept of a model's name, which the caller chose
_ENDPOINTS = ("OTEL_EXPORTER_OTLP_ENDPOINT", "OTEL_EXPORTER_OTLP_TRACES_ENDPOINT")


class Spans:
    """One span a request; prompts and answers are never put into it."""

    def __init__(self, provider: TracerProvider) -> None:
        self._provider = provider
        self._tracer = provider.get_tracer("craton")

    @classmethod
    def from_environment(cls, environment: Mapping[str, str]) -> Spans | None:
        """None when no endpoint is set. Raises Unsupported when one is, but the extra is not installed."""
        if not any(environment.get(name) for name in _ENDPOINTS):
            return None
        try:
            from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
            from opentelemetry.sdk.resources import Resource
            from opentelemetry.sdk.trace import TracerProvider
            from opentelemetry.sdk.trace.export import BatchSpanProcessor
        except ImportError as error:
            raise Unsupported(
                "Exporting OpenTelemetry spans without its libraries", "Install them: pip install 'craton[telemetry]'"
            ) from error

        provider = TracerProvider(
            resource=Resource.create({"service.name": environment.get("OTEL_SERVICE_NAME", "craton")}),
            shutdown_on_exit=False,
        )
        provider.add_span_processor(BatchSpanProcessor(OTLPSpanExporter()))
        return cls(provider)

    def finished(self, record: Record) -> None:
        from opentelemetry.trace import SpanKind, Status, StatusCode

        operation = _operation(record)
        span = self._tracer.start_span(
            f"{operation} {record.resolved or record.model[:MAX_NAME]}",
            kind=SpanKind.SERVER,
            start_time=int(record.started * 1e9),
            attributes=_attributes(record, operation),
        )
        if record.status == "error":
            span.set_status(Status(StatusCode.ERROR))
        span.end(end_time=int((record.started + record.seconds) * 1e9))

    def close(self) -> None:
        """Sends what is left, for CLOSE_SECONDS at most."""
        closing = threading.Thread(target=self._provider.shutdown, daemon=True)
        closing.start()
        closing.join(CLOSE_SECONDS)


def _operation(record: Record) -> str:
    """As the GenAI conventions name it; they have no words for labels, masks and rows."""
    if isinstance(record.request, ChatRequest):
        return "chat"
    if isinstance(record.request, ClassifyRequest):
        return "classify"
    if isinstance(record.request, AskedRows):
        return record.request.verb
    if isinstance(record.request, NextRequest):
        return "next"
    return "fill" if isinstance(record.request, FillRequest) else "embeddings"


def _attributes(record: Record, operation: str) -> dict[str, str | int | float | list[str]]:
    attributes: dict[str, str | int | float | list[str] | None] = {
        "gen_ai.operation.name": operation,
        "gen_ai.provider.name": f"craton.{record.engine}" if record.engine else "craton",
        "gen_ai.request.model": record.model[:MAX_NAME],
        "gen_ai.response.model": record.resolved or None,
        "gen_ai.response.id": record.id,
        "gen_ai.response.finish_reasons": [record.stop] if record.stop else None,
        "gen_ai.usage.input_tokens": record.usage.input if record.usage else None,
        "gen_ai.usage.output_tokens": record.usage.output if record.usage else None,
        "error.type": record.error or None,
        "craton.tenant": record.tenant,
        "craton.dialect": record.dialect,
        "craton.operation": record.operation,
        "craton.status": record.status,
    }
    if isinstance(record.request, ChatRequest):
        sampling = record.request.sampling
        attributes |= {
            "gen_ai.request.max_tokens": sampling.max_tokens,
            "gen_ai.request.temperature": sampling.temperature,
            "gen_ai.request.top_p": sampling.top_p,
            "gen_ai.request.top_k": sampling.top_k,
            "gen_ai.request.seed": sampling.seed,
        }
    return {name: value for name, value in attributes.items() if value is not None}
