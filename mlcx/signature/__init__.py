"""What a library and every other product depends on besides files, as facts."""
