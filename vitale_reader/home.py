"""Home folders of a station, and ``endpoints.json``, by which a client finds the daemon."""

import contextlib
from collections.abc import Generator, Mapping
from pathlib import Path
from typing import Self

import msgspec

from vitale_protocol.documents import decode_document
from vitale_protocol.errors import DaemonUnreachable, LocalMisuse, ParseError
from vitale_reader.folders import Folders
from vitale_reader.regular_files import read_regular

__all__ = ["Endpoints", "Home", "TlsEndpoint", "WebEndpoint", "own_folder"]


def own_folder() -> Path:
    """The home of this user.

    Raises:
        LocalMisuse: there is none.
    """
    with _at_home():
        return Path.home()


@contextlib.contextmanager
def _at_home() -> Generator[None]:
    """Tells in the catalogue's words that there is no home."""
    try:
        yield
    except RuntimeError as error:
        raise LocalMisuse(str(error), variant="no_home") from error


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

    ``owner`` is the pairing file of the daemon's own user, where that user connects over TLS. ``hosts`` likewise is
    that of browsers' native hosts. ``web`` is for pages.
    """

    pid: int
    version: str
    unix: str | None = None
    tls: TlsEndpoint | None = None
    owner: str | None = None
    hosts: str | None = None
    web: WebEndpoint | None = None


class Home(Folders):
    """The folders of one station, and the files by which its daemon is found."""

    __slots__ = ()

    @classmethod
    def locate(cls, environ: Mapping[str, str] | None = None) -> Self:
        """``VITALE_READER_HOME`` if it is set, else the platform's own folders for this user.

        Raises:
            LocalMisuse: this user has no home, as in a container.
        """
        with _at_home():
            return super().locate(environ)

    @classmethod
    def under(cls, root: Path) -> Self:
        """Everything under one folder: ``config.toml``, ``state/``, ``run/``.

        Raises:
            LocalMisuse: the folder is below a home that there is not.
        """
        with _at_home():
            return super().under(root)

    @classmethod
    def chosen(cls, root: Path | str | None) -> Self:
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
            return decode_document(read_regular(self.endpoints_file), Endpoints)
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
