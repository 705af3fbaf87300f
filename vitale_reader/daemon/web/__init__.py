"""Pages at the core: their keys, and the window in which one is paired.

For other rooms: ``appearance``, ``page_keys``, ``pairing_desk``, ``pairing_window``.
"""
