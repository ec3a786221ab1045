"""Flows that are command lines, run on this machine. The backend is in `backend`; nothing is imported here.

Every run has a keeper, a process of its own that imports this package: it starts as fast as this file lets it.
"""
