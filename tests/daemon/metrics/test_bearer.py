"""The bearer of the metrics: made for a group, refused where everybody may read it."""

import os
import stat
from hashlib import sha256
from pathlib import Path

import pytest

from vitale_protocol.errors import ConfigurationInvalid
from vitale_reader.daemon.metrics.bearer import FILE, bearer_digest, bearer_file, read_bearer

pytestmark = pytest.mark.posix


def test_it_is_made_once_for_its_user_and_group(tmp_path: Path) -> None:
    file = bearer_file(tmp_path, None)
    assert tmp_path / FILE == file
    before = os.umask(0o077)
    try:
        digest = bearer_digest(file)
    finally:
        os.umask(before)
    assert 0o640 == stat.S_IMODE(file.stat().st_mode)
    bearer = read_bearer(file)
    assert 43 == len(bearer)
    assert sha256(bearer.encode()).digest() == digest == bearer_digest(file)


def test_one_that_an_administrator_wrote_is_taken(tmp_path: Path) -> None:
    file = bearer_file(tmp_path, str(tmp_path / "given"))
    file.write_text("0123456789abcdef0123456789abcdef\n")
    file.chmod(0o640)
    assert sha256(b"0123456789abcdef0123456789abcdef").digest() == bearer_digest(file)


@pytest.mark.parametrize("mode", [0o644, 0o642])
def test_one_that_is_open_to_everybody_is_refused(tmp_path: Path, mode: int) -> None:
    file = tmp_path / "open"
    bearer_digest(file)
    file.chmod(mode)
    with pytest.raises(ConfigurationInvalid) as refused:
        bearer_digest(file)
    assert ("bearer_exposed", str(file)) == (refused.value.variant, refused.value.data["file"])


@pytest.mark.parametrize("content", [b"", b"short\n", b"0123456789abcdef 0123456789abcdef", b"\xff" * 40, b"a" * 600])
def test_what_is_no_bearer_is_refused(tmp_path: Path, content: bytes) -> None:
    file = tmp_path / "bad"
    file.write_bytes(content)
    file.chmod(0o600)
    with pytest.raises(ConfigurationInvalid) as refused:
        bearer_digest(file)
    assert "metrics.bearer_file" == refused.value.data["path"]


def test_a_file_that_cannot_be_made_is_told(tmp_path: Path) -> None:
    with pytest.raises(ConfigurationInvalid, match="cannot be made"):
        bearer_digest(tmp_path / "absent" / "bearer")
