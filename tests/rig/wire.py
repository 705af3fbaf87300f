"""A client written from the page of the wire alone: a socket, lines of JSON, the published schema, PyJWT.

It shares no code with the SDK or with the daemon, so that both are judged by what their page says.
"""

import contextlib
import hashlib
import json
import socket
import ssl
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Self

import jsonschema
import jwt

from tests.posix import UNIX_SOCKETS

__all__ = ["LEEWAY", "Endpoint", "HungUp", "Refused", "Schema", "Wire", "verify"]

Json = dict[str, Any]

#: Seconds that the page grants a verifier's clock.
LEEWAY = 30
SCHEMA = Path(__file__).parents[2] / "protocol" / "vitale_protocol" / "schema" / "openrpc.json"
#: The longest line that the page allows.
LONGEST = 1_048_576


class HungUp(ConnectionError):
    """The daemon ended the connection."""


class Refused(Exception):
    """An error that the daemon answered."""

    def __init__(self, error: Json) -> None:
        super().__init__(str(error["data"]["reason"]))
        self.reason = str(error["data"]["reason"])
        self.data: Json = error["data"]


class Schema:
    """The published description of the methods: what a result has to look like."""

    def __init__(self, document: Json) -> None:
        components = {"components": document["components"]}
        self._results: dict[str, jsonschema.Draft202012Validator] = {
            method["name"]: jsonschema.Draft202012Validator(method["result"]["schema"] | components)
            for method in document["methods"]
        }

    @classmethod
    def published(cls) -> Self:
        """That of the package."""
        return cls(json.loads(SCHEMA.read_text("utf-8")))

    def check(self, method: str, result: object) -> None:
        """Raises where a result is not as the schema says."""
        # What is wrong is of a type that jsonschema does not tell.
        self._results[method].validate(result)  # pyright: ignore[reportUnknownMemberType]


class Endpoint:
    """Place of a daemon, by ``run/endpoints.json`` of its home, which is read anew for each connection."""

    def __init__(self, home: Path) -> None:
        self._file = home / "run" / "endpoints.json"

    def unix(self) -> socket.socket:
        """A connection to its Unix socket."""
        return self._connected(UNIX_SOCKETS, str(self._told()["unix"]))

    def tls(self, certificate: Path) -> socket.socket:
        """A TLS connection with the client's certificate and key, to the certificate that the pairing pinned."""
        told = self._told()["tls"]
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
        context.minimum_version = ssl.TLSVersion.TLSv1_3
        context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
        context.load_cert_chain(certificate)
        plain = self._connected(socket.AF_INET, (told["host"], told["port"]))
        try:
            line = context.wrap_socket(plain)
        except OSError:
            plain.close()
            raise
        shown = line.getpeercert(binary_form=True)
        if shown is None or hashlib.sha256(shown).hexdigest() != certificate.with_suffix(".pin").read_text():
            line.close()
            raise AssertionError("another certificate than the one that the pairing pinned")
        return line

    @property
    def pid(self) -> int:
        """The process of the daemon."""
        return int(self._told()["pid"])

    def _told(self) -> Json:
        try:
            told: Json = json.loads(self._file.read_bytes())
        except (FileNotFoundError, json.JSONDecodeError) as error:
            raise HungUp("no daemon serves there") from error
        return told

    @staticmethod
    def _connected(family: socket.AddressFamily, address: str | tuple[str, int]) -> socket.socket:
        line = socket.socket(family)
        try:
            line.settimeout(30)
            line.connect(address)
        except OSError:
            line.close()
            raise
        return line


class Wire:
    """One session.

    Args:
        line: a connection.
        schema: each result is held against it.

    Attributes:
        opened: the answer to ``session.open``.
        desk: the number of the desk, as the rig counts them.
    """

    def __init__(self, line: socket.socket, schema: Schema, desk: int = 0) -> None:
        self.desk = desk
        self._line = line
        self._schema = schema
        self._rest = b""
        self._last = 0
        self.opened: Json = {}

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._line.close()

    def open(self, credential: str | None = None) -> Self:
        """Opens the session, or closes the line; with a certificate, or as the daemon's user, without a credential."""
        named = {} if credential is None else {"credential": credential}
        with contextlib.ExitStack() as unless_it_opens:
            unless_it_opens.push(self)
            self.opened = self.call(
                "session.open", protocol=[1], client={"name": "rig"}, language="en", within=60, **named
            )
            unless_it_opens.pop_all()
        return self

    def send(self, method: str, **params: object) -> int:
        """Sends a call; its id."""
        self._last += 1
        message = {"jsonrpc": "2.0", "id": self._last, "method": method, "params": params}
        self._line.sendall(json.dumps(message).encode() + b"\n")
        return self._last

    def call(self, method: str, *, within: float = 60, **params: object) -> Json:
        """The result of a call.

        Raises:
            Refused: the daemon refused it.
            HungUp: the connection ended before.
            TimeoutError: there was no answer within so many seconds.
            jsonschema.ValidationError: the result is not as the schema says.
        """
        wanted = self.send(method, **params)
        end = time.monotonic() + within
        while True:
            answer = self._message(end)
            if answer.get("id") != wanted:
                continue  # a notification
            if "error" in answer:
                raise Refused(answer["error"])
            self._schema.check(method, answer["result"])
            return dict(answer["result"])

    def _message(self, end: float) -> Json:
        while b"\n" not in self._rest:
            if (left := end - time.monotonic()) <= 0:
                raise TimeoutError
            self._line.settimeout(left)
            try:
                data = self._line.recv(65_536)
            except ConnectionError as error:
                raise HungUp from error
            if not data:
                raise HungUp
            self._rest += data
        text, self._rest = self._rest.split(b"\n", 1)
        assert len(text) <= LONGEST
        message: Json = json.loads(text)
        return message


def verify(token: str, *, jwks: Mapping[str, Any], client_id: str, now: float) -> Json:
    """The claims of a token, verified in the order of the page by PyJWT; the nonce is for the caller.

    Raises:
        KeyError: ``kid`` is none of these keys.
        jwt.InvalidTokenError: anything else is wrong.
    """
    header = jwt.get_unverified_header(token)
    if (header["alg"], header["typ"]) != ("ES256", "vitale-presence+jwt"):
        raise jwt.InvalidTokenError("alg or typ")
    keys = {str(key["kid"]): key for key in jwks["keys"]}
    key = jwt.PyJWK(dict(keys[str(header["kid"])]), algorithm="ES256")
    claims: Json = jwt.decode(
        token,
        key.key,
        algorithms=["ES256"],
        audience=client_id,
        options={
            "require": ["aud", "iss", "iat", "exp", "jti"],
            # Held against one clock for all, that of the caller.
            "verify_exp": False,
            "verify_iat": False,
        },
    )
    if not claims["iat"] - LEEWAY <= now <= claims["exp"] + LEEWAY:
        told = f"iat is {claims['iat'] - now:+.0f} s from now, exp {claims['exp'] - now:+.0f} s"
        raise jwt.InvalidTokenError(told)
    if not claims["presented_at"] <= claims["iat"] or not 0 < claims["exp"] - claims["iat"] <= 600:
        raise jwt.InvalidTokenError("presented_at or lifetime")
    return claims
