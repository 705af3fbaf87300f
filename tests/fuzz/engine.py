"""One target under atheris: ``python -m tests.fuzz.engine NAME [options of libFuzzer]``.

Our own packages are instrumented, and the libraries in Python that parse for us.
"""

import logging
import shlex
import sys
import warnings

import atheris

from tests.fuzz import registry

INSTRUMENTED = [
    *("vitale_protocol", "vitale_drivers", "vitale_firmware_sim", "vitale_reader"),
    *("joserfc", "nfc.clf", "stdnum", "tomllib", "http.server", "email.feedparser", "http.client"),
]


def main() -> None:
    """Runs until libFuzzer's options say that it is over; never returns."""
    name = sys.argv.pop(1)
    # To merge, libFuzzer has a shell start the program again.
    sys.argv[0] = shlex.join([sys.executable, "-m", "tests.fuzz.engine", name])
    logging.getLogger().addHandler(logging.NullHandler())
    warnings.simplefilter("ignore")
    with atheris.instrument_imports(include=INSTRUMENTED):
        target = registry.load(name)
    atheris.Setup(sys.argv, target.run)
    atheris.Fuzz()


if __name__ == "__main__":
    main()
