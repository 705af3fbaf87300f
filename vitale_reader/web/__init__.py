"""The web gateway, outside of the daemon: carries the sealed frames of web pages to it and back.

A gateway does so in its own process. For an extension a native host does so, started by the browser. Neither has a
right of its own, and what they carry they cannot read.

For other rooms: ``dashboard``, ``extension``, ``gateway``, ``http_rules``, ``inherited``, ``native``, ``request_head``.
"""
