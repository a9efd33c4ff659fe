"""Every module can be imported, and the server imports nothing heavy."""

from __future__ import annotations

import json
import pkgutil
import subprocess
import sys

import craton

HEAVY = (
    "xllamacpp",
    "openvino",
    "numpy",
    "torch",
    "transformers",
    "alembic",
    "huggingface_hub",
    "tokenizers",
    "safetensors",
    "cryptography",
    "httpx",
    "rich.progress",
)


def test_every_module_can_be_imported() -> None:
    """In one fresh process, so that nothing that the tests imported helps."""
    names = [
        module.name
        for module in pkgutil.walk_packages(craton.__path__, "craton.")
        if not module.name.endswith(("__main__", "revisions.env"))  # these run something when imported
    ]
    assert len(names) > 50
    code = f"import importlib, json\nfor name in json.loads({json.dumps(names)!r}): importlib.import_module(name)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=120, check=False)
    assert done.returncode == 0, done.stderr


def test_serving_imports_nothing_heavy() -> None:
    code = (
        "import sys, json, craton.app.build, craton.app.server, craton.cli.serve\n"
        "print(json.dumps(sorted(sys.modules)))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=120, check=True)
    loaded = set(json.loads(done.stdout))
    assert {name for name in HEAVY if name in loaded} == set()
