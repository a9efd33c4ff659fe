"""XML as AWS's older protocols write it, through the shapes of a service model: rest-xml (S3) and query (STS, IAM).

https://smithy.io/2.0/aws/protocols/aws-restxml-protocol.html
"""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime
from typing import Any
from xml.etree import ElementTree
from xml.sax.saxutils import escape, quoteattr

from craton.core.errors import InvalidRequest
from craton.wire.aws.model import ServiceModel, Shape, ShapeRef
from craton.wire.aws.reading import Decoders
from craton.wire.aws.scalars import ConstraintViolated, from_text

HEAD = '<?xml version="1.0" encoding="UTF-8"?>\n'
MAX_DEPTH = 32
_LINE_ENDS = {"\r": "&#13;"} | {chr(code): f"&#{code};" for code in range(32) if chr(code) not in "\t\n\r"}


class MalformedXml(InvalidRequest):
    """The body is not XML, or not this operation's."""


class XmlShapes:
    """Reads and writes the shapes of one service."""

    def __init__(self, model: ServiceModel) -> None:
        self._shapes, self._decoders = model.shapes, Decoders(model)

    # --- writing --------------------------------------------------------------------------------------------

    def members(self, shape: Shape, value: dict[str, Any], names: list[str] | None = None) -> str:
        """The members of a structure as elements, None ones left out. Unknown ones are a mistake in Craton."""
        unknown = value.keys() - shape.members.keys()
        if unknown:
            raise TypeError(f"there are no members {sorted(unknown)}")
        return "".join(
            self._element(name, shape.members[name], item)
            for name, item in value.items()
            if item is not None and (names is None or name in names) and not shape.members[name].xml_attribute
        )

    def _element(self, name: str, ref: ShapeRef, value: Any) -> str:
        shape, tag = self._shapes[ref.shape], ref.location_name or name
        if shape.type == "structure":
            attributes = "".join(
                f" {member.location_name or key}={quoteattr(str(value[key]))}"
                for key, member in shape.members.items()
                if member.xml_attribute and value.get(key) is not None
            )
            if shape.xml_namespace and shape.xml_namespace.prefix:
                attributes = f" xmlns:{shape.xml_namespace.prefix}={quoteattr(shape.xml_namespace.uri)}{attributes}"
            return f"<{tag}{attributes}>{self.members(shape, value)}</{tag}>"
        if shape.type == "list" and shape.member is not None:
            item_name = shape.member.location_name or "member"
            if shape.flattened:
                item_name = shape.member.location_name or tag
            items = "".join(self._item(item_name, shape.member, item) for item in value)
            return items if shape.flattened else f"<{tag}>{items}</{tag}>"
        if shape.type == "map":
            raise TypeError(f"{ref.shape}: no service here answers with a map")
        return f"<{tag}>{escape(to_xml_text(shape, value), _LINE_ENDS)}</{tag}>"

    def _item(self, tag: str, ref: ShapeRef, value: Any) -> str:
        bare = ShapeRef(ref.shape, timestamp_format=ref.timestamp_format)
        return self._element(tag, bare, value)

    # --- reading --------------------------------------------------------------------------------------------

    def read(self, ref: ShapeRef, body: bytes) -> dict[str, Any]:
        """The structure whose element a body is. Raises MalformedXml, ConstraintViolated."""
        value = self._value(ref, parse(body), 0)
        if not isinstance(value, dict):
            raise MalformedXml("the body is not what this operation takes")
        return value

    def _value(self, ref: ShapeRef, element: ElementTree.Element, depth: int) -> Any:
        shape = self._shapes[ref.shape]
        if depth > MAX_DEPTH:
            raise MalformedXml("the body's XML is nested too deeply")
        if shape.type == "structure":
            return self._structure(shape, element, depth)
        if shape.type == "list" and shape.member is not None:
            return [self._value(shape.member, child, depth + 1) for child in element]
        if shape.type == "map":
            raise MalformedXml("maps are not read")
        return from_text(shape, self._decoders.of(ref))((element.text or "").strip(" \t\n\r"))

    def _structure(self, shape: Shape, element: ElementTree.Element, depth: int) -> dict[str, Any]:
        tags = {name: member.location_name or name for name, member in shape.members.items()}
        result: dict[str, Any] = {}
        for name, member in shape.members.items():
            held = self._shapes[member.shape]
            tag = tags[name]
            if held.type == "list" and held.flattened and held.member is not None:
                children = [child for child in element if _local(child) == (held.member.location_name or tag)]
                if children:
                    result[name] = [self._value(held.member, child, depth + 1) for child in children]
                continue
            child = next((child for child in element if _local(child) == tag), None)
            if child is not None:
                try:
                    result[name] = self._keyed(member, child, depth)
                except ConstraintViolated as violation:
                    raise violation.under(name) from None
        missing = [name for name in shape.required if name not in result and not shape.members[name].location]
        if missing:
            raise MalformedXml(f"the element {missing[0]!r} is missing")
        return result

    def _keyed(self, member: ShapeRef, child: ElementTree.Element, depth: int) -> Any:
        shape = self._shapes[member.shape]
        if shape.type == "string":  # blanks belong to keys
            return from_text(shape, self._decoders.of(member))(child.text or "")
        return self._value(member, child, depth + 1)


def parse(body: bytes) -> ElementTree.Element:
    """The root element. Raises MalformedXml: also for what declares a document type, whose entities could grow."""
    if b"<!DOCTYPE" in body or b"<!ENTITY" in body:
        raise MalformedXml("document types are not read")
    try:
        return ElementTree.fromstring(body, ElementTree.XMLParser(encoding="utf-8"))
    except (ElementTree.ParseError, ValueError) as error:
        raise MalformedXml("the body is not well-formed XML in UTF-8") from error


def _local(element: ElementTree.Element) -> str:
    return element.tag.rpartition("}")[2]


def to_xml_text(shape: Shape, value: Any) -> str:
    if isinstance(value, bool):
        return "true" if value else "false"
    if shape.type == "timestamp":
        return iso8601(value)
    return str(value)


def iso8601(value: datetime | float) -> str:
    """ "2026-01-31T23:59:59.123Z", as S3 writes it."""
    moment = value if isinstance(value, datetime) else datetime.fromtimestamp(value, UTC)
    return moment.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%S.") + f"{moment.microsecond // 1000:03d}Z"


def document(root: str, namespace: str, content: str) -> bytes:
    """A whole body."""
    attribute = f" xmlns={quoteattr(namespace)}" if namespace else ""
    return f"{HEAD}<{root}{attribute}>{content}</{root}>".encode()


def elements(fields: dict[str, str]) -> Iterator[str]:
    """Name and text, as elements."""
    for name, text in fields.items():
        yield f"<{name}>{escape(text, _LINE_ENDS)}</{name}>"
