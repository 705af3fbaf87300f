"""A network camera in software, and what stands before it.

For other rooms: ``live``, ``scene``, ``sequence``, ``video``.
"""
