"""Stand-ins for libraries of Windows: the functions that the product calls, by Microsoft's own descriptions.

What they are given is looked at as the real ones would: the number of arguments, and the bytes of structures. Who calls
one that is not here is told so.
"""

import contextlib
import ctypes
import errno
import json
import os
import signal
import sys
import threading
import time
import types
from collections.abc import Callable
from pathlib import Path
from typing import Any, Self

assert sys.platform != "win32"

SHARING_VIOLATION = 32
INVALID_PARAMETER = 87

_last = [0]


def last_error() -> int:
    return _last[0]


def win_error(code: int) -> OSError:
    """The error that Python makes of a code, with ``winerror`` as there."""
    kind = {2: errno.ENOENT, 5: errno.EACCES, SHARING_VIOLATION: errno.EACCES}.get(code, errno.EINVAL)
    error = OSError(kind, f"[WinError {code}]")
    vars(error)["winerror"] = code
    return error


class Function:
    """A function of a library; a handle is returned whole only where ``restype`` says so, as there."""

    def __init__(self, call: Callable[..., int]) -> None:
        self.restype: Any = ctypes.c_int
        self.argtypes: Any = None
        self._call = call

    def __call__(self, *arguments: Any) -> int | None:
        if self.argtypes is not None:
            assert len(arguments) == len(self.argtypes)
        found = self._call(*arguments)
        whole = self.restype in {ctypes.c_void_p, ctypes.c_uint64}
        return found if whole else ctypes.c_int(found).value


def value(handle: Any) -> int:
    assert isinstance(handle, ctypes.c_void_p), "a handle has 64 bits, and a bare number 32"
    return handle.value or 0


# ── the files of the C library ──

#: A flag of ``open`` that nothing else uses here: the file goes when its descriptor is closed.
TEMPORARY = 1 << 29

_temporary: dict[int, Any] = {}


def open_file(path: Any, flags: int, *mode: int) -> int:
    """``os.open``, which knows files that go."""
    descriptor = os.open(path, flags & ~TEMPORARY, *mode)
    if flags & TEMPORARY:
        _temporary[descriptor] = path
    return descriptor


def close_file(descriptor: int) -> None:
    """``os.close``, with which such a file goes."""
    path = _temporary.pop(descriptor, None)
    os.close(descriptor)
    if path is not None:
        Path(path).unlink()


# ── kernel32 ──

#: More than 32 bits, so that a handle that is cut is noticed.
_FIRST_HANDLE = 0x1_0000_0000

_jobs: dict[int, dict[str, Any]] = {}
_processes: dict[int, int] = {}
_console: list[Any] = []


def _new_handle() -> int:
    return _FIRST_HANDLE + len(_jobs) + len(_processes)


def create_job(attributes: None, name: None) -> int:
    handle = _new_handle()
    _jobs[handle] = {"pids": set(), "flags": 0}
    return handle


def limit_job(job: Any, kind: int, limits: Any, size: int) -> int:
    # JOBOBJECT_EXTENDED_LIMIT_INFORMATION is 9, and has 144 bytes where pointers have eight.
    if (kind, size) != (9, 144):
        _last[0] = INVALID_PARAMETER
        return 0
    content = ctypes.string_at(limits, size)
    _jobs[value(job)]["flags"] = int.from_bytes(content[16:20], "little")
    return 1


def open_process(rights: int, inherited: int, pid: int) -> int:
    if not Path(f"/proc/{pid}").exists():
        _last[0] = INVALID_PARAMETER
        return 0
    handle = _new_handle()
    _processes[handle] = pid
    return handle


def assign(job: Any, process: Any) -> int:
    _jobs[value(job)]["pids"].add(_processes[value(process)])
    return 1


def terminate(job: Any, status: int) -> int:
    for pid in _members(_jobs[value(job)]["pids"]):
        with contextlib.suppress(ProcessLookupError):
            os.kill(pid, signal.SIGKILL)
    return 1


def close(handle: Any) -> int:
    job = _jobs.get(value(handle))
    if job is not None and job["flags"] & 0x2000:
        terminate(handle, 0)
    return 1


def _members(leaders: set[int]) -> set[int]:
    """Who is in a job: those that were put there, and what they started since; by their session here."""
    found = set(leaders)
    for entry in Path("/proc").glob("[0-9]*"):
        with contextlib.suppress(OSError):
            if os.getsid(int(entry.name)) in leaders:
                found.add(int(entry.name))
    return found


