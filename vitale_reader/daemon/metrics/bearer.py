"""The bearer of the metrics: the scraper's secret, in a file that its user or group may read.

One that is there is taken as it is. Whoever looks after the machine has written it, for the group of the scraper. One
that everybody may read is refused.
"""

import os
import secrets
from hashlib import sha256
from pathlib import Path

from vitale_protocol.errors import ConfigurationInvalid
from vitale_reader.atomic_files import NEW
from vitale_reader.daemon.keystore.private_files import open_to_everybody
from vitale_reader.regular_files import read_regular

__all__ = ["FILE", "LEAST", "MOST", "bearer_digest", "bearer_file", "read_bearer"]

#: Its name in the state folder, unless the configuration has another.
FILE = "metrics.bearer"

#: Characters of a bearer: 128 bits at least, as base64 or hexadecimal writes them.
LEAST, MOST = 22, 512


def bearer_file(state: Path, configured: str | None) -> Path:
    """The file, where the configuration puts it."""
    return state / FILE if configured is None else Path(configured)


def bearer_digest(file: Path) -> bytes:
    """SHA-256 of the bearer in a file, which is made where there is none.

    The exporter need not know more.

    Raises:
        ConfigurationInvalid: the file cannot be read or made, everybody may read it, or no bearer is in it.
    """
    try:
        _make(file)
    except FileExistsError:
        pass
    except OSError as error:
        raise _refused(file, f"cannot be made: {error.strerror}") from error
    return sha256(read_bearer(file).encode("ascii")).digest()


def read_bearer(file: Path) -> str:
    """The bearer in a file.

    Raises:
        ConfigurationInvalid: as above.
    """
    try:
        if open_to_everybody(file):
            data = {"path": "metrics.bearer_file", "file": str(file)}
            raise ConfigurationInvalid(f"{file} is open to everybody", variant="bearer_exposed", data={**data})
        bearer = read_regular(file).decode("ascii").strip()
    except OSError as error:
        raise _refused(file, f"cannot be read: {error.strerror}") from error
    except UnicodeDecodeError as error:
        raise _refused(file, "holds no bearer") from error
    if not LEAST <= len(bearer) <= MOST or not bearer.isprintable() or " " in bearer:
        raise _refused(file, f"holds no bearer of {LEAST} to {MOST} printable characters")
    return bearer


def _make(file: Path) -> None:
    descriptor = os.open(file, NEW, 0o640)
    with os.fdopen(descriptor, "wb") as stream:
        # The umask of the daemon takes the group's right away.
        file.chmod(0o640)
        stream.write(f"{secrets.token_urlsafe(32)}\n".encode("ascii"))


def _refused(file: Path, why: str) -> ConfigurationInvalid:
    return ConfigurationInvalid(f"{file} {why}", data={"path": "metrics.bearer_file", "file": str(file)})
