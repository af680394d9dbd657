"""What a build made, and from what: written down, checked anywhere, compared.

Knows files and their digests, and nothing of how they are built.
"""