def handle_console(handler: Any, added: int) -> int:
    assert added
    _console.append(handler)
    return 1


def close_window() -> None:
    """The window of the console is closed: the handlers are told, in a thread of their own (CTRL_CLOSE_EVENT)."""
    threading.Thread(target=lambda: [handler(2) for handler in tuple(_console)], daemon=True).start()


# ── user32: a window ──

_shapes: dict[str, Any] = {}
_windows: dict[int, Any] = {}
_log_off = threading.Event()


class WindowClass(ctypes.Structure):
    """WNDCLASSW, as far as its procedure and its name, on a machine of 64 bits."""

    _fields_ = (
        ("style", ctypes.c_uint32),
        (
            "procedure",
            ctypes.CFUNCTYPE(ctypes.c_ssize_t, ctypes.c_void_p, ctypes.c_uint32, ctypes.c_size_t, ctypes.c_ssize_t),
        ),
        ("bytes", ctypes.c_int * 2),
        ("handles", ctypes.c_void_p * 4),
        ("menu", ctypes.c_wchar_p),
        ("name", ctypes.c_wchar_p),
    )


def register_class(shape: Any) -> int:
    found = ctypes.cast(shape, ctypes.POINTER(WindowClass)).contents
    _shapes[found.name] = found.procedure
    return 1


def create_window(_more: int, shape: str, _title: str, style: int, *place: Any) -> int:
    assert (style, len(place)) == (0, 8), "nobody sees it"
    handle = _new_handle()
    _windows[handle] = _shapes[shape]
    return handle


def get_message(message: Any, window: Any, first: int, last: int) -> int:
    """Waits; what is sent to a window is told to its procedure meanwhile, and no message of the queue."""
    _log_off.wait()
    for handle, procedure in _windows.items():
        if procedure(handle, 0x11, 0, 0):
            procedure(handle, 0x16, 1, 0)
    threading.Event().wait()
    return 0


def other_message(window: Any, message: int, parameter: int, more: int) -> int:
    return 0


def dispatch(message: Any) -> int:
    return 0


def log_off() -> None:
    """The user logs off: the windows are asked and told, in the thread that waits for messages."""
    _log_off.set()


# ── advapi32: access lists of files, as text in a file of the test ──

ME = "S-1-5-21-1004336348-1177238915-682003330-1001"

#: What a folder of a user's own profile has.
PROFILE = f"O:{ME}D:(A;OICIID;FA;;;SY)(A;OICIID;FA;;;BA)(A;OICIID;FA;;;{ME})"

_texts: dict[int, Any] = {}
_descriptors: dict[int, str] = {}


def _lists() -> dict[str, str]:
    place = os.environ.get("VITALE_STAND_IN_LISTS")
    return dict(json.loads(Path(place).read_text("utf-8"))) if place else {}


def list_of(path: str) -> str:
    """The list of a file: its own, else that of the nearest folder that has one."""
    lists = _lists()
    for place in (Path(path), *Path(path).parents):
        if str(place) in lists:
            return lists[str(place)]
    return PROFILE


def _new_text(text: str) -> int:
    buffer = ctypes.create_unicode_buffer(text)
    _texts[ctypes.addressof(buffer)] = buffer
    return ctypes.addressof(buffer)


def _new_descriptor(text: str) -> int:
    handle = _FIRST_HANDLE + len(_descriptors)
    _descriptors[handle] = text
    return handle


def _give_text(where: Any, text: str) -> int:
    where._obj.value = ctypes.cast(_new_text(text), ctypes.c_wchar_p).value
    return 1


def look_at(path: str, kind: int, what: int, *pointers: Any) -> int:
    assert (kind, what) == (1, 0x1 | 0x4)
    if not Path(path).exists():
        return 2
    pointers[4]._obj.value = _new_descriptor(list_of(path))
    return 0


def put(path: str, kind: int, what: int, owner: None, group: None, dacl: Any, sacl: None) -> int:
    assert (kind, what) == (1, 0x4 | 0x80000000), "a list of its own, into which nothing is inherited"
    place, lists = os.environ.get("VITALE_STAND_IN_LISTS"), _lists()
    if place and not os.environ.get("VITALE_STAND_IN_NO_LISTS"):
        former = list_of(path)
        lists[path] = former[: former.index("D:")] + _descriptors[value(dacl)]
        Path(place).write_text(json.dumps(lists), "utf-8")
    return 0


