"""Sealed frames of an open session: AES-256-GCM from page to core, whatever carries them.

``{"n": number, "c": text}`` is one message. Each direction has its key and counts its frames from 0. The number is the
nonce (96 bits, big-endian). Behind the direction's name, it is also the additional data. A gap, a repetition or a byte
that was changed ends the channel: nothing of the frame is read.
"""

from typing import Final

import msgspec
from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.kdf.hkdf import HKDF

from vitale_protocol.errors import LimitExceeded, ParseError
from vitale_protocol.privacy import concealed
from vitale_protocol.signing import base64url, from_base64url
from vitale_protocol.web.channels import FRAME_BYTES, LAST_NUMBER, SealedFrame, Via, read_sealed, write_frame
from vitale_protocol.web.transcripts import digest

__all__ = ["SEALED_BYTES", "Opener", "Sealer", "SessionKeys", "session_keys"]

_TAG_BYTES: Final = 16
_KEY_BYTES: Final = 32

# Room for the members of a frame, and for what a native host and an extension put around it.
_ENVELOPE_BYTES: Final = 256
#: The longest message that a frame can hold, in bytes: base64url makes four characters of three.
SEALED_BYTES: Final = (FRAME_BYTES - _ENVELOPE_BYTES) // 4 * 3 - _TAG_BYTES


class SessionKeys(msgspec.Struct, frozen=True, kw_only=True):
    """The keys of a session: from the client to the station, and back."""

    __repr__ = concealed

    c2s: bytes
    s2c: bytes


def session_keys(shared: bytes, station_proof: str, client_proof: str) -> SessionKeys:
    """The keys of a session.

    Args:
        shared: the secret that both ephemeral keys agree on.
        station_proof: as it went over the channel.
        client_proof: likewise. Whoever has seen another proof than was sent gets other keys.
    """
    salt = digest(station_proof.encode(), client_proof.encode())
    c2s, s2c = (HKDF(hashes.SHA256(), _KEY_BYTES, salt, info).derive(shared) for info in (b"vr-1 c2s", b"vr-1 s2c"))
    return SessionKeys(c2s=c2s, s2c=s2c)


class Sealer:
    """One direction of an open session, at the end that writes.

    Attributes:
        sent: number of frames so far, which is the number of the next one.
    """

    def __init__(self, key: bytes, via: Via) -> None:
        self._cipher = AESGCM(key)
        self._via: Via = via
        self.sent = 0

    def seal(self, message: bytes) -> bytes:
        """The frame of a message.

        Raises:
            LimitExceeded: the message is longer than a frame holds, or the last number is used up.
        """
        if len(message) > SEALED_BYTES:
            raise LimitExceeded("longer than a frame", variant="message_bytes", data={"limit": "message_bytes"})
        if self.sent > LAST_NUMBER:
            raise LimitExceeded("no number is left for a frame", data={"limit": "frames"})
        number = self.sent
        self.sent += 1
        sealed = self._cipher.encrypt(nonce(number), message, additional_data(self._via, number))
        return write_frame(SealedFrame(number, base64url(sealed)))


class Opener:
    """One direction of an open session, at the end that reads.

    Attributes:
        read: number of frames so far, which is the number of the next one.
    """

    def __init__(self, key: bytes, via: Via) -> None:
        self._cipher = AESGCM(key)
        self._via: Via = via
        self.read = 0

    def open(self, frame: bytes) -> bytes:
        """The message in a frame.

        Raises:
            ParseError: not the next frame of the other end. The channel has to be closed.
        """
        sealed = read_sealed(frame)
        if sealed.n != self.read:
            raise ParseError("not the next frame")
        try:
            message = self._cipher.decrypt(
                nonce(sealed.n), from_base64url(sealed.c), additional_data(self._via, sealed.n)
            )
        except (InvalidTag, ValueError) as error:
            raise ParseError("not sealed by the other end") from error
        self.read += 1
        return message


def nonce(number: int) -> bytes:
    """The nonce of a frame: its number in 96 bits."""
    return number.to_bytes(12, "big")


def additional_data(via: Via, number: int) -> bytes:
    """Bytes that a frame's tag vouches for besides its content."""
    return via.encode() + nonce(number)
