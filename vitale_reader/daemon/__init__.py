"""The daemon: one asyncio process that turns presentations into signed tokens."""
