"""What the package holds beside the environment, by its path."""

from collections.abc import Iterator
from importlib.metadata import distributions

from debian_package.copyright_file import copyright_of
from debian_package.udev_rules import rules
from vitale_reader.cli.completion import script
from vitale_reader.cli.root import COMMANDS
from vitale_reader.diagnosis.desk.usb import known_devices
from vitale_reader.service import systemd

__all__ = ["PROGRAM", "files"]

PROGRAM = "/usr/bin/vitale-reader"

#: A user's own daemon starts with their session, unless the machine has one for everybody. Users that run services
#: or the login screen have sessions too, and no desk.
USER_CONDITIONS = """\
[Unit]
ConditionUser=!@system
ConditionPathExists=!/etc/systemd/system/multi-user.target.wants/vitale-reader.service
"""

DESKTOP = """\
[Desktop Entry]
Type=Application
Name=vitale-reader
Comment=Shows the desk that reads the carte Vitale
Comment[fr]=Montre le poste qui lit la carte Vitale
Exec=vitale-reader dashboard
Icon=auth-smartcard
Terminal=false
Categories=Office;
"""

#: Where each shell looks for what packages bring.
_COMPLETIONS = {
    "bash": "usr/share/bash-completion/completions/vitale-reader",
    "zsh": "usr/share/zsh/vendor-completions/_vitale-reader",
    "fish": "usr/share/fish/vendor_completions.d/vitale-reader.fish",
}


def files() -> Iterator[tuple[str, str]]:
    """Each path from the root of the system, and its text."""
    serve = (PROGRAM, "serve")
    yield "usr/lib/systemd/system/vitale-reader.service", systemd.unit("system", serve)
    yield "usr/lib/systemd/user/vitale-reader.service", systemd.unit("user", serve)
    yield "usr/lib/systemd/user/vitale-reader.service.d/package.conf", USER_CONDITIONS
    yield "usr/lib/sysusers.d/vitale-reader.conf", systemd.accounts()
    yield "usr/share/polkit-1/rules.d/vitale-reader.rules", systemd.pcsc_rule()
    yield "usr/lib/udev/rules.d/60-vitale-reader.rules", rules(known_devices())
    yield "usr/share/doc/vitale-reader/copyright", copyright_of(distributions())
    for shell, place in _COMPLETIONS.items():
        yield place, script(shell)
    if "dashboard" in COMMANDS:
        yield "usr/share/applications/vitale-reader.desktop", DESKTOP
