"""Models from the hub: pinned by a lock file, downloaded, verified, kept for all.

The only package that talks to the hub. Conversions do not depend on it, so that an edit
here converts nothing again.
"""
