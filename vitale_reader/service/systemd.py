"""Units of systemd, made of one template for a user's own service and for one of the whole machine.

| | user | system |
|---|---|---|
| runs as | whoever installs it | the account ``vitale-reader``, made by systemd-sysusers |
| its folder | that of the user's commands | ``/var/lib/vitale-reader`` |
| starts | at the user's first log-in | with the machine |
| hardening | what needs no privileges | all |

The manager of a user has no privileges. To hide files from a service it would map all other users to ``nobody``. Then
the daemon could not tell who connects. So what needs a mount namespace stands in the system's unit alone.
"""

import re
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Final

from vitale_reader.service.notification import START_SECONDS
from vitale_reader.service.scope import Scope

__all__ = ["ACCOUNT", "HIDDEN", "NAME", "STATE", "accounts", "pcsc_rule", "program_in", "unit"]

#: Name of the unit.
NAME: Final = "vitale-reader.service"

#: Account of the service of the machine, and its folder.
ACCOUNT: Final = "vitale-reader"
STATE: Final = Path("/var/lib/vitale-reader")

#: Folders that ``ProtectHome`` hides from the service of the machine (systemd.exec(5)), below the root.
HIDDEN: Final = ("home", "root", "run/user")

#: What holds in both units: seccomp filters and flags of the process, which anybody may set for their own.
_EVERYWHERE: Final = """\
UMask=0077
LimitCORE=0
NoNewPrivileges=yes
LockPersonality=yes
MemoryDenyWriteExecute=yes
RestrictNamespaces=yes
RestrictRealtime=yes
RestrictSUIDSGID=yes
# Netlink: USB devices that come and go.
RestrictAddressFamilies=AF_UNIX AF_INET AF_INET6 AF_NETLINK
SystemCallArchitectures=native
SystemCallFilter=@system-service
SystemCallFilter=~@privileged @resources
# The limit of open files, core dumps off; Landlock, in which each driver is confined.
SystemCallFilter=setrlimit prlimit64
SystemCallFilter=landlock_create_ruleset landlock_add_rule landlock_restrict_self
SystemCallErrorNumber=EPERM
"""

#: What needs a mount namespace, a device cgroup or capabilities to give up. ``ProtectProc`` is not among it: the
#: daemon asks /proc whether a process that connects is one that it started.
_SYSTEM: Final = """\
CapabilityBoundingSet=
AmbientCapabilities=
KeyringMode=private
PrivateMounts=yes
PrivateTmp=yes
ProtectClock=yes
ProtectControlGroups=yes
ProtectHome=yes
ProtectHostname=yes
ProtectKernelLogs=yes
ProtectKernelModules=yes
ProtectKernelTunables=yes
ProtectSystem=strict
RemoveIPC=yes
# Locks on serial lines.
ReadWritePaths=-/run/lock
# By their numbers, which hold before the first device is plugged in: names are known once its module is loaded.
# ttyS, video, ttyACM, ttyUSB, /dev/bus/usb (the kernel's admin-guide/devices.txt).
DevicePolicy=closed
DeviceAllow=char-4 rw
DeviceAllow=char-81 rw
DeviceAllow=char-166 rw
DeviceAllow=char-188 rw
DeviceAllow=char-189 rw
"""

#: Account, home and groups: cameras, serial lines, USB devices that a udev rule opens to ``plugdev``.
_ACCOUNTS: Final = """\
u {account} - "vitale-reader" {state}
m {account} video
m {account} dialout
m {account} plugdev
"""

_PCSC_RULE: Final = """\
// Written by vitale-reader: its service has no session, without which pcscd refuses readers and cards.
polkit.addRule(function (action, subject) {{
  if ((action.id == "org.debian.pcsc-lite.access_pcsc" || action.id == "org.debian.pcsc-lite.access_card") &&
      subject.user == "{user}") {{
    return polkit.Result.YES;
  }}
}});
"""

_EXEC_START: Final = re.compile(r"^ExecStart=(.*)$", re.MULTILINE)
_PLAIN: Final = re.compile(r"[A-Za-z0-9_./:@+,=-]+")


def unit(scope: Scope, program: Sequence[str], home: Path | None = None) -> str:
    """Text of a unit.

    Args:
        scope: whose service it is.
        program: the command that runs the daemon in the foreground, its path first.
        home: folder of the station of a user, where it is another than that of the user's commands.
    """
    if scope == "system":
        home = STATE
    return "\n\n".join("\n".join(section) for section in (_head(scope), _service(scope, program, home), _foot(scope)))


def _head(scope: Scope) -> Iterator[str]:
    yield "[Unit]"
    yield "Description=vitale-reader, carte Vitale for billing software"
    yield "Documentation=man:vitale-reader(1)"
    if scope == "system":
        yield "After=network.target pcscd.socket"
    yield "StartLimitIntervalSec=0"


def _service(scope: Scope, program: Sequence[str], home: Path | None) -> Iterator[str]:
    yield "[Service]"
    yield "Type=notify"
    # No variable is put into the path of the program (systemd.service(5)): a dollar sign is one there.
    yield f"ExecStart={' '.join((_quoted(program[0], dollar='$'), *map(_quoted, program[1:])))}"
    if home is not None:
        yield f"Environment={_quoted(f'VITALE_READER_HOME={home}')}"
    yield "Restart=on-failure"
    yield "RestartSec=5"
    yield "# A configuration that cannot be used stays so until somebody corrects it."
    yield "RestartPreventExitStatus=2"
    yield "# A database is brought up to date first."
    yield f"TimeoutStartSec={START_SECONDS}"
    if scope == "system":
        yield f"User={ACCOUNT}"
        yield f"StateDirectory={ACCOUNT}"
        yield "# Other users of the machine pass through it to the socket, and list nothing."
        yield "StateDirectoryMode=0711"
    yield _EVERYWHERE.rstrip()
    if scope == "system":
        yield _SYSTEM.rstrip()


def _foot(scope: Scope) -> Iterator[str]:
    yield "[Install]"
    yield f"WantedBy={'multi-user.target' if scope == 'system' else 'default.target'}\n"


def accounts() -> str:
    """Text for systemd-sysusers: the account of the system's service, and its groups."""
    return _ACCOUNTS.format(account=ACCOUNT, state=STATE)


def pcsc_rule(user: str = ACCOUNT) -> str:
    """Text of polkit's rule by which pcscd admits a user without a session."""
    return _PCSC_RULE.format(user=user)


def program_in(text: str) -> str:
    """The path of the program in a unit; empty where there is none."""
    if not (found := _EXEC_START.search(text)):
        return ""
    command = found[1].strip()
    if not command.startswith('"'):
        return _unquoted(command.split(" ", 1)[0])
    closing = re.match(r'"((?:[^"\\]|\\.)*)"', command)
    return _unquoted(closing[1]) if closing else ""


def _quoted(word: str, *, dollar: str = "$$") -> str:
    """A word of a command line as systemd.service(5) and systemd.syntax(7) have it."""
    if _PLAIN.fullmatch(word):
        return word
    escaped = word.replace("\\", "\\\\").replace('"', '\\"').replace("%", "%%").replace("$", dollar)
    return f'"{escaped}"'


def _unquoted(word: str) -> str:
    return re.sub(r"\\(.)|%(%)", lambda found: found[1] or found[2], word)
