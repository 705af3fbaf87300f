"""A PN532 in software: firmware, field, cards in it."""
