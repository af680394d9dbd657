"""Runs what was built: scheduling in plain Python, the device in one module."""
