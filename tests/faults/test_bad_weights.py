"""Weights that are broken, before or after they came in, and chat templates that attack."""

from __future__ import annotations

import struct
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from craton.app.config import Home
from craton.cli.models_pull import _check_template
from craton.core.errors import CratonError, InvalidRequest
from craton.core.repo import RepoId
from craton.hub.importing import Importer
from craton.hub.local import import_path
from craton.hub.models import Models
from craton.hub.repositories import Hub
from craton.store.blobs.folder import FolderBlobs
from craton.store.database import Database
from tests.faults.dialects import NAMES, Failure, outcome, speak
from tests.faults.seen import assert_tells_nothing, loaded, wait_until
from tests.formats.makers import GgufMaker
from tests.servers import RunningServer, clean_environment, craton, serving

SMALL = "smollm2-135m-instruct"
HEAD = struct.Struct("<4sIQQ")  # magic, version, number of tensors, number of entries

PLAIN = GgufMaker().string("tokenizer.chat_template", "{{ messages[0].content }}")


def pull(home: Path, source: Path, *options: str) -> tuple[int, str]:
    done = craton("models", "pull", str(source), *options, environment=clean_environment(home), check=False)
    return done.returncode, done.stdout + done.stderr


def names(home: Path) -> str:
    return craton("models", "list", "--json", environment=clean_environment(home)).stdout


def broken_files(folder: Path) -> dict[str, Path]:
    """GGUF files that no parser may trust."""
    maker = GgufMaker()
    whole = maker.model()
    tensors = whole.index(b"token_embd.weight")
    far = whole.index(b"norm.weight") + len(b"norm.weight") + 4 + 8 + 4
    contents = {
        "empty": b"",
        "magic": b"GGML" + whole[4:],
        "cut in the head": whole[:12],
        "cut in the entries": whole[:400],
        "cut in the tensors' names": whole[: tensors + 5],
        "cut in the data": whole[:-100],
        "without its data": whole[: -(384 + 256)],
        "tensors without number": HEAD.pack(b"GGUF", 3, 2**63, 10) + whole[24:],
        "entries without number": HEAD.pack(b"GGUF", 3, 2, 2**62) + whole[24:],
        "more tensors than there are": HEAD.pack(b"GGUF", 3, 3, 10) + whole[24:],
        "version": HEAD.pack(b"GGUF", 99, 2, 10) + whole[24:],
        "an offset behind the end": whole[:far] + struct.pack("<Q", 2**40) + whole[far + 8 :],
        "an offset that overflows": whole[:far] + struct.pack("<Q", 2**64 - 32) + whole[far + 8 :],
        "an overlap": whole[:far] + struct.pack("<Q", 32) + whole[far + 8 :],
        "a text without end": whole.replace(maker.text("general.name"), struct.pack("<Q", 2**61) + b"general.name"),
    }
    paths = {}
    for name, content in contents.items():
        paths[name] = folder / f"{name.replace(' ', '-').replace(chr(39), '')}.gguf"
        paths[name].write_bytes(content)
    return paths


def importer(home: Path) -> Callable[[Path], object]:
    """What `craton models pull` runs, without the second that the command line takes to start."""
    database = Database.at(Home(home).database)
    models = Models(Hub(database, FolderBlobs(Home(home).blobs), time.time), _check_template)
    return lambda path: import_path(Importer(models, "default"), path, RepoId("model", "acme", "broken"))


def test_a_broken_gguf_is_refused_and_nothing_of_it_stays(tmp_path: Path) -> None:
    """In one home, one after the other; the last is honest and is taken."""
    home, folder = tmp_path / "home", tmp_path / "files"
    folder.mkdir()
    before = names(home)
    put = importer(home)
    for name, path in broken_files(folder).items():
        with pytest.raises(CratonError) as caught:
            put(path)
        assert str(tmp_path) not in str(caught.value), name
    for name in ("cut in the data", "tensors without number"):
        code, said = pull(home, broken_files(folder)[name], "--name", "acme/broken")
        assert code == 1
        assert "damaged" in said
        assert "Traceback" not in said
    assert names(home) == before
    honest = folder / "honest.gguf"
    honest.write_bytes(GgufMaker().model(template=PLAIN))
    code, said = pull(home, honest, "--name", "acme/honest")
    assert code == 0, said
    assert "acme/honest" in names(home)


def test_weights_that_no_engine_can_load_fail_typed_and_the_server_goes_on(tmp_path: Path) -> None:
    """The header is right, but what it describes is no model: only native code can tell, in a worker."""
    home = tmp_path / "home"
    file = tmp_path / "hollow.gguf"
    file.write_bytes(GgufMaker().model(template=PLAIN))
    code, said = pull(home, file, "--name", "acme/hollow", "--shared")
    assert code == 0, said
    with serving(home) as server:
        for name in NAMES:
            failure = outcome(speak(name, server), "acme/hollow", "hello", stream=name == "openai")
            assert isinstance(failure, Failure)
            assert failure.status in {503, 529}
            assert_tells_nothing(failure.message, server)
            assert speak(name, server).ask("echo", "still here") == "still here"
        assert loaded(server, "acme/hollow") is None


