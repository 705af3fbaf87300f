"""Figures of a desk, as they go from the core to the process that shows them to Prometheus.

For other rooms: ``families``.
"""
