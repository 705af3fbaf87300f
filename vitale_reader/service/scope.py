"""The scope of a service: one user, or the whole machine. A system has services of one kind or both."""

from typing import Literal

__all__ = ["Scope"]

#: ``user`` runs as whoever installs it, ``system`` as an account of its own.
Scope = Literal["user", "system"]
