"""The environment of workers: that of the daemon, without what is for the daemon alone, and a temporary folder."""

import asyncio
import contextlib
import logging
import os
import re
import shutil
import tempfile
import threading
from collections.abc import AsyncGenerator

__all__ = ["temporary_folder", "worker_environment"]

logger = logging.getLogger(__name__)

#: Seconds that the removal of a folder is waited for; a driver may leave as many files as there is room for.
REMOVAL = 2.0

#: Names of the environment whose values are for the daemon alone: libpq's, systemd's, and whatever says so itself.
_SECRET = re.compile(r"PG[A-Z]|CREDENTIALS_DIRECTORY|.*(?:PASSWORD|PASSWD|SECRET|TOKEN|APIKEY|API_KEY)", re.IGNORECASE)


def worker_environment() -> dict[str, str]:
    """The environment of a worker: the daemon's, without what opens a database or holds a service's credentials."""
    kept = {name: value for name, value in os.environ.items() if not _SECRET.match(name)}
    return kept | {"PYTHONUNBUFFERED": "1"}


@contextlib.asynccontextmanager
async def temporary_folder() -> AsyncGenerator[str]:
    """Makes a folder for the temporary files of a process, and removes it.

    Raises:
        OSError: it cannot be made.
    """
    folder = tempfile.mkdtemp(prefix="vitale-reader-")
    try:
        yield folder
    finally:
        await _remove(folder)


async def _remove(folder: str) -> None:
    """Removes a folder in a thread that the end of the loop does not wait for."""
    loop = asyncio.get_running_loop()
    removed = asyncio.Event()

    def remove() -> None:
        try:
            shutil.rmtree(folder, ignore_errors=True)
        except Exception as error:  # noqa: BLE001 - folders may be nested beyond what Python can follow
            logger.warning("%s was not removed: %s", folder, type(error).__name__)
        finally:
            with contextlib.suppress(RuntimeError):  # the loop has ended
                loop.call_soon_threadsafe(removed.set)

    threading.Thread(target=remove, name="removal of temporary files", daemon=True).start()
    with contextlib.suppress(TimeoutError):
        async with asyncio.timeout(REMOVAL):
            await removed.wait()
