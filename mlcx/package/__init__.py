"""Lays out what apps take: model directories, configs, libraries."""
