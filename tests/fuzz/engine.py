"""One target under atheris: ``python -m tests.fuzz.engine NAME [LEDGER SECONDS] [options of libFuzzer]``.

Our own packages are instrumented, and the libraries in Python that parse for us.
"""

import logging
import os
import shlex
import signal
import sys
import warnings
from pathlib import Path

import atheris

from tests.fuzz import registry
from tests.fuzz.ledger import Place, version_of_what_is_loaded
from tests.fuzz.meter import Meter

assert sys.platform != "win32"  # there is no atheris for it

INSTRUMENTED = [
    *("vitale_protocol", "vitale_drivers", "vitale_firmware_sim", "vitale_reader"),
    *("joserfc", "nfc.clf", "stdnum", "tomllib", "http.server", "email.feedparser", "http.client"),
    *("h11", "websockets", "idna"),
]


def main() -> None:
    """Runs until the target has had its time, or libFuzzer's options say that it is over."""
    name = sys.argv.pop(1)
    is_metered = len(sys.argv) > 1 and not sys.argv[1].startswith("-")
    ledger, seconds = (sys.argv.pop(1), float(sys.argv.pop(1))) if is_metered else ("", 0.0)
    # To merge, libFuzzer has a shell start the program again.
    sys.argv[0] = shlex.join([sys.executable, "-m", "tests.fuzz.engine", name])
    logging.getLogger().addHandler(logging.NullHandler())
    warnings.simplefilter("ignore")
    with atheris.instrument_imports(include=INSTRUMENTED):
        target = registry.load(name)
    run = target.run
    if is_metered:
        version = version_of_what_is_loaded()
        meter = Meter(target=run, place=Place(Path(ledger)), version=version, seconds=seconds, end=_end)
        if not meter.begin():
            return
        run = meter.run
    atheris.Setup(sys.argv, run)
    atheris.Fuzz()


def _end() -> None:
    """Has libFuzzer end in peace, after the input that it is trying."""
    os.kill(os.getpid(), signal.SIGUSR1)


if __name__ == "__main__":
    main()
