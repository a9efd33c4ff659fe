"""What was found in files, as the Hub tells it. There is no scanner for viruses here, and none is claimed."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from craton.hub.keeping.scans import Scan

ISSUES = {"unsafe": "unsafe", "suspicious": "suspicious", "error": "error"}


def write_security(scan: Scan) -> dict[str, Any]:
    """As `securityFileStatus`; huggingface_hub reads status, avScan and pickleImportScan."""
    pickled = None
    if scan.format == "pickle":
        pickled = {
            "status": scan.status,
            "pickleImports": [{"module": it.module, "name": it.name, "safety": it.safety} for it in scan.imports],
            "message": scan.message or None,
        }
    weights = scan.format in {"safetensors", "gguf"}
    header = {"status": scan.status, "message": scan.message or None} if weights else None
    return {"status": scan.status, "avScan": None, "pickleImportScan": pickled, "headerScan": header}


def write_repo_security(found: Mapping[str, Scan]) -> dict[str, Any]:
    """As `securityRepoStatus`. scansDone: nothing is left to be looked at."""
    return {
        "scansDone": all(scan.status != "queued" for scan in found.values()),
        "filesWithIssues": [
            {"path": path, "level": ISSUES[scan.status]} for path, scan in found.items() if scan.status in ISSUES
        ],
    }
