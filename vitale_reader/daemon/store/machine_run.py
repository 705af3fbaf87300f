"""The run of the machine, from its start to its end: the seconds that it counts, and its name.

Nobody can set these seconds, and those that the machine slept count. The name tells one run from the next. Where there
is none it is empty, and no time is carried over from one process to another.

- Linux: ``CLOCK_BOOTTIME``, and the ``boot_id`` of the kernel
  (https://docs.kernel.org/admin-guide/sysctl/kernel.html#random).
- macOS: ``CLOCK_MONOTONIC_RAW``, which goes on in sleep (clock_gettime(3)). The name is the boot session that XNU draws
  at each start. Its ``kern.boottime`` moves when the clock is set, and names nothing.
- Windows: ``GetTickCount64``, which counts sleep and hibernation. The name is in a key of the registry that is in
  memory alone (``REG_OPTION_VOLATILE``). It is gone with the run, or with the user's last session. The times of a start
  that Windows tells move when the clock is set.
"""

import contextlib
import sys
import time

__all__ = ["boot", "steady"]

if sys.platform == "linux":
    from pathlib import Path

    def steady() -> float:
        """Seconds of this run of the machine, with those that it slept."""
        return time.clock_gettime(time.CLOCK_BOOTTIME)

    def boot() -> str:
        """Name of this run of the machine; empty where it has none."""
        with contextlib.suppress(OSError):
            return Path("/proc/sys/kernel/random/boot_id").read_text("ascii").strip()
        return ""

elif sys.platform == "darwin":
    import ctypes

    #: Bytes of a UUID as text, with the zero at its end.
    _UUID = 37

    def steady() -> float:
        """Seconds of this run of the machine, with those that it slept."""
        return time.clock_gettime(time.CLOCK_MONOTONIC_RAW)

    def boot() -> str:
        """Name of this run of the machine; empty where it has none."""
        name, size = ctypes.create_string_buffer(_UUID), ctypes.c_size_t(_UUID)
        ask = ctypes.CDLL(None).sysctlbyname
        ask.argtypes = (ctypes.c_char_p, ctypes.c_void_p, ctypes.c_void_p, ctypes.c_void_p, ctypes.c_size_t)
        found = ask(b"kern.bootsessionuuid", name, ctypes.byref(size), None, 0)
        return name.value.decode("ascii", "replace") if found == 0 and size.value == _UUID else ""

elif sys.platform == "win32":
    import ctypes
    import uuid
    import winreg

    _KEY = r"Software\vitale-reader run of the machine"
    _REG_OPTION_VOLATILE, _REG_CREATED_NEW_KEY, _KEY_QUERY_VALUE = 1, 1, 1

    _kernel = ctypes.WinDLL("kernel32")
    _kernel.GetTickCount64.argtypes = ()
    _kernel.GetTickCount64.restype = ctypes.c_uint64
    _advapi = ctypes.WinDLL("advapi32")
    _advapi.RegCreateKeyExW.argtypes = (
        *(ctypes.c_void_p, ctypes.c_wchar_p, ctypes.c_uint32, ctypes.c_wchar_p, ctypes.c_uint32, ctypes.c_uint32),
        *(ctypes.c_void_p, ctypes.c_void_p, ctypes.c_void_p),
    )
    _advapi.RegCloseKey.argtypes = (ctypes.c_void_p,)

    def steady() -> float:
        """Seconds of this run of the machine, with those that it slept."""
        return int(_kernel.GetTickCount64()) / 1_000

    def boot() -> str:
        """Name of this run of the machine; empty where it has none."""
        with contextlib.suppress(OSError):
            if _made_for_this_run():
                with winreg.CreateKeyEx(winreg.HKEY_CURRENT_USER, _KEY, 0, winreg.KEY_SET_VALUE) as key:
                    winreg.SetValueEx(key, "", 0, winreg.REG_SZ, str(uuid.uuid4()))
            with winreg.OpenKey(winreg.HKEY_CURRENT_USER, _KEY) as key:
                return str(winreg.QueryValueEx(key, "")[0])
        return ""

    def _made_for_this_run() -> bool:
        """Makes the key in memory where there is none; whether there was none."""
        hive, key, how = ctypes.c_void_p(winreg.HKEY_CURRENT_USER), ctypes.c_void_p(), ctypes.c_uint32()
        given = (hive, _KEY, 0, None, _REG_OPTION_VOLATILE, _KEY_QUERY_VALUE, None)
        if _advapi.RegCreateKeyExW(*given, ctypes.byref(key), ctypes.byref(how)):
            return False
        _advapi.RegCloseKey(key)
        return how.value == _REG_CREATED_NEW_KEY

else:

    def steady() -> float:
        """Seconds of this run of the machine."""
        return time.monotonic()

    def boot() -> str:
        """Empty: nothing names a run of the machine."""
        return ""
