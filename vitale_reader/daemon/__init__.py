"""The daemon: one asyncio process that turns presentations into signed tokens.

For other rooms: ``app``, ``audit_export``, ``config``, ``config_file``, ``diagnostics``, ``issuing``,
``lifecycle``, ``log_output``, ``masking``, ``metrics``, ``offline_store``, ``rekeying``, ``site``, ``startup``,
``store``, ``transports``, ``web``, ``workers``.
"""
