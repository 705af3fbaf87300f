"""Reading cards over any transport; shared by ``pcsc`` and ``nfc``."""
