"""Diagnosis of a desk as data: what a check finds, and its words.

For other rooms: ``atr``, ``findings``, ``rows``.
"""
