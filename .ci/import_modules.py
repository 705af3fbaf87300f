"""Imports every module of the packages as they are installed, where the checkout is not found."""

import importlib
import pkgutil
import sys

PACKAGES = ("vitale_protocol", "vitale_drivers", "vitale_firmware_sim", "vitale_reader")
#: Run, not imported: the first by ``python -m``, the second by Alembic.
RUN = ("__main__", "env")


def main() -> None:
    """Imports them; one that cannot be ends the program with its traceback."""
    found = 0
    for package in map(importlib.import_module, PACKAGES):
        place = package.__file__
        if place is None or "site-packages" not in place:
            sys.exit(f"{package.__name__} is not the installed one: {place}")
        for module in pkgutil.walk_packages(package.__path__, f"{package.__name__}."):
            if module.name.rpartition(".")[2] not in RUN:
                importlib.import_module(module.name)
                found += 1
    print(f"{found} modules imported")


if __name__ == "__main__":
    main()
