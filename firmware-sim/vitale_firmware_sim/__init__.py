"""Devices in software, at the lowest level that a real stack will talk to."""
