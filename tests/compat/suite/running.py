"""Runs the suite of a checkout: a server, the users that the suite knows, its tests in an environment of their own."""

from __future__ import annotations

import json
import re
import shutil
import subprocess
import tempfile
from pathlib import Path

import httpx
from msgspec import Struct

from tests.compat.environments import python_of
from tests.compat.generations import Generation
from tests.servers import RunningServer, serving

HERE = Path(__file__).resolve().parent
USERS = {"__DUMMY_HUB_USER__": "dummy-hub-user", "DVUser": "dvuser", "EnterpriseAdmin": "enterprise-admin"}
"""The suite's users -> tenants. Tenants' names are lower case."""
TOKENS = {"TOKEN": "dummy-hub-user", "OTHER_TOKEN": "dvuser", "ENTERPRISE_TOKEN": "enterprise-admin"}
ORGANISATION = "valid_org_hub"  # in which the first of them has something
STAGING = "https://hub-ci.huggingface.co"
CONFIG = '[hub]\ndefault_visibility = "public"\nanonymous = true\n[outgoing]\nallow = ["webhook.site"]\n'
NEEDED = ("pytest==9.2.0", "pytest-mock", "pytest-asyncio", "pytest-vcr", "urllib3<2.0", "Jinja2", "jedi", "fastapi")
BESIDE = ("httpx==0.28.1", "Pillow", "numpy", "duckdb", "soundfile", "hf_xet", "authlib", "itsdangerous")
NOT_RUN = (
    "test_generate_cli_reference*",
    "test_buckets*",
    "test_kernels*",
    "test_inference*",
    "test_jobs_api*",
    "test_sandbox*",
)
"""Files that are about no hub of repositories as a whole (`judging` says so of single tests)."""
SLOW = "TestValidateUploadLimits"  # makes 100,000 mocks and speaks to no server
SECONDS = 3600.0


class Ended(Struct, frozen=True):
    """One test. requests: how often it spoke to the server. elsewhere: other hosts that it asked."""

    test: str
    when: str
    outcome: str
    requests: int
    why: str
    elsewhere: list[str] = []


def run_suite(checkout: Path, selected: list[str]) -> list[Ended]:
    """Every test that was run. selected: pytest's own arguments; everything below tests/ when there are none."""
    python = python_of(Generation("suite", (f"huggingface_hub=={version_of(checkout)}", *NEEDED, *BESIDE)))
    with tempfile.TemporaryDirectory(prefix="craton-suite-") as name:
        folder = Path(name)
        with serving(folder / "home", config=CONFIG) as server:
            suite = _prepared(checkout, folder / "suite", server)
            report = folder / "report.jsonl"
            environment = {
                **{name: server.environment[name] for name in ("PATH", "LANG", "TMPDIR") if name in server.environment},
                "HOME": str(folder),
                "HF_ENDPOINT": server.url,
                "HF_TOKEN": "",
                "HF_HUB_DISABLE_TELEMETRY": "1",
                "NO_PROXY": "127.0.0.1",
                "CRATON_SUITE_REPORT": str(report),
            }
            options = [
                "-q",
                "--continue-on-collection-errors",
                "-p",
                "watching",
                "-p",
                "no:cacheprovider",
                "-m",
                "not production and not git_lfs",
            ]
            ignored = [f"--ignore-glob=tests/{pattern}" for pattern in NOT_RUN]
            ignored += ["-k", f"not {SLOW}"]
            command = [str(python), "-m", "pytest", *options, *(selected or ["tests", *ignored])]
            subprocess.run(command, cwd=suite, env=environment, timeout=SECONDS, check=False)
            lines = report.read_text().splitlines() if report.exists() else []
    return [Ended(**json.loads(line)) for line in lines]


def version_of(checkout: Path) -> str:
    """Raises ValueError."""
    text = (checkout / "src" / "huggingface_hub" / "__init__.py").read_text()
    found = re.search(r'__version__ = "([\w.]+)"', text)
    if found is None:
        raise ValueError(f"{checkout} is no checkout of huggingface_hub")
    return found[1].partition(".dev")[0]


def _prepared(checkout: Path, suite: Path, server: RunningServer) -> Path:
    """A copy of the tests that speaks to this server, as these users."""
    shutil.copytree(checkout / "tests", suite / "tests")
    shutil.copy(HERE / "watching.py", suite)
    keys = {}
    for tenant in USERS.values():
        server.craton("keys", "tenants", "create", tenant)
        printed = server.craton("keys", "create", "--role", "admin", "--tenant", tenant, "--json").stdout
        keys[tenant] = json.loads(printed)["token"]
    constants = suite / "tests" / "testing_constants.py"
    text = constants.read_text().replace(STAGING, server.url)
    for user, tenant in USERS.items():
        text = text.replace(f'"{user}"', f'"{tenant}"')
    for name, tenant in TOKENS.items():
        text = re.sub(rf'^{name} = ".*"$', f'{name} = "{keys[tenant]}"', text, flags=re.MULTILINE)
    text = re.sub(r'^FULL_NAME = ".*"$', f'FULL_NAME = "{TOKENS["TOKEN"]}"', text, flags=re.MULTILINE)
    constants.write_text(text)
    with httpx.Client(base_url=server.url, headers={"authorization": f"Bearer {keys[TOKENS['TOKEN']]}"}) as client:
        made = client.post("/api/repos/create", json={"name": "seed", "organization": ORGANISATION})
        made.raise_for_status()
    (suite / "pytest.ini").write_text(f"[pytest]\naddopts = --strict-markers\nmarkers =\n{_markers(checkout)}\n")
    return suite


def _markers(checkout: Path) -> str:
    text = (checkout / "pyproject.toml").read_text()
    names = re.findall(r'^    "(\w+)(?:\(.*?\))?:', text, flags=re.MULTILINE)
    return "\n".join(f"    {name}" for name in names)
