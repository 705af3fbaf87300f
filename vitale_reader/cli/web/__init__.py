"""``vitale-reader web``: pages of web software, paired by a person at this desk.

For other rooms: ``browser``, ``group``, ``native_host``.
"""
