"""AWS service models, as botocore ships them: the part that a server needs (documentation and the like is dropped).

The models grow with every release, so they are read when the server starts and unknown keys are skipped.
Format: "service-2.json", the older form of https://smithy.io/2.0/; `botocore.model` reads it on the client's side.
"""

from __future__ import annotations

import gzip
from pathlib import Path
from typing import Any

import msgspec
from botocore.loaders import Loader
from msgspec import Struct, field

BEDROCK_SERVICES = ("bedrock", "bedrock-runtime", "bedrock-agent", "bedrock-agent-runtime")
RUNNING_SERVICES = (*BEDROCK_SERVICES, "sagemaker-runtime")


class ShapeRef(Struct, frozen=True):
    """A use of a shape: by a member, a list, a map or an operation. location: where in the HTTP message, "" = body."""

    shape: str
    location: str = ""
    location_name: str = field(name="locationName", default="")
    timestamp_format: str = field(name="timestampFormat", default="")
    event_header: bool = field(name="eventheader", default=False)
    event_payload: bool = field(name="eventpayload", default=False)
    flattened: bool = False
    xml_attribute: bool = field(name="xmlAttribute", default=False)
    result_wrapper: str = field(name="resultWrapper", default="")


class ErrorTrait(Struct, frozen=True):
    status: int | None = field(name="httpStatusCode", default=None)
    code: str = ""


class XmlNamespace(Struct, frozen=True):
    uri: str = ""
    prefix: str = ""


class Shape(Struct, frozen=True):
    """One type of the model. minimum and maximum bound a length (string, blob, list, map) or a number."""

    type: str
    members: dict[str, ShapeRef] = {}
    required: list[str] = []
    member: ShapeRef | None = None
    key: ShapeRef | None = None
    value: ShapeRef | None = None
    minimum: float | None = field(name="min", default=None)
    maximum: float | None = field(name="max", default=None)
    enum: list[str] = []
    union: bool = False
    document: bool = False
    payload: str = ""
    eventstream: bool = False
    exception: bool = False
    error: ErrorTrait = ErrorTrait()
    timestamp_format: str = field(name="timestampFormat", default="")
    flattened: bool = False
    xml_namespace: XmlNamespace | None = field(name="xmlNamespace", default=None)


class HttpTrait(Struct, frozen=True):
    method: str
    uri: str = field(name="requestUri")
    status: int = field(name="responseCode", default=200)


class OperationModel(Struct, frozen=True):
    name: str
    http: HttpTrait
    input: ShapeRef | None = None
    output: ShapeRef | None = None
    errors: list[ShapeRef] = []
    readonly: bool = False


class Metadata(Struct, frozen=True):
    """Of a whole service, as its protocol needs it."""

    xml_namespace: str | XmlNamespace = field(name="xmlNamespace", default="")
    target_prefix: str = field(name="targetPrefix", default="")


class ServiceModel(Struct, frozen=True):
    """One service: "bedrock-runtime" and so on."""

    operations: dict[str, OperationModel]
    shapes: dict[str, Shape]
    name: str = ""
    metadata: Metadata = Metadata()


class _ModelFiles:
    """A quicker `botocore.loaders.JSONFileLoader`."""

    def exists(self, file_path: str) -> bool:
        return Path(f"{file_path}.json.gz").is_file() or Path(f"{file_path}.json").is_file()

    def load_file(self, file_path: str) -> Any:
        packed, plain = Path(f"{file_path}.json.gz"), Path(f"{file_path}.json")
        if packed.is_file():
            return msgspec.json.decode(gzip.decompress(packed.read_bytes()))
        return msgspec.json.decode(plain.read_bytes()) if plain.is_file() else None


def load_models(services: tuple[str, ...] = BEDROCK_SERVICES) -> dict[str, ServiceModel]:
    """The newest model of each service that the installed botocore carries, by service name."""
    loader = Loader(
        extra_search_paths=[Loader.BUILTIN_DATA_PATH], file_loader=_ModelFiles(), include_default_search_paths=False
    )
    models = {}
    for service in services:
        raw = loader.load_service_model(service, "service-2")
        models[service] = msgspec.convert({**raw, "name": service}, ServiceModel)
    return models
