"""What keys write in the layouts of this system, by libxkbcommon: a model that knows nothing of our tables.

The library and the layouts come with every desktop Linux (``libxkbcommon0``, ``xkb-data``).
"""

import ctypes
import functools
from collections.abc import Callable, Mapping
from dataclasses import dataclass

__all__ = ["Layout", "layout"]

# Codes of X11: the row of figures, the three rows of letters, the key beside the left shift; then the space bar.
KEYS = (49, *range(10, 22), *range(24, 36), *range(38, 49), 51, 94, *range(52, 62), 65)


class _RuleNames(ctypes.Structure):
    _fields_ = tuple((name, ctypes.c_char_p) for name in ("rules", "model", "layout", "variant", "options"))


@dataclass(frozen=True)
class Layout:
    """What each key writes, without and with shift: "" for a dead key, and for one that writes nothing."""

    plain: tuple[str, ...]
    shifted: tuple[str, ...]

    def keys_of(self, text: str) -> list[tuple[int, bool]] | None:
        """The keys, and whether shift is held, that write a text; None where one of its characters has none."""
        try:
            return [self._keys[character] for character in text]
        except KeyError:
            return None

    @functools.cached_property
    def _keys(self) -> Mapping[str, tuple[int, bool]]:
        """The key of each character: the first, without shift where there is one."""
        found: dict[str, tuple[int, bool]] = {}
        for shift, row in enumerate((self.plain, self.shifted)):
            for key, character in enumerate(row):
                found.setdefault(character, (key, bool(shift)))
        return found


def layout(name: str, variant: str = "") -> Layout | None:
    """A layout of this system; None where it has no libxkbcommon, or no such layout."""
    try:
        library = ctypes.CDLL("libxkbcommon.so.0")
    except OSError:
        return None
    for function in ("xkb_context_new", "xkb_keymap_new_from_names"):
        getattr(library, function).restype = ctypes.c_void_p
    context = ctypes.c_void_p(library.xkb_context_new(0))
    names = _RuleNames(b"evdev", b"pc105", name.encode(), variant.encode(), b"")
    keymap = ctypes.c_void_p(library.xkb_keymap_new_from_names(context, ctypes.byref(names), 0))
    if not keymap.value:
        return None
    read = _reader(library, keymap)
    done = Layout(tuple(read(key, 0) for key in KEYS), tuple(read(key, 1) for key in KEYS))
    library.xkb_keymap_unref(keymap)
    library.xkb_context_unref(context)
    return done


def _reader(library: ctypes.CDLL, keymap: ctypes.c_void_p) -> Callable[[int, int], str]:
    symbols = ctypes.POINTER(ctypes.c_uint32)()

    def read(key: int, level: int) -> str:
        count = library.xkb_keymap_key_get_syms_by_level(keymap, key, 0, level, ctypes.byref(symbols))
        code = library.xkb_keysym_to_utf32(symbols[0]) if count == 1 else 0
        return chr(code) if code > 31 else ""

    return read
