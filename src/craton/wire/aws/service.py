"""The server's side of botocore's service models, for the protocol rest-json: requests read, replies written.

Every operation's shapes are compiled once, when the operation is first used (`reading`, `writing`).
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Mapping
from functools import cached_property
from typing import Any
from urllib.parse import parse_qs

from msgspec.json import encode

from craton.core.errors import InvalidRequest, Unsupported
from craton.wire.aws import eventstream
from craton.wire.aws.model import OperationModel, ServiceModel, Shape
from craton.wire.aws.reading import Decoders
from craton.wire.aws.scalars import ConstraintViolated, from_text
from craton.wire.aws.writing import Encoders, to_text
from craton.wire.http import Reply, Request, decode_json

MAX_QUERY_FIELDS = 256

_EMPTY = Shape(type="structure")
_Located = list[tuple[str, str, Callable[[Any], Any]]]
"""Members outside the body: name on the wire, name in the model, reader."""


class Operation:
    """One operation of one service."""

    def __init__(self, model: ServiceModel, operation: OperationModel, decoders: Decoders, encoders: Encoders) -> None:
        self._shapes = model.shapes
        self._decoders, self._encoders = decoders, encoders
        self._input = model.shapes[operation.input.shape] if operation.input else _EMPTY
        self._output = model.shapes[operation.output.shape] if operation.output else _EMPTY
        self._status = operation.http.status
        self.service, self.name = model.name, operation.name
        self.method, self.pattern = operation.http.method, operation.http.uri
        self.readonly = operation.readonly
        self.errors = frozenset(error.shape for error in operation.errors)

    # --- requests -------------------------------------------------------------------------------------------

    def parse(self, request: Request) -> dict[str, Any]:
        """The input as boto3's users write it: blobs are bytes, timestamps aware datetimes.

        Raises InvalidRequest (ConstraintViolated with the member's path where one member is to blame).
        """
        result = self._read_body(request.body)
        uri, query, header = self._located
        result |= _read_located(uri, request.params)
        if query and request.query:
            result |= _read_located(query, _query_of(request))
        if header:
            result |= _read_located(header, request.headers)
        for name in self._input.required:
            if name not in result:
                raise ConstraintViolated("Member must not be null", name)
        return result

    @cached_property
    def _located(self) -> tuple[_Located, _Located, _Located]:
        """Members in the path, the query and the headers."""
        found: dict[str, _Located] = {"uri": [], "querystring": [], "header": []}
        for name, ref in self._input.members.items():
            if not ref.location:
                continue
            shape, wire_name = self._shapes[ref.shape], ref.location_name or name
            if ref.location == "header":
                wire_name = wire_name.lower()
            if shape.type == "list" and ref.location == "querystring":
                found["querystring"].append((wire_name, name, self._decoders.of(ref)))
                continue
            if ref.location not in found or shape.type in ("list", "map", "structure"):
                raise Unsupported(f"{self.name} with {name!r} as a {shape.type} in {ref.location}")
            read = from_text(shape, self._decoders.of(ref))
            found[ref.location].append((wire_name, name, _last(read) if ref.location == "querystring" else read))
        return found["uri"], found["querystring"], found["header"]

    @cached_property
    def _read_body(self) -> Callable[[bytes], dict[str, Any]]:
        payload = self._input.payload
        if not payload:
            names = [name for name, ref in self._input.members.items() if not ref.location]
            fields = self._decoders.fields(self._input, names)
            return (lambda body: fields(decode_json(body) if body else {})) if names else (lambda _body: {})
        ref = self._input.members[payload]
        shape = self._shapes[ref.shape]
        if shape.eventstream:
            raise Unsupported(f"{self.name} (a stream of events as input)")
        if shape.type == "blob":
            return lambda body: {payload: body} if body else {}
        decode = self._decoders.of(ref)

        def read(body: bytes) -> dict[str, Any]:
            try:
                return {payload: decode(decode_json(body))} if body else {}
            except ConstraintViolated as violation:
                raise violation.under(payload) from None

        return read

    # --- replies --------------------------------------------------------------------------------------------

    def write(self, output: dict[str, Any]) -> Reply:
        """A whole answer. output: as boto3's users will see it, without ResponseMetadata."""
        headers, body = self._write_headers(output), {k: v for k, v in output.items() if k in self._body_members}
        payload = self._output.payload
        if not payload:
            headers["content-type"] = "application/json"
            return Reply(self._status, encode(self._encode_body(body)), headers)
        value = output.get(payload)
        if self._shapes[self._output.members[payload].shape].type in ("blob", "string"):
            return Reply(self._status, value.encode() if isinstance(value, str) else value or b"", headers)
        headers["content-type"] = "application/json"
        return Reply(self._status, encode(self._encode_body(body).get(payload, {})), headers)

    def write_stream(self, output: dict[str, Any], frames: AsyncIterator[bytes]) -> Reply:
        """A streamed answer: the members of output stand in headers, the frames come from `event` and `exception`."""
        return Reply(self._status, frames, {"content-type": eventstream.CONTENT_TYPE, **self._write_headers(output)})

    def event(self, name: str, value: dict[str, Any]) -> bytes:
        """One event of this operation's stream, framed."""
        headers, encode_event = self._events[name]
        return eventstream.frame(headers, encode(encode_event(value)))

    def exception(self, name: str, message: str) -> bytes:
        """An error that ends the stream, framed. name: one of `stream_exceptions`."""
        headers, _ = self._events[name]
        return eventstream.frame(headers, encode({"message": message}))

    @cached_property
    def stream_exceptions(self) -> frozenset[str]:
        """The exceptions that this operation's stream may end with ("throttlingException" ...)."""
        members = self._event_stream.members
        return frozenset(name for name, ref in members.items() if self._shapes[ref.shape].exception)

    @cached_property
    def _event_stream(self) -> Shape:
        return self._shapes[self._output.members[self._output.payload].shape]

    @cached_property
    def _events(self) -> dict[str, tuple[bytes, Callable[[Any], Any]]]:
        events = {}
        for name, ref in self._event_stream.members.items():
            shape = self._shapes[ref.shape]
            if any(member.event_header or member.event_payload for member in shape.members.values()):
                raise Unsupported(f"{self.name} (its event {name!r} has parts outside its JSON)")
            headers = eventstream.exception_headers(name) if shape.exception else eventstream.event_headers(name)
            events[name] = headers, self._encoders.of(ref)
        return events

    @cached_property
    def _body_members(self) -> frozenset[str]:
        return frozenset(self._output.members) - self._header_members.keys()

    @cached_property
    def _header_members(self) -> dict[str, str]:
        members = self._output.members
        return {name: ref.location_name.lower() for name, ref in members.items() if ref.location == "header"}

    @cached_property
    def _encode_body(self) -> Callable[[dict[str, Any]], dict[str, Any]]:
        return self._encoders.fields(self._output, list(self._body_members))

    def _write_headers(self, output: dict[str, Any]) -> dict[str, str]:
        unknown = output.keys() - self._output.members.keys()
        if unknown:
            raise TypeError(f"{self.name} has no output members {sorted(unknown)}")
        return {
            wire_name: to_text(output[name])
            for name, wire_name in self._header_members.items()
            if output.get(name) is not None
        }


def _read_located(members: _Located, source: Mapping[str, Any]) -> dict[str, Any]:
    result = {}
    for wire_name, name, read in members:
        if wire_name in source:
            try:
                result[name] = read(source[wire_name])
            except ConstraintViolated as violation:
                raise violation.under(name) from None
    return result


def _query_of(request: Request) -> dict[str, list[str]]:
    try:
        return parse_qs(request.query, keep_blank_values=True, max_num_fields=MAX_QUERY_FIELDS)
    except ValueError:
        raise InvalidRequest(f"the query has more than {MAX_QUERY_FIELDS} fields") from None


def _last(read: Callable[[str], Any]) -> Callable[[list[str]], Any]:
    return lambda values: read(values[-1])


class Service:
    """One service: its operations, and the statuses of its errors."""

    def __init__(self, model: ServiceModel) -> None:
        decoders, encoders = Decoders(model), Encoders(model)
        self.name = model.name
        self.operations = {
            name: Operation(model, operation, decoders, encoders) for name, operation in model.operations.items()
        }
        self.error_statuses = {
            name: shape.error.status or 500 for name, shape in model.shapes.items() if shape.exception
        }
