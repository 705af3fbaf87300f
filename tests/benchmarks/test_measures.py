"""``measures``: a start counts with our byte code and without it, whatever the environment says."""

import os
import sys
import tempfile
from pathlib import Path

import pytest

import vitale_protocol
from tests.benchmarks import measures


@pytest.mark.slow
@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="paths below the cache are those of Unix")
def test_without_byte_code_means_without_ours(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PYTHONDONTWRITEBYTECODE", "1")
    ours = Path(vitale_protocol.__path__[0]).parts[1:]
    with measures.without_byte_code() as environment, tempfile.TemporaryDirectory() as home:
        cache = Path(environment["PYTHONPYCACHEPREFIX"])
        assert any("sqlalchemy" in file.parts for file in cache.rglob("*.pyc"))
        assert not Path(cache, *ours).exists()
        assert 0 < measures.until_serving(home, environment)
        assert not Path(cache, *ours).exists()


@pytest.mark.posix
def test_the_libraries_of_a_core_serve_alone(tmp_path: Path) -> None:
    for _ in ("the first, which makes a certificate", "the following"):
        (tmp_path / "bare.sock").unlink(missing_ok=True)
        with measures.serving(measures.bare_core(str(tmp_path)), measures.compiling()) as process:
            assert process.poll() is None
    assert (tmp_path / "bare.pem").exists()


def test_byte_code_is_written_whatever_the_environment_says(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PYTHONDONTWRITEBYTECODE", "1")
    assert "PYTHONDONTWRITEBYTECODE" not in measures.compiling()
    assert measures.compiling(HOME="/nowhere") == {
        **{name: value for name, value in os.environ.items() if name != "PYTHONDONTWRITEBYTECODE"},
        "HOME": "/nowhere",
    }
