"""Archives of the extension: ``python -m vitale_reader.web.extension.packing`` makes one for each family of browsers.

Both are made of one source; the manifest is the shared part and the part of the family. The same source makes the same
bytes: names in order, one date, one mode, nothing compressed by a library that could do it otherwise tomorrow.
"""

import argparse
import io
import json
import re
import sys
import zipfile
from collections.abc import Collection, Sequence
from pathlib import Path
from typing import Any, Final, get_args

from vitale_protocol.web.extensions import Family
from vitale_reader.version import VERSION

__all__ = ["FAMILIES", "archive", "files", "main"]

FAMILIES: Final[tuple[Family, ...]] = get_args(Family)
SOURCE: Final = Path(__file__).parent / "source"

#: Earliest date of the format (APPNOTE.TXT, 4.4.6).
EPOCH: Final = (1980, 1, 1, 0, 0, 0)
#: Host system of the entries, and their mode: a file that all may read.
UNIX, READABLE = 3, 0o100644


def files(family: Family, sites: Collection[str] = ()) -> dict[str, bytes]:
    """The files of the extension, by their paths.

    Args:
        family: of browsers.
        sites: patterns that are granted without a click, as tests need them; none in what is given to users.
    """
    found = {
        path.relative_to(SOURCE).as_posix(): path.read_bytes()
        for path in sorted(SOURCE.rglob("*"))
        if path.is_file() and path.name not in {f"{each}.json" for each in FAMILIES}
    }
    found["manifest.json"] = json.dumps(_manifest(family, sites), indent=2, ensure_ascii=False).encode() + b"\n"
    return found


def archive(family: Family, sites: Collection[str] = ()) -> bytes:
    """The archive of the extension (see ``files``)."""
    content = io.BytesIO()
    with zipfile.ZipFile(content, "w", zipfile.ZIP_STORED) as written:
        for name, data in sorted(files(family, sites).items()):
            entry = zipfile.ZipInfo(name, EPOCH)
            entry.create_system, entry.external_attr = UNIX, READABLE << 16
            written.writestr(entry, data)
    return content.getvalue()


def _manifest(family: Family, sites: Collection[str]) -> dict[str, Any]:
    shared, own = (json.loads((SOURCE / f"{name}.json").read_text("utf-8")) for name in ("manifest", family))
    granted = {"host_permissions": [*sites]} if sites else {}
    # Browsers know numbers alone.
    numbers = re.match(r"\d+(\.\d+)*", VERSION)
    return {**shared, "version": numbers[0] if numbers else "0", **own, **granted}


def main(arguments: Sequence[str] | None = None) -> None:
    """Writes both archives into a folder."""
    parser = argparse.ArgumentParser(description="Writes the archives of the extension for browsers.")
    parser.add_argument("folder", type=Path, nargs="?", default=Path("dist"))
    folder: Path = parser.parse_args(arguments).folder
    folder.mkdir(parents=True, exist_ok=True)
    for family in FAMILIES:
        file = folder / f"vitale-reader-{family}-{VERSION}.zip"
        file.write_bytes(archive(family))
        sys.stdout.write(f"{file}\n")


if __name__ == "__main__":
    main()
