"""Libraries on demand: compiled when a program first asks, kept for the next time."""
