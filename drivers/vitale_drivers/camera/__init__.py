"""Driver ``camera``: codes shown to webcams, through OpenCV."""
