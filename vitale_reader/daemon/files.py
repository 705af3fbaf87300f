"""Private files of the station: written whole or not at all, readable by their owner only."""

import os
from pathlib import Path

__all__ = ["private_folder", "write_private"]


def private_folder(folder: Path) -> Path:
    """The folder, made if need be, closed to other users of the machine."""
    folder.mkdir(parents=True, exist_ok=True, mode=0o700)
    folder.chmod(0o700)
    return folder


def write_private(file: Path, content: bytes) -> None:
    """Writes a file that is complete at every instant (POSIX rename), with mode 0600 from its first byte."""
    temporary = file.with_name(f".{file.name}.{os.getpid()}")
    descriptor = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
    with os.fdopen(descriptor, "wb") as stream:
        stream.write(content)
        stream.flush()
        os.fsync(stream.fileno())
    temporary.replace(file)
