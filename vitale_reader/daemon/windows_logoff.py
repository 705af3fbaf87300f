"""The end of a Windows session, told by a hidden window to a program that may have no console.

At a log-off or shutdown the system ends whoever has no window without a word. One that has a window is asked first
(WM_QUERYENDSESSION) and told then (WM_ENDSESSION), and has some five seconds. A console's handler hears nothing of it
in a program that has loaded user32 (SetConsoleCtrlHandler, remarks).
"""

import ctypes
import sys
import threading
from collections.abc import Callable
from ctypes import wintypes

__all__ = ["tell_session_end"]

if sys.platform == "win32":
    NAME = "vitale-reader"
    WM_ENDSESSION, WM_QUERYENDSESSION = 0x0016, 0x0011

    _Procedure = ctypes.WINFUNCTYPE(
        ctypes.c_ssize_t, ctypes.c_void_p, ctypes.c_uint32, ctypes.c_size_t, ctypes.c_ssize_t
    )

    class _WindowClass(ctypes.Structure):
        """The shape of a window (WNDCLASSW)."""

        _fields_ = (
            ("style", ctypes.c_uint32),
            ("procedure", _Procedure),
            ("class_bytes", ctypes.c_int),
            ("window_bytes", ctypes.c_int),
            ("instance", ctypes.c_void_p),
            ("icon", ctypes.c_void_p),
            ("cursor", ctypes.c_void_p),
            ("background", ctypes.c_void_p),
            ("menu", ctypes.c_wchar_p),
            ("name", ctypes.c_wchar_p),
        )

    def tell_session_end(end: Callable[[], None]) -> None:
        """Calls ``end`` in a thread when the user's session ends; the process may be ended when it returns."""
        threading.Thread(target=_watch, args=(end,), name="session end", daemon=True).start()

    def _watch(end: Callable[[], None]) -> None:
        user = ctypes.WinDLL("user32")
        user.DefWindowProcW.argtypes = (ctypes.c_void_p, ctypes.c_uint32, ctypes.c_size_t, ctypes.c_ssize_t)
        user.DefWindowProcW.restype = ctypes.c_ssize_t
        user.RegisterClassW.argtypes = (ctypes.c_void_p,)
        user.CreateWindowExW.argtypes = (
            *(ctypes.c_uint32, ctypes.c_wchar_p, ctypes.c_wchar_p, ctypes.c_uint32),
            *(ctypes.c_int, ctypes.c_int, ctypes.c_int, ctypes.c_int),
            *(ctypes.c_void_p, ctypes.c_void_p, ctypes.c_void_p, ctypes.c_void_p),
        )
        user.CreateWindowExW.restype = ctypes.c_void_p
        user.GetMessageW.argtypes = (ctypes.c_void_p, ctypes.c_void_p, ctypes.c_uint32, ctypes.c_uint32)
        user.DispatchMessageW.argtypes = (ctypes.c_void_p,)

        def told(window: int, message: int, parameter: int, more: int) -> int:
            if message == WM_QUERYENDSESSION:
                return 1
            if message == WM_ENDSESSION:
                if parameter:  # nobody else has refused
                    end()
                return 0
            return int(user.DefWindowProcW(window, message, parameter, more))

        procedure = _Procedure(told)
        shape = _WindowClass(procedure=procedure, name=NAME)
        user.RegisterClassW(ctypes.byref(shape))
        # At the top of all windows, since those for messages alone are told nothing; and never shown.
        window = user.CreateWindowExW(0, NAME, NAME, 0, 0, 0, 0, 0, None, None, None, None)
        message = wintypes.MSG()
        while window and user.GetMessageW(ctypes.byref(message), None, 0, 0) > 0:
            user.DispatchMessageW(ctypes.byref(message))

else:

    def tell_session_end(end: Callable[[], None]) -> None:
        """Nothing: where a session ends, the system sends a signal."""
