"""Transcripts: one digest of several values, each behind its length, so that different lists never look alike."""

import hashlib

__all__ = ["digest"]


def digest(*parts: bytes) -> bytes:
    """SHA-256 of the parts, each behind its length in 32 bits, network order."""
    hashed = hashlib.sha256()
    for part in parts:
        hashed.update(len(part).to_bytes(4, "big"))
        hashed.update(part)
    return hashed.digest()
