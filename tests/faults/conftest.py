"""Homes with the starter models, and servers of one's own for what would hurt a shared one."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager
from pathlib import Path

import pytest

from craton.access.root import ensure_root
from craton.app.config import Home
from craton.app.platform import open_platform
from craton.core.access import SHARED_TENANT
from craton.hub.importing import Importer
from craton.hub.models import Models
from craton.hub.starters import STARTERS, import_starter
from tests.servers import RunningServer, serving


@pytest.fixture(scope="session")
def starter_home(starter_files: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A home with both starter models. To be copied, not used."""
    home = Home(tmp_path_factory.mktemp("starters") / "home")
    platform = open_platform(home)
    for starter in STARTERS:
        import_starter(Importer(Models(platform.hub), SHARED_TENANT), starter, starter_files)
    ensure_root(home.path, platform.keys)
    platform.close()
    return home.path


@pytest.fixture(scope="session")
def copy_home(starter_home: Path) -> Callable[[Path], Path]:
    """Copies the home with the starter models to this place; the blobs are linked, not copied."""

    def copy(target: Path) -> Path:
        shutil.copytree(starter_home / "blobs", target / "blobs", copy_function=_link)
        for file in starter_home.iterdir():
            if file.is_file():
                shutil.copy2(file, target / file.name)
        return target

    return copy


def _link(source: str, target: str) -> None:
    Path(target).hardlink_to(source)


Serve = Callable[[str], AbstractContextManager[RunningServer]]


@pytest.fixture(scope="session")
def small_server_factory(copy_home: Callable[[Path], Path], tmp_path_factory: pytest.TempPathFactory) -> Serve:
    """Makes a server with both starter models and this configuration."""
    return lambda config: serving(copy_home(tmp_path_factory.mktemp("small") / "home"), config=config)


@pytest.fixture(scope="module")
def small_server(small_server_factory: Serve) -> Iterator[RunningServer]:
    """A server of one test module with both starter models: eight streams at once, short contexts."""
    with small_server_factory("[engines.llama_cpp]\nparallel = 8\ncontext = 512\n") as running:
        yield running
