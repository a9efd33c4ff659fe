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

from craton.app.config.home import Home
from craton.app.config.sections import (
    BlobSettings,
    DatabaseSettings,
    HubSettings,
    MirrorSettings,
    QuotaSettings,
    RaySettings,
    UpstreamSettings,
)
from craton.app.config.settings import Settings, load_settings
from craton.app.config.sizes import parse_bytes

__all__ = [
    "BlobSettings",
    "DatabaseSettings",
    "Home",
    "HubSettings",
    "MirrorSettings",
    "QuotaSettings",
    "RaySettings",
    "Settings",
    "UpstreamSettings",
    "load_settings",
    "parse_bytes",
]
