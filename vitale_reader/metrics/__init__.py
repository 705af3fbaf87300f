"""The exporter of metrics, in a process of its own: shows Prometheus what the daemon counts, and nothing else.

It has no right of its own, and reads no file of the station. Beside it lie a dashboard for Grafana and rules for
Prometheus.

For other rooms: ``exporter``.
"""
