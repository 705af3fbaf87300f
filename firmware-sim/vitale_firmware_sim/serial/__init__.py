"""A serial line in software, on a pseudo-terminal."""
