"""Client's half of a pairing: its certificate and key, and the digest of the one daemon that it trusts."""

import codecs
import os
from pathlib import Path
from typing import TYPE_CHECKING

import msgspec

from vitale_protocol.documents import decode_document
from vitale_protocol.errors import LocalMisuse, ParseError
from vitale_reader.client.system import keep_to_owner

if TYPE_CHECKING:
    from vitale_protocol.methods import ClientAdded

__all__ = ["Pairing"]


class Pairing(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """A pairing file, as ``vitale-reader clients add`` writes it (mode 0600).

    Attributes:
        client_id: the audience of this client's tokens.
        address: where the daemon listens, ``tls://127.0.0.1:7816``; without it, the daemon's home tells.
        certificate: the client's certificate, PEM.
        private_key: its key, PEM.
        daemon_certificate_sha256: the digest of the daemon's certificate in DER, in hex: the pin.
        daemon_certificate: the daemon's certificate, PEM; with it a stranger on the port does not even learn who asks.
        credential: the secret for ``session.open``, for transports without certificates.
    """

    client_id: str
    address: str | None = None
    certificate: str | None = None
    private_key: str | None = None
    daemon_certificate_sha256: str | None = None
    daemon_certificate: str | None = None
    credential: str | None = None

    def __repr__(self) -> str:
        """Representation without any secret."""
        return f"Pairing(client_id={self.client_id!r}, address={self.address!r})"

    @classmethod
    def of(cls, added: "ClientAdded", *, address: str | None) -> "Pairing":
        """The pairing that a daemon's ``clients.add`` answered."""
        return cls(
            client_id=added.client_id,
            address=address,
            certificate=added.certificate,
            private_key=added.private_key,
            daemon_certificate_sha256=added.daemon_certificate_sha256,
            daemon_certificate=added.daemon_certificate,
            credential=added.credential,
        )

    @classmethod
    def load(cls, file: Path) -> "Pairing":
        """Reads a pairing file.

        Raises:
            LocalMisuse: the file cannot be read, or is not a pairing file.
        """
        try:
            # Editors of Windows put a byte order mark before UTF-8.
            return decode_document(file.read_bytes().removeprefix(codecs.BOM_UTF8), cls)
        except (OSError, ParseError) as error:
            detail = error.strerror or "" if isinstance(error, OSError) else "not a pairing file"
            raise LocalMisuse(f"{file}: {detail}", data={"file": str(file)}) from error

    def save(self, file: Path) -> None:
        """Writes a new pairing file that only this user can read.

        Raises:
            LocalMisuse: the file exists already, or cannot be written.
        """
        text = msgspec.json.format(msgspec.json.encode(self), indent=2) + b"\n"
        try:
            descriptor = os.open(file, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
            with os.fdopen(descriptor, "wb") as stream:
                keep_to_owner(file)  # before there is a key in it
                stream.write(text)
        except OSError as error:
            if not isinstance(error, FileExistsError):
                file.unlink(missing_ok=True)  # half a file would stand in the way of the next try
            raise LocalMisuse(f"{file}: {error.strerror}", data={"file": str(file)}) from error
