"""The offspring of the daemon: a worker and what it started, held together and ended together on each system.

Elsewhere than on Windows a worker leads a session. On Windows it is put into a job object, which the system ends with
the daemon, however that ends. A worker starts nothing before it was told its options, and is in its job by then.
"""

import contextlib
import ctypes
import os
import signal
import subprocess
import sys

__all__ = ["WITHOUT_WINDOW", "Offspring"]

# winnt.h: JobObjectExtendedLimitInformation, JOB_OBJECT_LIMIT_KILL_ON_JOB_CLOSE, PROCESS_SET_QUOTA | PROCESS_TERMINATE.
EXTENDED_LIMITS = 9
KILL_ON_JOB_CLOSE = 0x2000
SET_QUOTA_AND_TERMINATE = 0x0101


class ExtendedLimits(ctypes.Structure):
    """``JOBOBJECT_EXTENDED_LIMIT_INFORMATION``, with its two parts in one."""

    _fields_ = (
        ("per_process_user_time_limit", ctypes.c_int64),
        ("per_job_user_time_limit", ctypes.c_int64),
        ("limit_flags", ctypes.c_uint32),
        ("minimum_working_set_size", ctypes.c_size_t),
        ("maximum_working_set_size", ctypes.c_size_t),
        ("active_process_limit", ctypes.c_uint32),
        ("affinity", ctypes.c_size_t),
        ("priority_class", ctypes.c_uint32),
        ("scheduling_class", ctypes.c_uint32),
        ("io_counters", ctypes.c_uint64 * 6),
        ("process_memory_limit", ctypes.c_size_t),
        ("job_memory_limit", ctypes.c_size_t),
        ("peak_process_memory_used", ctypes.c_size_t),
        ("peak_job_memory_used", ctypes.c_size_t),
    )


if sys.platform == "win32":
    WITHOUT_WINDOW = subprocess.CREATE_NO_WINDOW
    """Flags of a process that shows no console, nor hears the Ctrl-C of another's."""

    class Offspring:
        """A worker and what it starts from now on.

        Args:
            leader: the worker's process.

        Raises:
            OSError: the system refuses to hold it.
        """

        def __init__(self, leader: int) -> None:
            self._kernel = ctypes.WinDLL("kernel32", use_last_error=True)
            for name in ("CreateJobObjectW", "OpenProcess"):
                getattr(self._kernel, name).restype = ctypes.c_void_p
            self._job = self._made(self._kernel.CreateJobObjectW(None, None))
            try:
                limits = ExtendedLimits(limit_flags=KILL_ON_JOB_CLOSE)
                size = ctypes.sizeof(limits)
                self._require(
                    self._kernel.SetInformationJobObject(self._job, EXTENDED_LIMITS, ctypes.byref(limits), size)
                )
                process = self._made(self._kernel.OpenProcess(SET_QUOTA_AND_TERMINATE, 0, leader))
                try:
                    self._require(self._kernel.AssignProcessToJobObject(self._job, process))
                finally:
                    self._kernel.CloseHandle(process)
            except OSError:
                self._kernel.CloseHandle(self._job)
                raise

        def end(self) -> None:
            """Ends all of it that lives."""
            self._kernel.TerminateJobObject(self._job, 1)
            self._kernel.CloseHandle(self._job)

        def _made(self, handle: int | None) -> ctypes.c_void_p:
            if not handle:
                raise ctypes.WinError(ctypes.get_last_error())
            return ctypes.c_void_p(handle)

        def _require(self, done: int) -> None:
            if not done:
                raise ctypes.WinError(ctypes.get_last_error())

else:
    WITHOUT_WINDOW = 0
    """Flags of a process that shows no console: there are none."""

    class Offspring:
        """A worker and what it starts in its session.

        Args:
            leader: the worker's process.
        """

        def __init__(self, leader: int) -> None:
            self._leader = leader

        def end(self) -> None:
            """Ends all of it that lives."""
            with contextlib.suppress(ProcessLookupError, PermissionError):
                os.killpg(self._leader, signal.SIGKILL)
