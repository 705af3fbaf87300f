"""A phone with the apCV application in software: its states, its NFC face, its screen.

For other rooms: ``application``, ``card``, ``profiles``, ``screen_page``, ``strings``, ``user``.
"""
