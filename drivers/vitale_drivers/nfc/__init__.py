"""Driver ``nfc``: phones on NFC readers, through nfcpy."""
