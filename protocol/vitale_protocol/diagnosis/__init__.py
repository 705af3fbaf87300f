"""Diagnosis of a desk as data: what a check finds, and its words.

For other rooms: ``atr``, ``check_results``, ``findings``.
"""
