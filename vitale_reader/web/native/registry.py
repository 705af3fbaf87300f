"""The Windows registry, where browsers find manifests: one key for each host, its default value the path."""

import contextlib
import sys

__all__ = ["forget", "point", "pointed"]

if sys.platform == "win32":
    import winreg

    def point(key: str, path: str, *, everyone: bool) -> None:
        """Names a manifest.

        Raises:
            OSError: the key cannot be written, as those for everybody by who is no administrator.
        """
        with winreg.CreateKeyEx(_hive(everyone), key, 0, winreg.KEY_SET_VALUE) as made:
            winreg.SetValueEx(made, "", 0, winreg.REG_SZ, path)

    def pointed(key: str, *, everyone: bool) -> str:
        """The path that a key names; empty where there is none."""
        try:
            with winreg.OpenKey(_hive(everyone), key) as found:
                return str(winreg.QueryValueEx(found, "")[0])
        except OSError:
            return ""

    def forget(key: str, *, everyone: bool) -> bool:
        """Removes a key, and those above that are empty without it; whether it was there.

        Raises:
            OSError: it cannot be removed.
        """
        hive = _hive(everyone)
        try:
            winreg.DeleteKey(hive, key)
        except FileNotFoundError:
            return False
        above = key.rpartition("\\")[0]
        with contextlib.suppress(OSError):  # others have put something there meanwhile, or it is not ours to remove
            while "\\" in above and _is_empty(hive, above):
                winreg.DeleteKey(hive, above)
                above = above.rpartition("\\")[0]
        return True

    def _is_empty(hive: int, key: str) -> bool:
        with winreg.OpenKey(hive, key) as found:
            keys, values, _ = winreg.QueryInfoKey(found)
        return keys == values == 0

    def _hive(everyone: bool) -> int:
        return winreg.HKEY_LOCAL_MACHINE if everyone else winreg.HKEY_CURRENT_USER

else:

    def point(key: str, path: str, *, everyone: bool) -> None:
        """Nothing: there is no registry."""

    def pointed(key: str, *, everyone: bool) -> str:  # noqa: ARG001
        """Empty: there is no registry."""
        return ""

    def forget(key: str, *, everyone: bool) -> bool:  # noqa: ARG001
        """False: there is no registry."""
        return False
