"""A handheld imager in software, on a serial port or as a keyboard.

For other rooms: ``device``, ``faults``.
"""
