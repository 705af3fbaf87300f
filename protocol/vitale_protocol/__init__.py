"""Pure protocol: bytes and values, no I/O, no clock, no randomness."""
