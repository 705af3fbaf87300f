"""Systems that look after services, played: they keep what they are told, and answer as the real ones do."""

import subprocess
from collections.abc import Sequence
from pathlib import Path

PID = 4_711


class System:
    """A recorder of commands; ``refused`` names the words of a command that fails."""

    def __init__(self) -> None:
        self.commands: list[str] = []
        self.refused = ""

    def __call__(self, command: Sequence[str]) -> "subprocess.CompletedProcess[str]":
        told = " ".join(command)
        if self.refused and self.refused in told:
            return self._answer(command, None)
        answer = self.answer(list(command))
        if not self.is_question(told):
            self.commands.append(told)
        return self._answer(command, answer)

    def answer(self, words: list[str]) -> str | None:
        """What a command says; None where it fails."""
        raise NotImplementedError

    def is_question(self, told: str) -> bool:
        raise NotImplementedError

    def taken(self) -> list[str]:
        """The commands since the last time, without questions."""
        taken, self.commands = self.commands, []
        return taken

    @staticmethod
    def _answer(command: Sequence[str], said: str | None) -> "subprocess.CompletedProcess[str]":
        if said is None:
            return subprocess.CompletedProcess(command, 1, "", "Access denied\nSee something else\n")
        return subprocess.CompletedProcess(command, 0, said, "")


class Systemd(System):
    """systemctl, systemd-sysusers and journalctl.

    ``file`` is what masking links to nothing; ``everywhere`` says that a package's unit is on for all users.
    """

    def __init__(self) -> None:
        super().__init__()
        self.active = self.enabled = self.everywhere = False
        self.journal = ""
        self.file = Path()

    def is_question(self, told: str) -> bool:
        return " show " in told or told.startswith("journalctl ")

    def answer(self, words: list[str]) -> str | None:
        if words[0] == "journalctl":
            return self.journal
        for word in words:
            if word == "mask":
                self.file.parent.mkdir(parents=True, exist_ok=True)
                self.file.symlink_to("/dev/null")
            elif word == "unmask":
                self.file.unlink()
            elif word in {"start", "restart"}:
                if self.file.is_symlink():
                    return None
                self.active = True
            elif word in {"stop", "--now"}:
                self.active = False
            elif word in {"enable", "disable"}:
                self.enabled = word == "enable"
        if "show" not in words:
            return ""
        state, file = ("active" if self.active else "inactive"), self._file_state
        return f"MainPID={PID if self.active else 0}\nActiveState={state}\nUnitFileState={file}\n"

    @property
    def _file_state(self) -> str:
        if self.file.is_symlink():
            return "masked"
        return "enabled" if self.enabled or self.everywhere else ""


class Launchd(System):
    """launchctl."""

    def __init__(self) -> None:
        super().__init__()
        self.loaded = self.active = False

    def is_question(self, told: str) -> bool:
        return " print " in told

    def answer(self, words: list[str]) -> str | None:
        verb = words[1]
        if verb == "bootstrap":
            if self.loaded or not Path(words[3]).exists():
                return None
            self.loaded = self.active = True
        elif not self.loaded:
            return None
        elif verb == "bootout":
            self.loaded = self.active = False
        elif verb in {"kickstart", "kill"}:
            self.active = verb == "kickstart"
        return f"{words[-1]} = {{\n\tstate = running\n\tpid = {PID}\n}}\n" if self.active else "{\n}\n"


class Scheduler(System):
    """schtasks."""

    def __init__(self) -> None:
        super().__init__()
        self.task = ""
        self.active = False

    def is_question(self, told: str) -> bool:
        return "/Query" in told

    def answer(self, words: list[str]) -> str | None:
        verb = words[1]
        if verb == "/Create":
            self.task = Path(words[words.index("/XML") + 1]).read_text("utf-16")
            return "OK"
        if not self.task:
            return None
        if verb == "/Delete":
            self.task = ""
        elif verb in {"/Run", "/End"}:
            self.active = verb == "/Run"
        elif verb == "/Query" and "/XML" not in words:
            # The words are those of a French Windows; numbers are the same everywhere.
            return f'"POSTE","\\vitale-reader","N/A","En cours","{267009 if self.active else 0}"\n'
        return self.task
