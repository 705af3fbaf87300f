"""The configuration: shown, checked, changed by one setting, begun by a few questions.

For other rooms: ``group``.
"""
