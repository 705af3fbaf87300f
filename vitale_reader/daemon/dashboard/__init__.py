"""The dashboard at the core: who is let in, for how long, and the desk's changes as they happen.

For other rooms: ``desk_view``, ``entrance``, ``passes``, ``simulators``.
"""
