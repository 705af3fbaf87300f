"""Vectors of origins and hosts in ``origin_vectors.json``, and what they mean."""

import json
from pathlib import Path
from typing import Any

_FILE = Path(__file__).with_name("origin_vectors.json")
_CONTENT: dict[str, Any] = json.loads(_FILE.read_text(encoding="utf-8"))

ALLOWED: list[str] = _CONTENT["allow_origins"]
HOSTS: list[str] = _CONTENT["allow_hosts"]
REGISTRATIONS: list[tuple[str, str | None]] = [(each["typed"], each["stored"]) for each in _CONTENT["registration"]]


def vectors(kind: str) -> list[tuple[Any, bool]]:
    """Values of one kind, and whether each is let in."""
    found = [(each["value"], each["accepted"]) for each in _CONTENT["vectors"] if each["kind"] == kind]
    assert found
    return found
