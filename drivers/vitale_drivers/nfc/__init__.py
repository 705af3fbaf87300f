"""Driver ``nfc``: phones on NFC readers, through nfcpy.

For other rooms: ``driver``.
"""
