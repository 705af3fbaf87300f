"""Folders of a station on each platform, for programs that need only a path at their start."""

import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Self

__all__ = ["Folders"]

APPLICATION = "vitale-reader"


@dataclass(frozen=True, slots=True)
class Folders:
    """The folders of one station: one daemon at most runs in them."""

    config: Path
    state: Path
    run: Path

    @classmethod
    def locate(cls, environ: Mapping[str, str] | None = None) -> Self:
        """``VITALE_READER_HOME`` if it is set, else the platform's own folders for this user.

        Raises:
            RuntimeError: this user has no home, as in a container.
        """
        environ = os.environ if environ is None else environ
        if root := environ.get("VITALE_READER_HOME"):
            return cls.under(Path(root))
        import platformdirs  # noqa: PLC0415  not where a folder is named

        folders = platformdirs.PlatformDirs(APPLICATION, appauthor=False)
        config, state = folders.user_config_path, folders.user_state_path
        # Without a session's runtime folder (a service, a bare shell) the state folder is as private, and as stable.
        # A relative one counts for nothing (XDG Base Directory Specification).
        runtime = Path(environ.get("XDG_RUNTIME_DIR", ""))
        run = runtime / APPLICATION if runtime.is_absolute() else state / "run"
        return cls(config=config / "config.toml", state=state, run=run)

    @classmethod
    def under(cls, root: Path) -> Self:
        """Everything under one folder: ``config.toml``, ``state/``, ``run/``.

        Raises:
            RuntimeError: the folder is below a home that there is not.
        """
        root = root.expanduser().absolute()
        return cls(config=root / "config.toml", state=root / "state", run=root / "run")
