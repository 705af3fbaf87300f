"""Commands by which an installation runs a part of itself in a process of its own."""

import sys

__all__ = ["own_program"]


def own_program(module: str, command: str = "") -> tuple[str, ...]:
    """Returns the beginning of a command line that runs a module; nothing is imported from the folder that it runs in.

    Args:
        module: a module that is a program.
        command: stands for it in a frozen program, which has no modules to run; none for the command line itself.
    """
    if getattr(sys, "frozen", False):
        return (sys.executable, command) if command else (sys.executable,)
    return (sys.executable, "-P", "-m", module)
