"""Programs that an installation starts: a part of itself in a process of its own, and the system's."""

import os
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path

__all__ = ["itself", "own_program", "system_program"]


def own_program(module: str, command: str = "") -> tuple[str, ...]:
    """Returns the beginning of a command line that runs a module.

    Nothing is imported from the folder that it runs in.

    Args:
        module: a module that is a program.
        command: stands for it in a frozen program, which has no modules to run. Empty for the command line itself.
    """
    if getattr(sys, "frozen", False):
        return (sys.executable, command) if command else (sys.executable,)
    return (sys.executable, "-P", "-m", module)


if sys.platform == "win32":

    def itself(
        command: Sequence[str], environment: Mapping[str, str] | None = None
    ) -> tuple[Sequence[str], Mapping[str, str] | None]:
        """The command and environment with the interpreter itself in the place of a virtual environment's launcher.

        The launcher begins the interpreter as another process. Whoever ends the launcher might leave that one behind,
        and nobody would know its number. The interpreter is told of the environment as ``multiprocessing`` tells it.
        """
        interpreter = getattr(sys, "_base_executable", "") or sys.executable
        if getattr(sys, "frozen", False) or command[0] != sys.executable or interpreter == sys.executable:
            return command, environment
        told = {**(os.environ if environment is None else environment), "__PYVENV_LAUNCHER__": sys.executable}
        return (interpreter, *command[1:]), told

    def system_program(name: str) -> str:
        """The whole path of a program of the system.

        By its name alone Windows looks for it in the current folder first, where anybody may have put another.
        """
        return str(Path(os.environ.get("SYSTEMROOT", r"C:\Windows"), "System32", f"{name}.exe"))

else:

    def itself(
        command: Sequence[str], environment: Mapping[str, str] | None = None
    ) -> tuple[Sequence[str], Mapping[str, str] | None]:
        """The command and environment as they are: no launcher stands before the interpreter."""
        return command, environment

    def system_program(name: str) -> str:
        """The name of a program of the system: it is looked for in the folders that the environment names."""
        return name
