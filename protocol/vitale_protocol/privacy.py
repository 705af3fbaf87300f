"""The ``repr`` of what holds secrets or concerns people: assertions, debuggers and logs show only its kind."""

__all__ = ["concealed"]


def concealed(self: object) -> str:
    """Representation without content, to be assigned to ``__repr__``."""
    return f"<{type(self).__name__}>"
