"""Passes of the pipeline, one file each."""
