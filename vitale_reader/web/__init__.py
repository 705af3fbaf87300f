"""The web gateway, in a process of its own: carries the sealed frames of web pages to the daemon and back.

It has no right of its own, and what it carries it cannot read.

For other rooms: ``gateway``.
"""
