"""The dashboard at the core: who is let in and for how long, and what goes on at the desk, told as it changes.

For other rooms: ``desk_view``, ``entrance``, ``passes``, ``simulators``.
"""
