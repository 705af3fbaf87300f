"""Driver ``camera``: codes shown to webcams, through OpenCV.

For other rooms: ``driver``.
"""