def give_descriptor(text: str, revision: int, where: Any, size: None) -> int:
    where._obj.value = _new_descriptor(text)
    return 1


def give_text(descriptor: Any, revision: int, what: int, where: Any, size: None) -> int:
    return _give_text(where, _descriptors[value(descriptor)])


def give_sid(sid: Any, where: Any) -> int:
    return _give_text(where, ctypes.wstring_at(value(sid)))


def give_list(descriptor: Any, present: Any, dacl: Any, defaulted: Any) -> int:
    text = _descriptors[value(descriptor)]
    present._obj.value, dacl._obj.value = 1, _new_descriptor(text[text.index("D:") :])
    return 1


def give_token(process: Any, rights: int, where: Any) -> int:
    assert rights == 0x8
    where._obj.value = _FIRST_HANDLE
    return 1


def give_user(token: Any, kind: int, buffer: Any, size: int, needed: Any) -> int:
    needed._obj.value = 44
    if buffer is None:
        _last[0] = 122  # ERROR_INSUFFICIENT_BUFFER
        return 0
    ctypes.memmove(buffer, ctypes.byref(ctypes.c_void_p(_new_text(ME))), ctypes.sizeof(ctypes.c_void_p))
    return 1


def free(pointer: Any) -> int:
    return 0


# ── the registry, from a file of the test: {key: {name: value}} ──


def registry() -> types.ModuleType:
    """A module ``winreg``."""
    module = types.ModuleType("winreg")

    class Key:
        def __init__(self, path: str) -> None:
            self.path = path

        def __enter__(self) -> Self:
            return self

        def __exit__(self, *_: object) -> None:
            pass

    def keys() -> dict[str, dict[str, str]]:
        place = os.environ.get("VITALE_STAND_IN_REGISTRY")
        return dict(json.loads(Path(place).read_text("utf-8"))) if place else {}

    def open_key(hive: int, path: str) -> Key:
        full = f"{hive}\\{path}"
        if not any(key == full or key.startswith(f"{full}\\") for key in keys()):
            raise win_error(2)
        return Key(full)

    def query(key: Key, name: str) -> tuple[str, int]:
        found = keys().get(key.path, {})
        if name not in found:
            raise win_error(2)
        return found[name], 1

    def write(content: dict[str, dict[str, str]]) -> None:
        Path(os.environ["VITALE_STAND_IN_REGISTRY"]).write_text(json.dumps(content), "utf-8")

    def create_key(hive: int, path: str, reserved: int, access: int) -> Key:
        assert (reserved, access) == (0, 2)
        parts = f"{hive}\\{path}".split("\\")
        made = {"\\".join(parts[:end]): dict[str, str]() for end in range(2, len(parts) + 1)}
        write(made | keys())
        return Key(f"{hive}\\{path}")

    def set_value(key: Key, name: str, reserved: int, kind: int, value: str) -> None:
        assert (reserved, kind) == (0, 1)
        content = keys()
        content[key.path][name] = value
        write(content)

    def delete_key(hive: int, path: str) -> None:
        content, full = keys(), f"{hive}\\{path}"
        if full not in content:
            raise win_error(2)
        if any(key.startswith(f"{full}\\") for key in content):
            raise win_error(5)  # ERROR_ACCESS_DENIED: keys are below
        del content[full]
        write(content)

    def told(key: Key) -> tuple[int, int, int]:
        content = keys()
        below = {
            name.removeprefix(f"{key.path}\\").partition("\\")[0]
            for name in content
            if name.startswith(f"{key.path}\\")
        }
        return len(below), len(content.get(key.path, {})), 0

    def enumerate_keys(key: Key, number: int) -> str:
        prefix = f"{key.path}\\"
        below = sorted({name.removeprefix(prefix).partition("\\")[0] for name in keys() if name.startswith(prefix)})
        if number >= len(below):
            raise win_error(259)  # ERROR_NO_MORE_ITEMS
        return below[number]

    vars(module).update(
        HKEY_LOCAL_MACHINE=1,
        HKEY_CURRENT_USER=2,
        KEY_SET_VALUE=2,
        REG_SZ=1,
        CreateKeyEx=create_key,
        DeleteKey=delete_key,
        EnumKey=enumerate_keys,
        OpenKey=open_key,
        QueryInfoKey=told,
        QueryValueEx=query,
        SetValueEx=set_value,
    )
    return module


#: In the file of the registry, the keys that are in memory alone: a test that plays a restart takes them out.
IN_MEMORY = "in memory"


