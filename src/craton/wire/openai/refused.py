"""The rest of OpenAI's API: known, and refused by name. Each row is a resource; everything at it and below it is
refused, whatever the method."""

from __future__ import annotations

METHODS = ("GET", "POST", "DELETE")

RESOURCES = {
    "agents": "",
    "assistants": "OpenAI has retired it; use chat completions.",
    "audio/speech": "",
    "audio/transcriptions": "",
    "audio/translations": "",
    "audio/voice_consents": "",
    "audio/voices": "",
    "batches": "",
    "chatkit": "",
    "containers": "",
    "content_provenance_checks": "",
    "conversations": "Send the whole conversation with each chat completion.",
    "decisions": "",
    "evals": "",
    "files": "",
    "fine_tuning": "",
    "images": "",
    "live": "",
    "moderations": "",
    "organization": "`craton keys` and `craton usage` manage keys and show use.",
    "projects": "",
    "realtime": "",
    "responses": "Use chat completions.",
    "safety": "",
    "skills": "",
    "threads": "OpenAI has retired it; use chat completions.",
    "uploads": "",
    "vaults": "",
    "vector_stores": "",
    "videos": "",
    "webhook_endpoints": "",
    "webhook_event_types": "",
}

OPERATIONS = (
    ("GET", "chat/completions"),
    ("GET", "chat/completions/{id}"),
    ("POST", "chat/completions/{id}"),
    ("DELETE", "chat/completions/{id}"),
    ("GET", "chat/completions/{id}/messages"),
    ("DELETE", "models/{model}"),
)
"""Refused operations of resources of which others are real."""
