"""The exit status of each error: docs/reference/cli.md, "Exit status"."""

from vitale_protocol.errors import (
    AccessError,
    ConfigurationInvalid,
    DaemonUnreachable,
    DaemonUntrusted,
    InvalidParams,
    LeaseError,
    LocalMisuse,
    MediumExpired,
    MixedOrigin,
    Opposed,
    PresentationError,
    PresentationTimeout,
    ReaderError,
    Replayed,
    ResolverRefused,
    SimulatedRefused,
    TokenInvalid,
    VitaleError,
)

__all__ = ["BROKEN_PIPE", "DONE", "INTERRUPTED", "NO_DAEMON", "OTHER", "REFUSED", "USAGE", "exit_status"]

DONE, OTHER, USAGE, NO_DAEMON, NOTHING_PRESENTED, REFUSED, DEVICE = 0, 1, 2, 3, 4, 5, 6
INTERRUPTED = 130  # 128 + SIGINT, as shells have it
BROKEN_PIPE = 0  # `vitale-reader readers | head -1` is no failure

# The first class that fits decides, so that the exceptions stand before their families.
STATUSES: tuple[tuple[type[VitaleError], int], ...] = (
    (DaemonUnreachable, NO_DAEMON),
    (PresentationTimeout, NOTHING_PRESENTED),
    (LocalMisuse, USAGE),
    (InvalidParams, USAGE),
    (ConfigurationInvalid, USAGE),
    (DaemonUntrusted, REFUSED),
    (AccessError, REFUSED),
    (TokenInvalid, REFUSED),
    (ResolverRefused, REFUSED),
    (Replayed, REFUSED),
    (MediumExpired, REFUSED),
    (MixedOrigin, REFUSED),
    (SimulatedRefused, REFUSED),
    (Opposed, REFUSED),
    (PresentationError, DEVICE),
    (ReaderError, DEVICE),
    (LeaseError, DEVICE),
)


def exit_status(error: VitaleError) -> int:
    """The exit status for an error."""
    return next((status for family, status in STATUSES if isinstance(error, family)), OTHER)
