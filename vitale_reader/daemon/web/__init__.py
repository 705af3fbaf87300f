"""Pages at the core: their keys, and the window in which one is paired.

For other rooms: ``page_keys``, ``pairing_desk``, ``pairing_window``, ``site_identity``.
"""
