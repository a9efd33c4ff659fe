"""The protocol "query" (STS, IAM): a form that names its operation, answered in XML.

https://smithy.io/2.0/aws/protocols/aws-query-protocol.html
"""

from __future__ import annotations

from typing import Any
from urllib.parse import parse_qsl

from craton.core.errors import InvalidRequest
from craton.wire.aws.model import OperationModel, ServiceModel, Shape, ShapeRef
from craton.wire.aws.reading import Decoders
from craton.wire.aws.scalars import ConstraintViolated, from_text
from craton.wire.aws.xml import HEAD, XmlShapes, document, elements
from craton.wire.http import Reply, Request

MAX_FIELDS = 1000
MAX_BODY = 256 * 1024
MAX_DEPTH = 16
_EMPTY = Shape(type="structure")


class QueryOperation:
    """One operation of such a service."""

    def __init__(self, model: ServiceModel, operation: OperationModel) -> None:
        self._shapes, self._decoders, self._xml = model.shapes, Decoders(model), XmlShapes(model)
        self._input = model.shapes[operation.input.shape] if operation.input else _EMPTY
        self._output = operation.output
        self._namespace = str(model.metadata.xml_namespace)
        self.service, self.name = model.name, operation.name

    def parse(self, request: Request) -> dict[str, Any]:
        """The input as boto3's users write it. Raises InvalidRequest."""
        value = self._structure(self._input, "", fields_of(request), 0)
        for name in self._input.required:
            if name not in value:
                raise ConstraintViolated("Member must not be null", name)
        return value

    def write(self, output: dict[str, Any], request: Request) -> Reply:
        content = ""
        if self._output is not None:
            content = self._xml.members(self._shapes[self._output.shape], output)
            wrapper = self._output.result_wrapper
            content = f"<{wrapper}>{content}</{wrapper}>" if wrapper else content
        identity = "".join(elements({"RequestId": request.request_id}))
        body = f"{content}<ResponseMetadata>{identity}</ResponseMetadata>"
        headers = {"content-type": "text/xml", "x-amzn-requestid": request.request_id}
        return Reply(200, document(f"{self.name}Response", self._namespace, body), headers)

    def _structure(self, shape: Shape, prefix: str, fields: dict[str, str], depth: int) -> dict[str, Any]:
        result = {}
        for name, ref in shape.members.items():
            path = f"{prefix}{ref.location_name or name}"
            if path in fields or any(field.startswith(f"{path}.") for field in fields):
                try:
                    result[name] = self._value(ref, path, fields, depth + 1)
                except ConstraintViolated as violation:
                    raise violation.under(name) from None
        return result

    def _value(self, ref: ShapeRef, path: str, fields: dict[str, str], depth: int) -> Any:
        shape = self._shapes[ref.shape]
        if depth > MAX_DEPTH:
            raise InvalidRequest("the form is nested too deeply")
        if shape.type == "structure":
            return self._structure(shape, f"{path}.", fields, depth)
        if shape.type == "list" and shape.member is not None:
            base = path if shape.flattened else f"{path}.{shape.member.location_name or 'member'}"
            numbers = {field[len(base) + 1 :].partition(".")[0] for field in fields if field.startswith(f"{base}.")}
            places = sorted(int(number) for number in numbers if number.isdecimal() and len(number) < 6)
            return [self._value(shape.member, f"{base}.{place}", fields, depth + 1) for place in places]
        if shape.type == "map" or path not in fields:
            raise ConstraintViolated("Member cannot be read")
        return from_text(shape, self._decoders.of(ref))(fields[path])


def fields_of(request: Request) -> dict[str, str]:
    """The form's fields. Raises InvalidRequest."""
    try:
        text = request.body.decode()
        return dict(parse_qsl(text, keep_blank_values=True, max_num_fields=MAX_FIELDS, errors="strict"))
    except ValueError:
        raise InvalidRequest("the body is not a form in UTF-8 with a bearable number of fields") from None


def action_in(request: Request) -> str:
    """The operation's name in the form, "" when it cannot be read."""
    try:
        return fields_of(request).get("Action", "")
    except InvalidRequest:
        return ""


def error_reply(code: str, status: int, message: str, request: Request) -> Reply:
    kind = "Sender" if status < 500 else "Receiver"
    error = "".join(elements({"Type": kind, "Code": code, "Message": message}))
    identity = "".join(elements({"RequestId": request.request_id}))
    body = f"{HEAD}<ErrorResponse><Error>{error}</Error>{identity}</ErrorResponse>"
    headers = {"content-type": "text/xml", "x-amzn-requestid": request.request_id, "x-amzn-errortype": code}
    return Reply(status, body.encode(), headers)
