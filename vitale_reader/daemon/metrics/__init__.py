"""Metrics of the daemon: what is counted, what is looked up when somebody asks, and the process that shows it.

The core parses no HTTP and makes no text for Prometheus: it hands plain figures to the exporter, a process of its own.

For other rooms: ``bearer``, ``exporter``, ``gauges``, ``tally``.
"""
