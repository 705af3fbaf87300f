"""The ``repr`` of what holds secrets or speaks of people: assertions, debuggers and logs show its kind and no more."""

__all__ = ["concealed"]


def concealed(self: object) -> str:
    """Representation without content, to be assigned to ``__repr__``."""
    return f"<{type(self).__name__}>"
