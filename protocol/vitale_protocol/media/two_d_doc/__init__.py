"""The 2D-Doc of the ANTS: parsing, reading, and the trust in its seal.

For other rooms: ``parsing``, ``reading``, ``trust``.
"""
