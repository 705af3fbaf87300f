"""The audit trail: its lines, the chain that links them, and what is verified and forgotten of it.

For other rooms: ``audit``, ``chain``, ``pages``.
"""
