"""Where everything lives (CRATON_HOME) and what the operator set (CRATON_HOME/config.toml, all of it optional).

[server]
database = "postgresql+psycopg://..."     # default: SQLite in CRATON_HOME
deadline = 600                            # seconds a request may take
memory = "8GiB"                           # what loaded models may take together; default: 70% of the machine's
idle = 900                                # seconds until an unused model is unloaded
waiting = 256                             # requests that may queue for one model
domains = ["craton.example.com"]          # under which buckets are hosts too (BUCKET.craton.example.com), as S3 has it

[traces]
content = true                            # keep prompts and answers for `craton trace`
days = 30

[aliases]
"us.anthropic.claude-sonnet-4" = "smollm2-135m-instruct"

[engines.llama_cpp]                       # options handed to an engine
threads = 2

[engines.predictor]
snapshot_rows = 1000                      # of a model that learns: it becomes a revision so often, 0 for never

[echo]
script = "replies.yaml"                   # scripted answers of the `echo` model

[upstreams.deepseek]
wire = "openai"                           # "openai", "anthropic" or "bedrock"
base_url = "https://api.deepseek.com/v1"
credential = "deepseek"                   # stored with `craton keys credential set deepseek`
models = { "deepseek-chat" = "deepseek-chat" }    # name here = the provider's name

[upstreams.amazon]
wire = "bedrock"
region = "us-east-1"
credential = "amazon"                     # a Bedrock API key, or ACCESS_KEY:SECRET_KEY
models = { "titan" = "amazon.titan-embed-text-v2:0" }
verbs = ["embed"]                         # "chat" (the default), "embed" or both
context_length = 8192                     # tokens; for the caller to read
options = { concurrency = 8 }             # see OpenAIOptions, AnthropicOptions and BedrockOptions in engines/upstream

[outgoing]
allow = ["huggingface.co"]                # hosts that Craton may call beside its upstreams

[databases.sales]                         # a PostgreSQL that sources and questions may read
url = "postgresql://reader@db.example.com/sales"
credential = "sales"                      # its password, stored with `craton keys credential set sales`
arn = "arn:aws:redshift-serverless:us-east-1:123456789012:workgroup/sales"    # by which Bedrock's clients name it
role = "reader"                           # taken on for every question; it must not be able to write
tenants = ["default"]                     # who may use it; default: every tenant
seconds = 30                              # that a question's query may take
model = "deepseek-chat"                   # writes the queries, where a knowledge base names no model
indexes = true                            # has pgvector, and may hold indexes: `craton kb create --index postgres`

[sources]
folders = ["/srv/handbooks"]              # that every tenant may name as a source of documents

[qdrant.main]                             # a server that may hold indexes: `craton kb create --index qdrant`
url = "http://127.0.0.1:6333"
credential = "qdrant"                     # its API key, stored with `craton keys credential set qdrant`

[hub]
keep = "chunks"                           # of files uploaded as chunks; default: "plain", a copy that is read faster
default_visibility = "private"            # of a repository whose maker does not say; "public": every tenant may read it
anonymous = false                         # whether what is public may be read without a key
xet_above = "46GiB"                       # from this size on, clients are told that a file can be had as chunks

[hubs.huggingface]                        # a hub that is mirrored: what is asked for and not here comes from there
endpoint = "https://huggingface.co"       # or another Craton's address
allow = ["Qwen/*", "openai-community/*"]  # namespace/name of what may come from it; ["*"]: everything
kinds = ["model", "dataset"]              # default: spaces, too
credential = "huggingface"                # a token for it, stored with `craton keys credential set huggingface`
gated = true                              # serve also what only this token opens; default: false
tenants = ["default"]                     # who may use it; default: every tenant
fresh = 60                                # seconds for which a branch is believed to point where it did

[blobs]                                   # the bytes of all files; default: CRATON_HOME/blobs
url = "s3://models/craton"                # or the absolute path of a folder
endpoint = "https://s3.example.com"       # of an S3-compatible store; default: Amazon's
region = "us-east-1"
credential = "s3"                         # ACCESS_KEY:SECRET_KEY, stored with `craton keys credential set s3`
cache = "50GiB"                           # of copies on this machine, when the store is elsewhere
replica = { url = "/mnt/second/blobs" }   # where everything is kept once more, for repair; like [blobs], or a folder
scrub_days = 7                            # between two times that every blob is read and checked; 0: never by itself
scrub_rate = "50MiB"                      # bytes a second that this may read
collect_hours = 24                        # between two collections of what nobody needs; 0: never by itself
grace_hours = 24                          # what is younger is never collected; must be longer than any upload takes

[quotas]                                  # bytes that a tenant may store
default = "500GiB"
tenants = { research = "2TiB" }

[jobs]
at_once = 1                               # that run beside each other; default: one less than there are cores
attempts = 5                              # in a row that crash without getting further, until a job is given up
days = 90                                 # that finished ones are kept

[training]
code = false                              # whether trainings may run code from a tenant's repository (environments)

[ray]                                     # a Ray cluster that may run jobs: `craton train --on ray`
url = "https://ray.example.com:8265"      # of its dashboard, with RAY_AUTH_MODE=token
credential = "ray"                        # the cluster's token, stored with `craton keys credential set ray`
home = "/srv/craton"                      # CRATON_HOME on its nodes: a config.toml with this database and these blobs
command = "craton job run"                # how a job is run there
cpus = 1                                  # that a job reserves

[prices]
"deepseek-chat" = { input = 0.27, output = 1.10 }
"""

