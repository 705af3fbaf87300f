"""The optional parts of an installation: the extra that brings each package, and the error that names it.

The base is the SDK and the commands that ask a daemon. Everything else is an extra of the distribution, as in
``pip install "vitale-reader[camera]"``. ``setup.cfg`` lists what each brings.
"""

from collections.abc import Mapping
from importlib.util import find_spec
from typing import Literal, get_args

from vitale_protocol.errors import JsonValue, ToolMissing

__all__ = ["EXTRAS", "EXTRA_OF", "Extra", "missing", "missing_part"]

Extra = Literal[
    "all", "camera", "daemon", "keyring", "metrics", "nfc", "pcsc", "postgresql", "scanner", "sim", "traces", "web"
]
EXTRAS: tuple[Extra, ...] = get_args(Extra)

EXTRA_OF: Mapping[str, Extra] = {
    "PIL": "sim",
    "alembic": "daemon",
    "biip": "scanner",
    "cv2": "camera",
    "h11": "web",
    "httpx": "daemon",
    "idna": "web",
    "keyring": "keyring",
    "lxml": "daemon",
    "nfc": "nfc",
    "numpy": "camera",
    "prometheus_client": "metrics",
    "opentelemetry": "traces",
    "psycopg": "postgresql",
    "publicsuffixlist": "web",
    "pyzbar": "camera",
    "segno": "sim",
    "serial": "scanner",
    "smartcard": "pcsc",
    "sqlalchemy": "daemon",
    "stdnum": "daemon",
    "tomlkit": "daemon",
    "usb1": "nfc",
    "websockets": "web",
    "zxingcpp": "camera",
}
"""The extra of each importable package that the base has not; where several bring it, the likeliest."""

_NOT_FOUND = "cannot open shared object file"

# Debian's packages of the libraries that OpenCV and pyscard need and do not bring.
_DEBIAN = {
    "libGL.so.1": "libgl1",
    "libglib-2.0.so.0": "libglib2.0-0",
    "libgthread-2.0.so.0": "libglib2.0-0",
    "libpcsclite.so.1": "libpcsclite1",
}


def missing(error: ImportError | OSError, who: str, *, extra: Extra | None = None, library: str = "") -> ToolMissing:
    """The error that says what has to be installed for an import to succeed.

    Args:
        error: of the import.
        who: what needs it, for the detail.
        extra: the extra that brings what ``who`` needs, or None where none does.
        library: what is taken to be missing where the error does not say it.

    Returns:
        An error whose ``data.tool`` is the missing module or library. ``data.extra``, like the variant, is the extra.
        Both are left out where a system library is missing, or a package that no extra brings.
    """
    module = (getattr(error, "name", None) or "").partition(".")[0]
    absent, _, why = str(error).partition(":")
    if _NOT_FOUND in why:
        tool, extra = _DEBIAN.get(absent, absent), None
    else:
        tool = module or library or who
        if tool not in EXTRA_OF:
            extra = None
    data: dict[str, JsonValue] = {"tool": tool} if extra is None else {"tool": tool, "extra": extra}
    part = f', part of "vitale-reader[{extra}]"' if extra else ""
    return ToolMissing(f"{who} needs {tool}, which cannot be loaded{part}", variant=extra or "", data=data)


def missing_part(part: Extra, who: str, *, extra: Extra | None = None) -> ToolMissing | None:
    """The error that says what to install for a part, or None where its packages are there.

    No package is loaded.

    Args:
        part: the extra whose packages are looked for.
        who: what needs them.
        extra: the extra to name, if another one is the better choice.
    """
    for module, brought_by in EXTRA_OF.items():
        if brought_by == part and find_spec(module) is None:
            return missing(ModuleNotFoundError(name=module), who, extra=extra or part)
    return None
