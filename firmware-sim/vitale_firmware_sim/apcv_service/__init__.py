"""The apCV service in software, over HTTP."""
