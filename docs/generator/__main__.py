"""``python -m docs.generator [--check]``: writes what is made from the code, or says what is stale."""

import argparse
import sys

from docs.generator import FILES, stale, write


def main() -> int:
    """Does it; the exit status is 1 when a check finds a stale file."""
    parser = argparse.ArgumentParser(prog="python -m docs.generator", description=__doc__)
    parser.add_argument("--check", action="store_true", help="write nothing; fail when a file is stale")
    if not parser.parse_args().check:
        write()
        print(f"wrote {', '.join(FILES)}")
        return 0
    found = stale()
    for name in found:
        print(f"{name} is stale: run `make reference`", file=sys.stderr)
    return 1 if found else 0


if __name__ == "__main__":
    sys.exit(main())
