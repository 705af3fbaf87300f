"""What is missing is named as it is: an extra, a library of the system, or a package that no extra brings."""

import pytest

from vitale_protocol import catalogue
from vitale_protocol.extras import EXTRA_OF, EXTRAS, Extra, missing

NO_LIBRARY = "cannot open shared object file: No such file or directory"


@pytest.mark.parametrize(
    ("error", "extra", "data"),
    [
        (ModuleNotFoundError(name="cv2"), "camera", {"tool": "cv2", "extra": "camera"}),
        (ModuleNotFoundError(name="nfc.clf"), "nfc", {"tool": "nfc", "extra": "nfc"}),
        (ModuleNotFoundError(name="no_such_library"), "nfc", {"tool": "no_such_library"}),
        (ModuleNotFoundError(name="cv2"), None, {"tool": "cv2"}),
        (ImportError(f"libGL.so.1: {NO_LIBRARY}", name="cv2"), "camera", {"tool": "libgl1"}),
        (
            ImportError(f"libpcsclite.so.1: {NO_LIBRARY}", name="smartcard.scard._scard"),
            "pcsc",
            {"tool": "libpcsclite1"},
        ),
        (OSError(f"libodd.so.7: {NO_LIBRARY}"), "camera", {"tool": "libodd.so.7"}),
        (OSError("something else"), "camera", {"tool": "lib"}),
    ],
    ids=repr,
)
def test_what_is_missing_is_named(error: ImportError | OSError, extra: Extra | None, data: dict[str, str]) -> None:
    told = missing(error, "it", extra=extra, library="lib")
    assert data == told.data
    assert f"it needs {data['tool']}" in told.detail


def test_psycopg_without_its_library_lacks_the_extra() -> None:
    """``psycopg`` without ``[binary]`` and without libpq cannot be imported, and says no module's name."""
    told = missing(ImportError("no pq wrapper available."), "PostgreSQL", extra="postgresql", library="psycopg")
    assert told.data == {"tool": "psycopg", "extra": "postgresql"}


@pytest.mark.parametrize("extra", EXTRAS)
@pytest.mark.parametrize("language", catalogue.LANGUAGES)
def test_the_remedy_installs_the_extra(extra: Extra, language: catalogue.Language) -> None:
    module = next((module for module, brought_by in EXTRA_OF.items() if brought_by == extra), "cv2")
    error = missing(ModuleNotFoundError(name=module), "it", extra=extra)
    remedy = catalogue.text(error.reason, language, error.variant).remedy
    assert f'`pip install "vitale-reader[{extra}]"`' in remedy
    assert f'`pip install ".[{extra}]"`' in remedy


@pytest.mark.parametrize("language", catalogue.LANGUAGES)
def test_the_remedy_for_pcsc_says_what_it_is_compiled_with_and_how_to_do_without(language: catalogue.Language) -> None:
    remedy = catalogue.text("tool_missing", language, "pcsc").remedy
    for word in ("swig", "gcc", "libpcsclite-dev", "python3-pyscard", "--system-site-packages"):
        assert word in remedy
