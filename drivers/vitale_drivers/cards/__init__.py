"""Reading cards over any transport; shared by ``pcsc`` and ``nfc``.

For other rooms: ``channel``, ``device_examination``, ``lease``, ``tasks``.
"""
