"""Driver ``pcsc``: chip cards and phones on PC/SC readers, through pyscard.

For other rooms: ``driver``.
"""
