"""The owner's pairing: the door of the daemon's own user where no Unix socket listens.

A certificate that is made anew at each start lies, with its key, in the private state folder. Whoever can read it there
could read the station's keys as well. It holds for connections of this machine only.
"""

import contextlib
from collections.abc import Generator
from ipaddress import ip_address

import msgspec

from vitale_protocol.errors import StoreUnavailable
from vitale_protocol.methods import ClientAdded
from vitale_reader.atomic_files import remove, write_atomically
from vitale_reader.daemon.client_registry import LOCAL_CLIENT
from vitale_reader.daemon.keystore.certificates import Certificates
from vitale_reader.home import Home

__all__ = ["of_this_machine", "owners_pairing"]


@contextlib.contextmanager
def owners_pairing(home: Home, certificates: Certificates) -> Generator[tuple[str, str]]:
    """Writes the pairing, and removes it at the end; gives its file, and the digest of its certificate.

    Raises:
        StoreUnavailable: it cannot be written.
    """
    file = home.state / "owner.pairing.json"
    issued = certificates.issue_client(LOCAL_CLIENT)
    pairing = ClientAdded(
        client_id=LOCAL_CLIENT,
        certificate=issued.certificate,
        private_key=issued.private_key,
        daemon_certificate=certificates.daemon_certificate,
        daemon_certificate_sha256=certificates.daemon_sha256,
    )
    try:
        # Not durable: after a power cut the next start makes another.
        write_atomically(file, msgspec.json.encode(pairing), durable=False)
    except OSError as error:
        raise StoreUnavailable("the owner's pairing cannot be written", data={"file": str(file)}) from error
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
