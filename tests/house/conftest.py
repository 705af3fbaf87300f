"""The checkout that the house's own tests look at."""

import shutil
import subprocess
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]


@pytest.fixture(scope="session")
def root() -> Path:
    """The root of the checkout."""
    return ROOT


@pytest.fixture(scope="session")
def tracked() -> list[Path]:
    """Every file of the checkout that git keeps and that exists."""
    if shutil.which("git") is None or not (ROOT / ".git").exists():
        pytest.skip("not a git checkout, or no git here")
    # -c core.quotePath: names with accents as they are. safe.directory: the checkout may belong to somebody else.
    command = ["git", "-c", f"safe.directory={ROOT}", "-C", str(ROOT), "ls-files", "-z"]
    listed = subprocess.run(command, check=True, capture_output=True, text=True, timeout=100).stdout
    return [file for name in listed.split("\0") if name and (file := ROOT / name).is_file()]
