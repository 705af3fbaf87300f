"""Errors across the wire: an error class becomes a JSON-RPC error object with the catalogue's texts, and back."""

from typing import TypedDict, cast

from vitale_protocol.catalogue import Language
from vitale_protocol.errors import InternalError, JsonValue, RemoteError, VitaleError, by_code
from vitale_protocol.session.jsonrpc import Failure

__all__ = ["ErrorObject", "from_wire", "to_wire"]


class ErrorObject(TypedDict):
    """The ``error`` of an answer."""

    code: int
    message: str
    data: dict[str, JsonValue]


def to_wire(error: VitaleError, language: Language) -> ErrorObject:
    """The error object of an error, with the texts of the session's language.

    An error without a code of its own (a ``LocalError``) says nothing to the other end: it becomes ``internal_error``.
    An internal error travels without its detail; ``data.incident`` is for its finder.
    """
    if not error.code:
        error = InternalError()
    entry = error.catalogued(language)
    data: dict[str, JsonValue] = {
        **error.data,
        "reason": error.reason,
        "variant": error.variant,
        "retryable": error.retryable,
        "cause": entry.cause,
        "remedy": entry.remedy,
    }
    if not error.variant:
        del data["variant"]
    if error.detail and not isinstance(error, InternalError):
        data["detail"] = error.detail
    return {"code": error.code, "message": entry.title, "data": data}


def from_wire(failure: Failure) -> VitaleError:
    """The error that an error object tells of; its ``data`` keeps the texts (``message``, ``cause``, ``remedy``)."""
    data = cast("dict[str, JsonValue]", dict(failure.data))
    detail, variant = _text(data.pop("detail", "")), _text(data.pop("variant", ""))
    data["message"] = failure.message
    error_class = by_code(failure.code)
    if error_class is None:
        error_class = RemoteError
        data["code"] = failure.code
    return error_class(detail, variant=variant, data=data)


def _text(value: JsonValue) -> str:
    return value if isinstance(value, str) else ""
