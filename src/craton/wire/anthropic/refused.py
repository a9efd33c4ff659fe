"""The rest of Anthropic's API: known, and refused by name. Each row is a resource; everything at it and below it is
refused, whatever the method."""

from __future__ import annotations

METHODS = ("GET", "POST", "DELETE")

RESOURCES = {
    "agents": "",
    "complete": "Use messages.",
    "deployment_runs": "",
    "deployments": "",
    "dreams": "",
    "environments": "",
    "files": "",
    "memory_stores": "",
    "messages/batches": "",
    "organizations": "`craton keys` and `craton usage` manage keys and show use.",
    "sessions": "",
    "skills": "",
    "tunnels": "",
    "user_profiles": "",
    "vaults": "",
}
