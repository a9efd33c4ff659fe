"""config.toml: what is documented works, what is wrong is named at the start."""

from __future__ import annotations

import tomllib
from pathlib import Path

import msgspec
import pytest

from craton.access.vault import Vault
from craton.app import config
from craton.app.config import MirrorSettings, Settings, UpstreamSettings, load_settings
from craton.app.upstreams import Connector, allowed_hosts
from craton.core.errors import InvalidRequest
from craton.serve.pricing import Price
from craton.store.database import Database
from tests.faults.dialects import speak
from tests.servers import clean_environment, craton, serving

EXAMPLE = (config.__doc__ or "").split("\n\n", 1)[1]


def settings_of(folder: Path, text: str) -> Settings:
    (folder / "config.toml").write_text(text)
    return load_settings(folder / "config.toml")


def test_the_documented_example_says_what_it_says(tmp_path: Path) -> None:
    (tmp_path / "replies.yaml").write_text("rules: []")
    settings = settings_of(tmp_path, EXAMPLE)
    assert settings.server.database.startswith("postgresql+psycopg://")
    assert (settings.server.deadline, settings.server.memory, settings.server.idle) == (600, "8GiB", 900)
    assert settings.aliases == {"us.anthropic.claude-sonnet-4": "smollm2-135m-instruct"}
    assert settings.engines == {"llama_cpp": {"threads": 2}, "predictor": {"snapshot_rows": 1000}}
    assert settings.upstreams["deepseek"].models == {"deepseek-chat": "deepseek-chat"}
    assert allowed_hosts(settings) == (
        "https://api.deepseek.com",
        "https://bedrock-runtime.us-east-1.amazonaws.com",
        "http://127.0.0.1:6333",
        "https://ray.example.com:8265",
        "https://huggingface.co",
        "*.huggingface.co",
        "*.hf.co",
        "huggingface.co",
    )
    assert settings.prices == {"deepseek-chat": Price(0.27, 1.10)}
    assert not settings.training.code


def test_every_setting_is_documented() -> None:
    documented = tomllib.loads(EXAMPLE)
    upstreams = set().union(*documented["upstreams"].values())
    assert upstreams == {field.name for field in msgspec.structs.fields(UpstreamSettings)}
    assert set(documented["hubs"]["huggingface"]) == {field.name for field in msgspec.structs.fields(MirrorSettings)}
    for field in msgspec.structs.fields(Settings):
        assert field.name in documented
        if isinstance(field.type, type) and issubclass(field.type, msgspec.Struct):
            for inner in msgspec.structs.fields(field.type):
                assert inner.name in documented[field.name], f"{field.name}.{inner.name}"


def test_a_server_starts_with_the_documented_example(tmp_path: Path) -> None:
    home = tmp_path / "home"
    home.mkdir()
    (home / "replies.yaml").write_text("rules:\n  - {when: {contains: ping}, reply: pong}")
    lines = [line for line in EXAMPLE.splitlines() if not line.startswith(("database", "replica"))]
    with serving(home, config="\n".join(lines)) as server:
        assert speak("openai", server).ask("echo", "ping") == "pong"
        with server.client() as client:
            assert {"deepseek-chat", "titan"} <= {model["id"] for model in client.get("/v1/models").json()["data"]}


