"""Metrics of the daemon: counters, gauges that are looked up on request, and the process that shows them.

The core parses no HTTP and makes no text for Prometheus. It hands plain figures to the exporter, a process of its own.

For other rooms: ``bearer``, ``exporter``, ``gauges``, ``tally``.
"""
