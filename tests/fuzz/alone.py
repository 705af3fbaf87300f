"""One input once through its target, without a fuzzer: ``python -m tests.fuzz.alone NAME FILE SECONDS``.

The kernel ends the process where the input takes more processor time than that; a machine that is busy with other
things does not count.
"""

import resource
import sys
from math import ceil
from pathlib import Path
from time import process_time

from tests.fuzz import registry

assert sys.platform != "win32"  # there is no fuzzer that would ask for this

__all__ = ["play"]


def play(name: str, file: Path, seconds: float) -> None:
    """Gives an input to a target."""
    target, content = registry.load(name), file.read_bytes()
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    resource.setrlimit(resource.RLIMIT_CPU, (ceil(process_time() + seconds), resource.RLIM_INFINITY))
    target.run(content)


if __name__ == "__main__":
    play(sys.argv[1], Path(sys.argv[2]), float(sys.argv[3]))
