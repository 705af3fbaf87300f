"""The system's language, for programs without a locale from a shell: those of launchd, and all on Windows."""

import sys
from pathlib import Path

__all__ = ["system_language"]

#: The low ten bits of a LANGID (winnt.h, PRIMARYLANGID), and French among them (LANG_FRENCH).
PRIMARY_LANGUAGE, LANG_FRENCH = 0x3FF, 0x0C

#: Where macOS keeps what a user chose; the first of ``AppleLanguages`` is the one in use.
PREFERENCES = Path("Library", "Preferences", ".GlobalPreferences.plist")

if sys.platform == "win32":
    import ctypes

    def system_language() -> str:
        """Language tag, or empty where nothing tells."""
        identifier = int(ctypes.WinDLL("kernel32").GetUserDefaultUILanguage())
        return "fr" if identifier & PRIMARY_LANGUAGE == LANG_FRENCH else "en"

elif sys.platform == "darwin":
    import plistlib

    def system_language() -> str:
        """Language tag, or empty where nothing tells."""
        try:
            chosen = plistlib.loads((Path.home() / PREFERENCES).read_bytes())["AppleLanguages"]
            return str(chosen[0])
        except (OSError, ValueError, RuntimeError, LookupError, TypeError, plistlib.InvalidFileException):
            return ""

else:

    def system_language() -> str:
        """Empty: the locale tells."""
        return ""
