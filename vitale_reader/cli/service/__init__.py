"""The daemon as a service of this system, its state at a glance, its log.

For other rooms: ``group``, ``installing``, ``logs``, ``status``.
"""
