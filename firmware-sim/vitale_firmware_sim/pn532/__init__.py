"""A PN532 in software: firmware, field, cards in it.

For other rooms: ``card``, ``faults``, ``reader``.
"""
