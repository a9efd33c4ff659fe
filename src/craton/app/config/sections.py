"""The tables of config.toml, one structure each."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from msgspec import Meta, Struct

from craton.store.blobs.opening import Location

Seconds = Annotated[float, Meta(gt=0)]
DEFAULT_URLS = {"openai": "https://api.openai.com/v1", "anthropic": "https://api.anthropic.com"}


class ServerSettings(Struct, frozen=True, forbid_unknown_fields=True):
    database: str = ""
    deadline: Seconds = 600.0
    memory: str = ""
    idle: Seconds = 900.0
    waiting: Annotated[int, Meta(ge=0)] = 256
    domains: tuple[str, ...] = ()


class TraceSettings(Struct, frozen=True, forbid_unknown_fields=True):
    content: bool = True
    days: Annotated[float, Meta(ge=0)] = 30.0


class EchoSettings(Struct, frozen=True, forbid_unknown_fields=True):
    script: str = ""


class UpstreamSettings(Struct, frozen=True, forbid_unknown_fields=True):
    """models: name here -> the provider's name for it. verbs: what these models do."""

    wire: Literal["openai", "anthropic", "bedrock"]
    models: dict[str, str]
    base_url: str = ""
    credential: str = ""
    region: str = ""
    verbs: tuple[Literal["chat", "embed"], ...] = ("chat",)
    context_length: Annotated[int, Meta(gt=0)] | None = None
    options: dict[str, Any] = {}

    @property
    def url(self) -> str:
        """Where it is: base_url, or what the wire and the region say; "" when they do not."""
        amazon = f"https://bedrock-runtime.{self.region}.amazonaws.com" if self.region else ""
        return self.base_url or DEFAULT_URLS.get(self.wire, amazon)


class OutgoingSettings(Struct, frozen=True, forbid_unknown_fields=True):
    allow: tuple[str, ...] = ()


class DatabaseSettings(Struct, frozen=True, forbid_unknown_fields=True):
    """url: of a PostgreSQL, best without a password: that is the credential. indexes: Craton may make tables in it."""

    url: Annotated[str, Meta(pattern="^postgres(ql)?://")]
    credential: str = ""
    arn: str = ""
    role: str = ""
    tenants: tuple[str, ...] = ()
    seconds: Annotated[float, Meta(gt=0, le=600)] = 30.0
    model: str = ""
    indexes: bool = False


class SourceSettings(Struct, frozen=True, forbid_unknown_fields=True):
    """folders: those, and what lies below them, any tenant may read as a source."""

    folders: tuple[str, ...] = ()


class QdrantSettings(Struct, frozen=True, forbid_unknown_fields=True):
    """credential: the name under which the vault keeps the server's API key."""

    url: Annotated[str, Meta(pattern="^https?://")]
    credential: str = ""


class HubSettings(Struct, frozen=True, forbid_unknown_fields=True):
    """keep: of files that come in as chunks, in repositories that do not say it themselves.
    default_visibility: public is what every tenant of this server may read; `anonymous` lets strangers read it too."""

    default_visibility: Literal["private", "public"] = "private"
    anonymous: bool = False
    keep: Literal["plain", "chunks"] = "plain"
    xet_above: str = "46GiB"


class MirrorSettings(Struct, frozen=True, forbid_unknown_fields=True):
    """allow: patterns of namespace/name; without any, nothing is fetched."""

    endpoint: Annotated[str, Meta(pattern="^https?://")] = "https://huggingface.co"
    allow: tuple[str, ...] = ()
    kinds: tuple[Literal["model", "dataset", "space"], ...] = ("model", "dataset", "space")
    credential: str = ""
    gated: bool = False
    tenants: tuple[str, ...] = ()
    fresh: Annotated[float, Meta(ge=0)] = 60.0


class BlobSettings(Struct, frozen=True, forbid_unknown_fields=True):
    """url "": CRATON_HOME/blobs."""

    url: str = ""
    endpoint: str = ""
    region: str = "us-east-1"
    credential: str = ""
    cache: str = "50GiB"
    replica: Location | None = None
    scrub_days: Annotated[float, Meta(ge=0)] = 7.0
    scrub_rate: str = "50MiB"
    collect_hours: Annotated[float, Meta(ge=0)] = 24.0
    grace_hours: Annotated[float, Meta(ge=1)] = 24.0

    @property
    def location(self) -> Location:
        return Location(self.url, self.endpoint, self.region, self.credential)


class QuotaSettings(Struct, frozen=True, forbid_unknown_fields=True):
    """default "": no limit."""

    default: str = ""
    tenants: dict[str, str] = {}


class JobSettings(Struct, frozen=True, forbid_unknown_fields=True):
    """at_once None: one less than there are cores."""

    at_once: Annotated[int, Meta(gt=0)] | None = None
    attempts: Annotated[int, Meta(gt=0)] = 5
    days: Annotated[float, Meta(gt=0)] = 90.0


class TrainingSettings(Struct, frozen=True, forbid_unknown_fields=True):
    """code: runs in a child without keys or network, but as this server's user: for tenants who are trusted like it."""

    code: bool = False


class RaySettings(Struct, frozen=True, forbid_unknown_fields=True):
    """credential: without a token, a cluster runs anything for anybody who reaches it; so there must be one."""

    url: Annotated[str, Meta(pattern="^https?://")]
    credential: Annotated[str, Meta(min_length=1)]
    home: str = ""
    command: Annotated[str, Meta(min_length=1)] = "craton job run"
    cpus: Annotated[float, Meta(gt=0)] = 1.0
