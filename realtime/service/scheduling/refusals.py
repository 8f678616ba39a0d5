"""Refusals: the reason why a response gets neither a place to run nor one to wait. Pure."""

from __future__ import annotations


class Full(Exception):
    """Neither a slot nor a place in the queue; `retry_after` is an estimate in seconds."""

    def __init__(self, retry_after: float) -> None:
        super().__init__("the queue is full")
        self.retry_after = retry_after


class GroupFull(Full):
    """As many of this group wait as may."""


class TenantFull(Full):
    """The tenant has its share of the places; others may still be served."""


class RateLimited(Full):
    """The tenant has used up what it may take in a minute."""
