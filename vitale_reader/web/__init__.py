"""The web gateway, outside of the daemon: carries the sealed frames of web pages to it and back.

Either a gateway does so, in its own process, or a native host that a browser starts for an extension. Neither has a
right of its own, and what they carry they cannot read.

For other rooms: ``dashboard``, ``extension``, ``gateway``, ``http_rules``, ``inherited``, ``native``, ``request_head``.
"""
