"""Optional parts of the installation, found without loading them."""

from importlib.util import find_spec

from vitale_protocol.errors import ToolMissing
from vitale_protocol.extras import EXTRA_OF, Extra, missing

__all__ = ["missing_part"]


def missing_part(part: Extra, who: str, *, extra: Extra | None = None) -> ToolMissing | None:
    """The error that says what to install for a part, or None where its packages are there.

    Args:
        part: the extra whose packages are looked for.
        who: what needs them.
        extra: the extra to name, if another one is the better choice.
    """
    for module, brought_by in EXTRA_OF.items():
        if brought_by == part and find_spec(module) is None:
            return missing(ModuleNotFoundError(name=module), who, extra=extra or part)
    return None
