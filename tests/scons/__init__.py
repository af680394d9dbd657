"""Real runs of SCons."""
