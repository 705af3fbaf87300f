"""A clock in the hands of a test."""

__all__ = ["Clock"]


class Clock:
    """Tells the seconds that a test has set."""

    def __init__(self, now: float = 0.0) -> None:
        self.now = now

    def __call__(self) -> float:
        return self.now
