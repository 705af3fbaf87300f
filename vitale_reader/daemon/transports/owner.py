"""Pairings of the day, where no Unix socket listens: doors for the daemon's own user and for native hosts.

A certificate that is made anew at each start lies, with its key, in the private state folder. Whoever can read it there
could read the station's keys as well. It holds for connections of this machine only. The owner's gives the rights of
the owner. That of native hosts gives none: it opens channels of pages, which have to prove keys of their own.
"""

import contextlib
from collections.abc import Generator
from ipaddress import ip_address
from typing import Final

import msgspec

from vitale_protocol.errors import StoreUnavailable
from vitale_protocol.methods import ClientAdded
from vitale_reader.atomic_files import remove, write_atomically
from vitale_reader.daemon.clients.callers import LOCAL_CLIENT
from vitale_reader.daemon.keystore.certificates import Certificates
from vitale_reader.home import Home

__all__ = ["HOSTS", "OWNER", "of_this_machine", "pairing_of_the_day"]

#: Names of the files, of the certificates, and of who comes by them.
OWNER: Final = (LOCAL_CLIENT, "owner.pairing.json")
HOSTS: Final = ("native-hosts", "hosts.pairing.json")


@contextlib.contextmanager
def pairing_of_the_day(home: Home, certificates: Certificates, whose: tuple[str, str]) -> Generator[tuple[str, str]]:
    """Writes a pairing, and removes it at the end; gives its file, and the digest of its certificate.

    Args:
        home: where the file is.
        certificates: of the station.
        whose: ``OWNER`` or ``HOSTS``.

    Raises:
        StoreUnavailable: it cannot be written.
    """
    name, file_name = whose
    file = home.state / file_name
    issued = certificates.issue_client(name)
    pairing = ClientAdded(
        client_id=name,
        certificate=issued.certificate,
        private_key=issued.private_key,
        daemon_certificate=certificates.daemon_certificate,
        daemon_certificate_sha256=certificates.daemon_sha256,
    )
    try:
        # Not durable: after a power cut the next start makes another.
        write_atomically(file, msgspec.json.encode(pairing), durable=False)
    except OSError as error:
        raise StoreUnavailable("a pairing of the day cannot be written", data={"file": str(file)}) from error
    try:
        yield str(file), issued.sha256
    finally:
        with contextlib.suppress(OSError):  # held open by another program; worthless from now on
            remove(file)


def of_this_machine(peer: tuple[object, ...] | None, own: tuple[object, ...] | None) -> bool:
    """True if a connection comes from this machine, by the addresses of its two ends.

    Args:
        peer: the socket's ``getpeername()``.
        own: its ``getsockname()``.
    """
    if not peer or not own:
        return False
    there, here = str(peer[0]), str(own[0])
    return there == here or ip_address(there.partition("%")[0]).is_loopback