def create_registry_key(
    hive: Any,
    path: str,
    reserved: int,
    kind: None,
    options: int,
    access: int,
    security: None,
    where: Any,
    how: Any,
) -> int:
    """``RegCreateKeyExW``, of keys in memory alone; the option is ignored for a key that is there."""
    assert (reserved, kind, options, access, security) == (0, None, 1, 1, None)
    if not (place := os.environ.get("VITALE_STAND_IN_REGISTRY")):
        return 5  # ERROR_ACCESS_DENIED
    file, full = Path(place), f"{value(hive)}\\{path}"
    content = json.loads(file.read_text("utf-8"))
    is_new = full not in content
    if is_new:
        content[full] = {}
        content.setdefault(IN_MEMORY, {})[full] = ""
        file.write_text(json.dumps(content), "utf-8")
    where._obj.value, how._obj.value = _new_handle(), 1 if is_new else 2
    return 0


def close_registry_key(handle: Any) -> int:
    return 0 if value(handle) else INVALID_PARAMETER


def system_library(name: str | None) -> Any:
    """The library of macOS that is always loaded; a test names the run of the machine, and may load others itself."""
    if name is not None and os.environ.get("VITALE_STAND_IN_TESTS"):
        return ctypes.CDLL(name)

    def ask(name: bytes, where: Any, size: Any, new: None, length: int) -> int:
        assert (name, new, length) == (b"kern.bootsessionuuid", None, 0)
        told = os.environ.get("VITALE_STAND_IN_BOOT", "").encode()
        if not told:
            return -1
        assert size._obj.value > len(told)
        where.value, size._obj.value = told, len(told) + 1
        return 0

    class Ask:
        argtypes: Any = None

        def __call__(self, *arguments: Any) -> int:
            assert len(arguments) == len(self.argtypes)
            return ask(*arguments)

    assert name is None
    return types.SimpleNamespace(sysctlbyname=Ask())


# ── winscard ──


def device_instance(context: Any, reader: Any, instance: Any, length: Any) -> int:
    assert value(context) == _FIRST_HANDLE
    if reader.value != "Gemplus USB Smart Card Reader 0":
        return 0x8010_0009  # SCARD_E_UNKNOWN_READER
    instance.value = "USB\\VID_08E6&PID_3437\\0001A2"
    return 0


def system_metric(number: int) -> int:
    assert number == 0x1000
    return int(os.environ.get("VITALE_STAND_IN_REMOTE", "0"))


LIBRARIES: dict[str, dict[str, Callable[..., int]]] = {
    "advapi32": {
        "ConvertSecurityDescriptorToStringSecurityDescriptorW": give_text,
        "ConvertSidToStringSidW": give_sid,
        "ConvertStringSecurityDescriptorToSecurityDescriptorW": give_descriptor,
        "GetNamedSecurityInfoW": look_at,
        "GetSecurityDescriptorDacl": give_list,
        "GetTokenInformation": give_user,
        "OpenProcessToken": give_token,
        "RegCloseKey": close_registry_key,
        "RegCreateKeyExW": create_registry_key,
        "SetNamedSecurityInfoW": put,
    },
    "kernel32": {
        "AssignProcessToJobObject": assign,
        "CloseHandle": close,
        "GetTickCount64": lambda: int(time.monotonic() * 1_000),
        "GetCurrentProcess": lambda: 0xFFFF_FFFF_FFFF_FFFF,
        "LocalFree": free,
        "CreateJobObjectW": create_job,
        "GetUserDefaultUILanguage": lambda: int(os.environ.get("VITALE_STAND_IN_LANGUAGE", "0x0409"), 16),
        "OpenProcess": open_process,
        "SetConsoleCtrlHandler": handle_console,
        "SetInformationJobObject": limit_job,
        "TerminateJobObject": terminate,
    },
    "user32": {
        "CreateWindowExW": create_window,
        "DefWindowProcW": other_message,
        "DispatchMessageW": dispatch,
        "GetMessageW": get_message,
        "GetSystemMetrics": system_metric,
        "RegisterClassW": register_class,
    },
    "winscard": {"SCardGetReaderDeviceInstanceIdW": device_instance},
}


class WinDLL:
    """A library of Windows."""

    def __init__(self, name: str, *, use_last_error: bool = False) -> None:
        for function, call in LIBRARIES[name].items():
            setattr(self, function, Function(call))