from __future__ import annotations

import os
import re
import tomllib
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any, Literal
from urllib.parse import urlsplit

import msgspec
from msgspec import Meta, Struct, field

from craton.access.destinations import DEFAULT_PORTS, Destinations
from craton.core.errors import InvalidRequest
from craton.serve.pricing import Price
from craton.store.blobs.opening import Location, check_location

Seconds = Annotated[float, Meta(gt=0)]
ENGINES = frozenset({"llama_cpp", "bert", "predictor", "echo"})
DEFAULT_URLS = {"openai": "https://api.openai.com/v1", "anthropic": "https://api.anthropic.com"}


@dataclass(frozen=True, slots=True)
class Home:
    """The one folder in which everything lives."""

    path: Path

    @classmethod
    def from_environment(cls) -> Home:
        return cls(Path(os.environ.get("CRATON_HOME") or Path.home() / ".craton").expanduser().absolute())

    def create(self) -> None:
        """Makes the folder, for its owner alone."""
        self.path.mkdir(parents=True, exist_ok=True, mode=0o700)

    @property
    def database(self) -> Path:
        return self.path / "craton.db"

    @property
    def blobs(self) -> Path:
        return self.path / "blobs"

    @property
    def indexes(self) -> Path:
        """The embedded indexes: derived, and built again when they are gone."""
        return self.path / "indexes"

    @property
    def config(self) -> Path:
        return self.path / "config.toml"

    @property
    def root_key(self) -> Path:
        return self.path / "root.key"

    @property
    def server(self) -> Path:
        """Where the running server says its address: JSON of `app.server.Running`."""
        return self.path / "server.json"


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


class Settings(Struct, frozen=True, forbid_unknown_fields=True):
    server: ServerSettings = ServerSettings()
    traces: TraceSettings = TraceSettings()
    echo: EchoSettings = EchoSettings()
    aliases: dict[str, str] = {}
    engines: dict[str, dict[str, Any]] = {}
    upstreams: dict[str, UpstreamSettings] = {}
    outgoing: OutgoingSettings = OutgoingSettings()
    databases: dict[str, DatabaseSettings] = {}
    qdrant: dict[str, QdrantSettings] = {}
    sources: SourceSettings = SourceSettings()
    jobs: JobSettings = JobSettings()
    ray: RaySettings | None = None
    training: TrainingSettings = TrainingSettings()
    blobs: BlobSettings = BlobSettings()
    quotas: QuotaSettings = QuotaSettings()
    hub: HubSettings = HubSettings()
    hubs: dict[Annotated[str, Meta(pattern="^[a-z0-9][a-z0-9-]{0,31}$")], MirrorSettings] = {}
    prices: dict[str, Price] = field(default_factory=dict)


