"""The daemon: one asyncio process that turns presentations into signed tokens.

For other rooms: ``app``, ``audit_export``, ``config``, ``issuing``, ``keystore``, ``lifecycle``, ``site``, ``startup``,
``store``.
"""
