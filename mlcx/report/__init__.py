"""What became of every job of a build, for programs and people."""
