"""Tasks at logon of the Windows task scheduler: the daemon in the session of its user, without a window.

No service: one would be in session 0, which sees neither redirected readers nor cameras.
"""

import re
from collections.abc import Sequence
from pathlib import Path
from subprocess import list2cmdline
from typing import Final
from xml.sax.saxutils import escape, unescape

from vitale_reader.service.scope import Scope

__all__ = ["TASK", "program_in", "task"]

TASK: Final = "vitale-reader"

#: The group of all who log in, of which each has a daemon of their own (well-known SIDs of Windows).
_USERS: Final = "S-1-5-32-545"

_TASK: Final = """\
<?xml version="1.0" encoding="UTF-16"?>
<Task version="1.4" xmlns="http://schemas.microsoft.com/windows/2004/02/mit/task">
  <RegistrationInfo>
    <Description>vitale-reader, carte Vitale for billing software</Description>
    <URI>\\{task}</URI>
  </RegistrationInfo>
  <Triggers>
    <LogonTrigger>
      <Enabled>true</Enabled>{trigger}
    </LogonTrigger>
  </Triggers>
  <Principals>
    <Principal id="Author">
      {principal}
      <RunLevel>LeastPrivilege</RunLevel>
    </Principal>
  </Principals>
  <Settings>
    <MultipleInstancesPolicy>{instances}</MultipleInstancesPolicy>
    <DisallowStartIfOnBatteries>false</DisallowStartIfOnBatteries>
    <StopIfGoingOnBatteries>false</StopIfGoingOnBatteries>
    <AllowHardTerminate>true</AllowHardTerminate>
    <StartWhenAvailable>true</StartWhenAvailable>
    <IdleSettings>
      <StopOnIdleEnd>false</StopOnIdleEnd>
      <RestartOnIdle>false</RestartOnIdle>
    </IdleSettings>
    <AllowStartOnDemand>true</AllowStartOnDemand>
    <Enabled>true</Enabled>
    <Hidden>false</Hidden>
    <ExecutionTimeLimit>PT0S</ExecutionTimeLimit>
    <Priority>5</Priority>
    <RestartOnFailure>
      <Interval>PT1M</Interval>
      <Count>255</Count>
    </RestartOnFailure>
  </Settings>
  <Actions Context="Author">
    <Exec>
      <Command>{command}</Command>
      <Arguments>{arguments}</Arguments>
    </Exec>
  </Actions>
</Task>
"""

_COMMAND: Final = re.compile(r"<Command>([^<]*)</Command>")


def task(scope: Scope, program: Sequence[str], *, user: str, home: Path | None = None) -> str:
    """Text of a task, to be saved in UTF-16.

    Args:
        scope: whose task it is; one of the system starts a daemon for each who logs in.
        program: the command that runs the daemon in the foreground, its path first.
        user: SID or name of the user of a task of one user.
        home: folder of the station, where it is another than that of the user's commands.
    """
    # A task has no environment of its own: the folder is an option of the command.
    arguments = [*program[1:], *(("--home", str(home)) if home is not None else ())]
    own = scope == "user"
    return _TASK.format(
        task=TASK,
        trigger=f"\n      <UserId>{escape(user)}</UserId>" if own else "",
        principal=(
            f"<UserId>{escape(user)}</UserId>\n      <LogonType>InteractiveToken</LogonType>"
            if own
            else f"<GroupId>{_USERS}</GroupId>"
        ),
        instances="IgnoreNew" if own else "Parallel",
        command=escape(program[0]),
        arguments=escape(list2cmdline(arguments)),
    )


def program_in(text: str) -> str:
    """The path of the program in a task; empty where there is none."""
    found = _COMMAND.search(text)
    return unescape(found[1]) if found else ""
