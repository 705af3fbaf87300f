"""The daemon: one asyncio process that turns presentations into signed tokens.

For other rooms: ``app``, ``audit_export``, ``config``, ``config_check``, ``config_file``, ``diagnostics``,
``issuing``, ``lifecycle``, ``log_output``, ``metrics``, ``offline_store``, ``rekeying``, ``secret_settings``,
``site``, ``store``, ``transports``, ``web``, ``workers``.
"""
