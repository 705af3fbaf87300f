"""The options of the driver ``pcsc``; checked once, at the edge."""

import msgspec

from vitale_protocol.configuration.settings import refusal

__all__ = ["TABLE", "PcscSettings"]

TABLE = "drivers.options.pcsc"


class PcscSettings(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """The options of the driver; times in seconds.

    Attributes:
        profiles: the TOML texts of the profiles that phones on contactless readers are read by; none are read without.
        unlock: pause between two attempts to read a phone that is locked.
        reading_limit: after which no exchange of the reading of a phone is begun any more.
        busy_notice: how long access to a card is waited for before the reader is shown as busy.
        busy_timeout: how long in all, before ``reader_busy``.
        transmit_limit: how long one exchange may take before the driver calls itself stuck.
    """

    profiles: tuple[str, ...] = ()
    unlock: float = 0.5
    reading_limit: float = 10.0
    busy_notice: float = 0.3
    busy_timeout: float = 8.0
    transmit_limit: float = 10.0

    def __post_init__(self) -> None:
        """Refuses what makes no sense.

        Raises:
            ConfigurationInvalid: a time is not positive, or the notice is not before the end.
        """
        others = (self.transmit_limit, self.reading_limit, self.unlock)
        if not 0 < self.busy_notice < self.busy_timeout or min(others) <= 0:
            raise refusal(TABLE, "0 < busy_notice < busy_timeout, and all other times above 0, are needed")
