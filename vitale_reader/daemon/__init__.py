"""The daemon: one asyncio process that turns presentations into signed tokens.

For other rooms: ``app``, ``audit_export``, ``diagnostics``, ``issuing``, ``lifecycle``, ``log_output``, ``metrics``,
``offline_store``, ``rekeying``, ``site``, ``store``, ``transports``, ``web``, ``workers``. About settings: ``config``,
``config_check``, ``config_file``, ``secret_settings``.
"""
