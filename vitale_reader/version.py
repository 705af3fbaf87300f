"""The version of this installation, where everything can read it without the cost of the packaging metadata."""

__all__ = ["VERSION"]

VERSION = "0.1.0"
