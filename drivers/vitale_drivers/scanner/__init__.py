"""Driver ``scanner``: handheld imagers on serial ports, through pyserial.

For other rooms: ``driver``.
"""
