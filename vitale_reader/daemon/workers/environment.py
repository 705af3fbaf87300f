"""The environment of workers: that of the daemon, without what is for the daemon alone."""

import os
import re

__all__ = ["worker_environment"]

#: Names of the environment whose values are for the daemon alone: libpq's, systemd's, and whatever says so itself.
_SECRET = re.compile(r"PG[A-Z]|CREDENTIALS_DIRECTORY|.*(?:PASSWORD|PASSWD|SECRET|TOKEN|APIKEY|API_KEY)", re.IGNORECASE)


def worker_environment() -> dict[str, str]:
    """The environment of a worker: the daemon's, without what opens a database or holds a service's credentials."""
    kept = {name: value for name, value in os.environ.items() if not _SECRET.match(name)}
    return kept | {"PYTHONUNBUFFERED": "1"}