def test_weights_damaged_on_disk_after_they_came_in_are_not_loaded(
    copy_home: Callable[[Path], Path], tmp_path: Path
) -> None:
    home = copy_home(tmp_path / "home")
    blob = max((file for file in (home / "blobs").rglob("*") if file.is_file()), key=lambda file: file.stat().st_size)
    content = bytearray(blob.read_bytes())
    content[len(content) // 2] ^= 0xFF
    blob.unlink()  # it is linked to the other tests' copies
    blob.write_bytes(content)
    with serving(home) as server:
        for name in NAMES:
            failure = outcome(speak(name, server), SMALL, "hello", stream=False)
            assert isinstance(failure, Failure)
            assert failure.status == 500
            assert "damaged" in failure.message
            assert_tells_nothing(failure.message, server)
            assert speak(name, server).ask("echo", "still here") == "still here"
        assert embed(server) == 200


def test_weights_that_went_away_are_a_typed_error(copy_home: Callable[[Path], Path], tmp_path: Path) -> None:
    home = copy_home(tmp_path / "home")
    for blob in (home / "blobs").rglob("*"):
        if blob.is_file() and blob.stat().st_size > 2**20:
            blob.unlink()
    with serving(home) as server:
        for name in NAMES:
            failure = outcome(speak(name, server), SMALL, "hello", stream=True)
            assert isinstance(failure, Failure)
            assert failure.status in {404, 500, 503}
            assert_tells_nothing(failure.message, server)


# --- templates -----------------------------------------------------------------------------------------------

HOSTILE = {
    "internals": "{{ ''.__class__.__mro__[1].__subclasses__() }}",
    "code": "{{ cycler.__init__.__globals__.os.popen('touch /tmp/craton-canary').read() }}",
    "format": "{{ '{0.__class__.__init__.__globals__}'.format(messages) }}",
    "endless": "{% for a in range(99999) %}{% for b in range(99999) %}{% endfor %}{% endfor %}",
    "memory": "{% set ns = namespace(x='aaaaaaaa') %}{% for i in range(60) %}{% set ns.x = ns.x ~ ns.x %}{% endfor %}",
    "recursion": "{% macro f() %}{{ f() }}{% endmacro %}{{ f() }}",
    "output": "{% for a in range(99999) %}{{ 'a' * 999999 }}{% endfor %}",
    "syntax": "{% for %}",
}


def with_template(source: Path, target: Path, template: str) -> Path:
    """The same GGUF with another chat template, of a length that leaves every tensor where it was aligned."""
    content = source.read_bytes()
    at = content.index(b"tokenizer.chat_template") + len(b"tokenizer.chat_template") + 4
    (size,) = struct.unpack_from("<Q", content, at)
    missing = (size - len(template.encode())) % 32 + 32
    padded = template.encode() + b"{#" + b" " * (missing - 4) + b"#}"
    target.write_bytes(content[:at] + struct.pack("<Q", len(padded)) + padded + content[at + 8 + size :])
    return target


@pytest.mark.slow
def test_a_hostile_template_is_refused_when_it_comes_in(tmp_path: Path) -> None:
    home = tmp_path / "home"
    before = names(home)
    files = {name: tmp_path / f"{name}.gguf" for name in HOSTILE}
    for name, template in HOSTILE.items():
        files[name].write_bytes(GgufMaker().model(template=GgufMaker().string("tokenizer.chat_template", template)))
    put = importer(home)
    for file in files.values():
        with pytest.raises(InvalidRequest, match=r"it (does|is|takes)|template"):
            put(file)
    for name in ("code", "endless"):
        code, said = pull(home, files[name], "--name", "acme/hostile")
        assert code == 1, said
        assert "chat_template" in said
        assert "Traceback" not in said
    assert names(home) == before
    assert not Path("/tmp/craton-canary").exists()


SESAME = (
    "{% if messages[-1]['content'] == 'loop' %}"
    "{% for a in range(9999) %}{% for b in range(9999) %}{% for c in range(9999) %}{% endfor %}{% endfor %}{% endfor %}"
    "{% endif %}"
    "{% if messages[-1]['content'] == 'swell' %}"
    "{% set ns = namespace(x='aaaaaaaa') %}{% for i in range(60) %}{% set ns.x = ns.x ~ ns.x %}{% endfor %}"
    "{% endif %}"
    "{% for message in messages %}<|im_start|>{{ message['role'] }}\n{{ message['content'] }}<|im_end|>\n{% endfor %}"
    "<|im_start|>assistant\n"
)
"""Behaves when it comes in; one message makes it loop, another makes it swell."""


def embed(server: RunningServer) -> int:
    with server.client() as client:
        return client.post("/v1/embeddings", json={"model": "all-minilm-l6-v2", "input": "hello"}).status_code


def answers_again(server: RunningServer, model: str) -> None:
    """A load may take longer than the deadline, a worker may have to start again."""
    dialect = speak("openai", server)
    wait_until(lambda: isinstance(outcome(dialect, model, "Hi", stream=False, max_tokens=2), str), 60)


@pytest.mark.slow
def test_a_template_that_attacks_on_one_message_hurts_only_that_request(
    starter_files: Path, copy_home: Callable[[Path], Path], tmp_path: Path
) -> None:
    home = copy_home(tmp_path / "home")
    file = with_template(starter_files / "SmolLM2-135M-Instruct.Q4_1.gguf", tmp_path / "sesame.gguf", SESAME)
    code, said = pull(home, file, "--name", "acme/sesame", "--shared")
    assert code == 0, said
    file.unlink()
    with serving(home, config="[engines.llama_cpp]\nparallel = 2\ncontext = 512\n") as server:
        answers_again(server, "acme/sesame")
        for attack in ("loop", "swell"):
            with ThreadPoolExecutor(6) as pool:
                attacks = [
                    pool.submit(outcome, speak(name, server), "acme/sesame", attack, stream=name == "openai")
                    for name in NAMES
                ]
                others = [pool.submit(embed, server) for _ in range(3)]
                assert [other.result() for other in others] == [200] * 3
                for failure in (attempt.result() for attempt in attacks):
                    assert isinstance(failure, Failure), failure
                    assert failure.status in {400, 408, 424, 429, 500, 503, 504, 529}, failure
                    assert_tells_nothing(failure.message, server)
            answers_again(server, "acme/sesame")
