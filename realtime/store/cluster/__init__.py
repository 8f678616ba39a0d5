"""Stores that several nodes share: a small fenced key-value protocol, backends for it, and everything else written once
on top. Open `backend.py` first; `membership.py` is a node's knowledge of itself and of the others.
"""
