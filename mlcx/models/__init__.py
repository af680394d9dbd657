"""Architectures, one file each, named by the checkpoint's model_type."""
