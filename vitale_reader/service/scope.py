"""The scope of a service: of one user, or of the whole machine; each system has services of either kind, or of one."""

from typing import Literal

__all__ = ["Scope"]

#: ``user`` runs as whoever installs it, ``system`` as an account of its own.
Scope = Literal["user", "system"]
