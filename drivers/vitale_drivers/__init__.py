"""Drivers: the only place that touches devices and their libraries."""
