"""The server of the dashboard's page: its files, who is let in, and the channel of each page."""

from typing import Final

from vitale_reader.web.core_line import CoreLine
from vitale_reader.web.dashboard import page_files
from vitale_reader.web.dashboard.rules import BODY_BYTES, ROOT, Entering, Show, headers, judge
from vitale_reader.web.http_rules import MALFORMED, REFUSED, Admission, RequestHead
from vitale_reader.web.inherited import Inherited
from vitale_reader.web.page_connection import PageConnection, PageLimits
from vitale_reader.web.serving import PageServer

__all__ = ["DashboardConnection", "DashboardServer", "InheritedName", "dashboard_server"]

#: The place in the page at which it is told what its browser was let in with.
_PLACE: Final = b"<!--entry-->"


class InheritedName(Inherited, frozen=True, kw_only=True):
    """Descriptors, and the name that browsers dial."""

    name: str


class DashboardServer(PageServer):
    """The server of the page, at one port.

    Attributes:
        host: the one value of Host.
        files: of the page.
    """

    def __init__(self, line: CoreLine, host: str, limits: PageLimits) -> None:
        super().__init__(line, frozenset({host.encode("ascii")}), limits)
        self.host = host
        self.files = page_files.load()
        self._has_let_in = False

    def connection(self) -> PageConnection:
        """Takes over a connection that has just been accepted."""
        return DashboardConnection(self)

    def shown(self, file: str) -> bytes:
        """The answer that shows a file."""
        kind, content = self.files[file]
        return b"HTTP/1.1 200 OK\r\n" + headers(self.host, kind, len(content)) + content

    async def entered(self, secret: str) -> bytes:
        """The answer to whoever hands in a secret: the page, with a bearer where it was good."""
        bearer = await self._line.enter(f"http://{self.host}", secret)
        kind, content = self.files[ROOT]
        told = f'<meta name="bearer" content="{bearer}">' if bearer else '<meta name="refused" content="1">'
        content = content.replace(_PLACE, told.encode("ascii"))
        status = b"200 OK" if bearer else b"403 Forbidden"
        # Under this name no other program was before; under the number of this machine it may have been.
        clears = bool(bearer) and not self._has_let_in
        self._has_let_in = self._has_let_in or bool(bearer)
        return b"HTTP/1.1 " + status + b"\r\n" + headers(self.host, kind, len(content), clears=clears) + content


class DashboardConnection(PageConnection):
    """One connection of a browser."""

    def __init__(self, server: DashboardServer) -> None:
        super().__init__(server, body_bytes=BODY_BYTES)
        self._dashboard = server

    def _answer(self, head: RequestHead) -> None:
        match judge(head, self._dashboard.host.encode("ascii"), self._dashboard.files):
            case Show(file=file):
                self._say(self._dashboard.shown(file))
            case Entering(secret=secret):
                self._begin(self._enter(secret))
            case Admission() as admission:
                self._begin(self._admit(head, admission, "dashboard"))
            case "malformed":
                self._refuse(MALFORMED)
            case _:
                self._refuse(REFUSED)

    async def _enter(self, secret: str) -> None:
        answer = await self._dashboard.entered(secret)
        self._admission = None
        self._say(answer)


def dashboard_server(line: CoreLine, port: int, name: str) -> DashboardServer:
    """The server at a port.

    Args:
        line: to the core.
        port: that is listened on.
        name: that browsers dial.
    """
    return DashboardServer(line, f"{name}:{port}", PageLimits())
