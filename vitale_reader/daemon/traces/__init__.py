"""Traces of presentations for a collector of OpenTelemetry: one span for each, and one for each of its stages.

For other rooms: ``spans``.
"""
