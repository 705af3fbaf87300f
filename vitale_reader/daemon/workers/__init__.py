"""The daemon's worker processes: begun, supervised, limited, answered, ended with all that they started.

For other rooms: ``child_process``, ``heartbeat``, ``holders``, ``questions``, ``reports``, ``supervisor``,
``worker``.
"""
