"""Home folders of a station, and ``endpoints.json``, by which a client finds the daemon."""

import os
from collections.abc import Mapping
from pathlib import Path

import msgspec
import platformdirs

from vitale_protocol.documents import decode_document
from vitale_protocol.errors import DaemonUnreachable, LocalMisuse, ParseError

__all__ = ["Endpoints", "Home", "TlsEndpoint", "WebEndpoint", "own_folder"]

APPLICATION = "vitale-reader"


def own_folder() -> Path:
    """The home of this user.

    Raises:
        LocalMisuse: there is none.
    """
    try:
        return Path.home()
    except RuntimeError as error:
        raise _homeless(error) from error


def _homeless(error: RuntimeError) -> LocalMisuse:
    return LocalMisuse(str(error), variant="no_home")


class TlsEndpoint(msgspec.Struct, frozen=True, kw_only=True):
    """Address of the TLS transport; ``sha256`` is the hex digest of the daemon's certificate in DER."""

    host: str
    port: int
    sha256: str


class WebEndpoint(msgspec.Struct, frozen=True, kw_only=True):
    """Address of the gateway for web pages, on both loopback addresses."""

    port: int


class Endpoints(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """The addresses in use by a running daemon, as ``endpoints.json`` tells them.

    ``owner`` is the pairing file of the daemon's own user, where TLS is how they come, and ``hosts`` likewise that of
    native hosts of browsers. ``web`` is for pages.
    """

    pid: int
    version: str
    unix: str | None = None
    tls: TlsEndpoint | None = None
    owner: str | None = None
    hosts: str | None = None
    web: WebEndpoint | None = None


class Home(msgspec.Struct, frozen=True):
    """The folders of one station: one daemon at most runs in a home."""

    config: Path
    state: Path
    run: Path

    @classmethod
    def locate(cls, environ: Mapping[str, str] | None = None) -> "Home":
        """``VITALE_READER_HOME`` if it is set, else the platform's own folders for this user.

        Raises:
            LocalMisuse: this user has no home, as in a container.
        """
        environ = os.environ if environ is None else environ
        if root := environ.get("VITALE_READER_HOME"):
            return cls.under(Path(root))
        folders = platformdirs.PlatformDirs(APPLICATION, appauthor=False)
        try:
            config, state = folders.user_config_path, folders.user_state_path
        except RuntimeError as error:
            raise _homeless(error) from error
        # Without a session's runtime folder (a service, a bare shell) the state folder is as private, and as stable.
        # A relative one counts for nothing (XDG Base Directory Specification).
        runtime = Path(environ.get("XDG_RUNTIME_DIR", ""))
        run = runtime / APPLICATION if runtime.is_absolute() else state / "run"
        return cls(config=config / "config.toml", state=state, run=run)

    @classmethod
    def under(cls, root: Path) -> "Home":
        """Everything under one folder: ``config.toml``, ``state/``, ``run/``.

        Raises:
            LocalMisuse: the folder is below a home that there is not.
        """
        try:
            root = root.expanduser().absolute()
        except RuntimeError as error:
            raise _homeless(error) from error
        return cls(config=root / "config.toml", state=root / "state", run=root / "run")

    @classmethod
    def chosen(cls, root: Path | str | None) -> "Home":
        """The home under a folder that is named, else ``locate``."""
        return cls.locate() if root is None else cls.under(Path(root))

    @property
    def socket(self) -> Path:
        """Path of the Unix socket."""
        return self.run / "daemon.sock"

    @property
    def host_socket(self) -> Path:
        """Path of the Unix socket for native hosts of browsers."""
        return self.run / "host.sock"

    @property
    def endpoints_file(self) -> Path:
        """The file that tells the addresses in use."""
        return self.run / "endpoints.json"

    def endpoints(self) -> Endpoints:
        """The addresses of the daemon that runs here.

        Raises:
            DaemonUnreachable: no daemon wrote them, or the file is not readable.
        """
        try:
            return decode_document(self.endpoints_file.read_bytes(), Endpoints)
        except FileNotFoundError as error:
            raise DaemonUnreachable(
                "no daemon has published its endpoints", data={"file": str(self.endpoints_file)}
            ) from error
        except (OSError, ParseError) as error:
            why = (error.strerror if isinstance(error, OSError) else None) or "damaged"
            raise DaemonUnreachable(
                f"the endpoints of the daemon cannot be read: {why}",
                variant="unreadable",
                data={"file": str(self.endpoints_file)},
            ) from error
