"""The control file of the package, and its version."""

import re

__all__ = ["control", "debian_version"]

#: Beside the libraries that ``dpkg-shlibdeps`` finds: the service of the readers, libraries that pyscard and libusb1
#: load by their names, and systemd-sysusers, which makes the account.
NEEDED = (
    "pcscd",
    "libpcsclite1",
    "libusb-1.0-0",
    "systemd | systemd-standalone-sysusers | systemd-sysusers",
)

DESCRIPTION = """\
Description: carte Vitale at the desk: one daemon, one signed token
 vitale-reader reads the carte Vitale that is presented at a French pharmacy or
 practice: the chip card in a PC/SC reader, the phone on an NFC reader, the code
 before a webcam or an imager. Billing software gets a signed token for it, over
 a local socket.
 .
 The package holds the daemon, its drivers and the command line in an
 environment of their own, which the Python of this release runs.
"""


def debian_version(version: str, development: str, release: str) -> str:
    """The version of a package.

    Args:
        version: of vitale-reader, as PEP 440 has it.
        development: what tells one commit from another before ``version`` is released; empty for the release itself.
        release: the major number of the Debian that the package is made for. A later one makes a later package.
    """
    # deb-version(7): a tilde comes before everything, even before the end.
    upstream = re.sub(r"\.?(a|b|rc|dev)(?=\d)", r"~\1", version)
    return f"{upstream}{f'~{development}' if development else ''}-1+deb{release}"


def control(version: str, architecture: str, maintainer: str, python: str, libraries: str, kibibytes: int) -> str:
    """Text of the control file.

    Args:
        version: as ``debian_version`` gives it.
        architecture: Debian's name of the processor.
        maintainer: ``Name <address>``, of whoever builds.
        python: the minor version that the environment belongs to, ``3.11``.
        libraries: what ``dpkg-shlibdeps`` found, as a list for ``Depends``.
        kibibytes: the size of what is installed.
    """
    major, minor = python.split(".")
    interpreter = (f"python3 (>= {python}~)", f"python3 (<< {major}.{int(minor) + 1}~)")
    fields = (
        ("Package", "vitale-reader"),
        ("Version", version),
        ("Architecture", architecture),
        ("Maintainer", maintainer),
        ("Installed-Size", str(kibibytes)),
        ("Depends", ", ".join((*interpreter, *NEEDED, libraries))),
        ("Recommends", "polkitd, libpam-systemd, dbus-user-session, libzbar0t64 | libzbar0"),
        ("Section", "misc"),
        ("Priority", "optional"),
    )
    return "".join(f"{name}: {value}\n" for name, value in fields) + DESCRIPTION