WRONG = {
    "[server]\ntimeout = 5": "unknown field `timeout`",
    "[servers]": "unknown field `servers`",
    "[server]\ndeadline = 0": "server.deadline",
    "[server]\nidle = -1": "server.idle",
    '[server]\nmemory = "8 bananas"': "server.memory: '8 bananas'",
    "[engines.llamacpp]\nthreads = 2": "engines.llamacpp",
    '[echo]\nscript = "nowhere.yaml"': "echo.script: there is no file 'nowhere.yaml'",
    '[outgoing]\nallow = ["not a host"]': "outgoing.allow: 'not a host'",
    '[prices]\n"x" = { input = 1 }': "missing required field `output`",
    '[prices]\n"x" = { input = -1, output = 1 }': "prices",
    '[upstreams.x]\nwire = "grpc"\nmodels = {}': "upstreams",
    '[upstreams.x]\nwire = "bedrock"\nmodels = {}': "upstreams.x: a bedrock upstream needs a region",
    '[upstreams.x]\nwire = "openai"\nbase_url = "example.com/v1"\nmodels = {}': "upstreams.x.base_url",
    '[upstreams.x]\nwire = "openai"\nbase_url = "ftp://example.com"\nmodels = {}': "upstreams.x.base_url",
    '[upstreams.x]\nwire = "openai"\nbase_url = "https://me:secret@example.com"\nmodels = {}': "upstreams.x.base_url",
    '[upstreams.x]\nwire = "openai"\nbase_url = "https://[::1"\nmodels = {}': "upstreams.x.base_url",
    '[upstreams.x]\nwire = "openai"\nmodels = { "a b" = "c" }': "'a b' is not plain text",
    "\n".join(f'[upstreams.{name}]\nwire = "openai"\nmodels = {{m = "c"}}' for name in "xy"): "also a model of x",
    '[hubs.x]\nendpoint = "ftp://example.com"': "hubs",
    '[hubs.x]\nendpoint = "https://me:secret@example.com"': "hubs.x.endpoint",
    '[hubs."a:b"]\nallow = ["*"]': "hubs",
    '[hubs.x]\nkinds = ["bucket"]': "hubs",
    '[blobs]\nurl = "bytes"': "blobs.url: it must be s3://bucket/prefix or an absolute path",
    '[blobs]\nreplica = { url = "s3:///x" }': "blobs.replica.url: it names no bucket",
    '[ray]\nurl = "http://127.0.0.1:8265"': "missing required field `credential`",
    '[ray]\nurl = "http://127.0.0.1:8265"\ncredential = ""': "ray.credential",
    '[ray]\nurl = "http://me:secret@127.0.0.1"\ncredential = "ray"': "ray.url",
    '[quotas]\ntenants = { red = "a lot" }': "quotas.tenants.red: 'a lot'",
    "[server": "",
    "\xff": "",
}


@pytest.mark.parametrize("text", list(WRONG))
def test_what_is_wrong_is_named_with_the_file(tmp_path: Path, text: str) -> None:
    (tmp_path / "config.toml").write_bytes(text.encode("latin-1"))
    with pytest.raises(InvalidRequest) as caught:
        load_settings(tmp_path / "config.toml")
    assert str(caught.value).startswith("config.toml: ")
    assert WRONG[text] in str(caught.value)


def test_options_that_a_wire_does_not_have_are_refused_at_the_start(tmp_path: Path) -> None:
    upstream = '[upstreams.x]\nwire = "{}"\nregion = "us-east-1"\nmodels = {{}}\noptions = {{ {} }}'
    vault = Vault(Database("sqlite://"), b"")

    def connector(wire: str, options: str) -> Connector:
        return Connector(settings_of(tmp_path, upstream.format(wire, options)).upstreams, vault, lambda: None)  # type: ignore[arg-type,return-value]  # never called

    connector("openai", 'thinking = "template"')
    connector("anthropic", 'auth = "bearer"')
    connector("bedrock", "concurrency = 4")
    with pytest.raises(InvalidRequest, match=r"config\.toml: upstreams\.x\.options: there is no 'thinkin'"):
        connector("openai", 'thinkin = "template"')
    with pytest.raises(InvalidRequest, match=r"config\.toml: upstreams\.x\.options: .*thinking"):
        connector("openai", 'thinking = "often"')


def test_a_bad_file_ends_the_command_with_a_sentence(tmp_path: Path) -> None:
    home = tmp_path / "home"
    home.mkdir()
    (home / "config.toml").write_text("[server]\ntimeout = 5")
    done = craton("serve", "--port", "0", environment=clean_environment(home), check=False)
    assert done.returncode == 1
    assert "config.toml: " in done.stderr
    assert "timeout" in done.stderr
    assert "Traceback" not in done.stderr
