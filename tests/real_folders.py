"""Tests that hand paths to programs which no stand-in is for: in those, a backslash is a slash to some."""

import os

import pytest

__all__ = ["FOLDERS_ARE_REAL"]

FOLDERS_ARE_REAL = pytest.mark.skipif(
    "VITALE_STAND_IN" in os.environ, reason="under a stand-in, folders have names that other programs do not take"
)