def load_settings(path: Path) -> Settings:
    """The settings in this file; defaults when there is none. Raises InvalidRequest naming what is wrong in it."""
    if not path.is_file():
        return Settings()
    try:
        settings = msgspec.convert(tomllib.loads(path.read_text("utf-8")), Settings)
    except (tomllib.TOMLDecodeError, UnicodeDecodeError, msgspec.ValidationError) as error:
        raise InvalidRequest(str(error), path.name) from error
    try:
        _check(settings, path.parent)
    except InvalidRequest as error:
        raise InvalidRequest(error.reason, f"{path.name}: {error.field}") from error
    return settings


def _check(settings: Settings, home: Path) -> None:
    """What types cannot say; at the start, so that no caller is told of the operator's mistakes."""
    if settings.server.memory:
        parse_bytes(settings.server.memory, "server.memory")
    parse_bytes(settings.hub.xet_above, "hub.xet_above")
    _check_blobs(settings.blobs, settings.quotas)
    if settings.echo.script and not (home / settings.echo.script).is_file():
        raise InvalidRequest(f"there is no file {settings.echo.script!r}", "echo.script")
    for engine in settings.engines.keys() - ENGINES:
        raise InvalidRequest(f"there is no such engine; there are {', '.join(sorted(ENGINES))}", f"engines.{engine}")
    try:
        Destinations(settings.outgoing.allow)
    except InvalidRequest as error:
        raise InvalidRequest(error.reason, "outgoing.allow") from error
    for name, mirrored in settings.hubs.items():
        _check_address(mirrored.endpoint, f"hubs.{name}.endpoint")
    if settings.ray is not None:
        _check_address(settings.ray.url, "ray.url")
    owners: dict[str, str] = {}
    for name, upstream in settings.upstreams.items():
        _check_upstream(f"upstreams.{name}", upstream)
        for model in upstream.models:
            if not re.fullmatch(r"[!-~]+", model):
                raise InvalidRequest(f"{model!r} is not plain text without blanks", f"upstreams.{name}.models")
            if owners.setdefault(model, name) != name:
                raise InvalidRequest(f"{model!r} is also a model of {owners[model]}", f"upstreams.{name}.models")


def _check_blobs(blobs: BlobSettings, quotas: QuotaSettings) -> None:
    if blobs.url:
        check_location(blobs.location, "blobs")
    if blobs.replica is not None:
        check_location(blobs.replica, "blobs.replica")
    for name, size in {
        "blobs.cache": blobs.cache,
        "blobs.scrub_rate": blobs.scrub_rate,
        **({"quotas.default": quotas.default} if quotas.default else {}),
        **{f"quotas.tenants.{tenant}": size for tenant, size in quotas.tenants.items()},
    }.items():
        parse_bytes(size, name)


def _check_upstream(field: str, upstream: UpstreamSettings) -> None:
    if not upstream.url:
        raise InvalidRequest("a bedrock upstream needs a region or a base_url", field)
    _check_address(upstream.url, f"{field}.base_url")


def _check_address(address: str, field: str) -> None:
    try:
        url = urlsplit(address)
        if url.scheme not in DEFAULT_PORTS or url.username or url.query or url.fragment:
            raise ValueError(address)
        Destinations((f"{url.scheme}://{url.netloc}",))
    except ValueError:  # InvalidRequest is one too
        reason = "is not an http(s) address without user, query and fragment"
        raise InvalidRequest(f"{address!r} {reason}", field) from None


_UNITS = {"": 1, "k": 2**10, "m": 2**20, "g": 2**30, "t": 2**40}


def parse_bytes(text: str, field: str = "size") -> int:
    """ "8GiB", "512 MB", "1073741824" -> bytes (all units are powers of 1024). Raises InvalidRequest."""
    match = re.fullmatch(r"(\d+(?:\.\d+)?)\s*([kmgt]?)(?:i?b)?", text.strip().lower())
    if match is None:
        raise InvalidRequest(f"{text!r} is not a size such as 8GiB", field)
    return int(float(match[1]) * _UNITS[match[2]])
