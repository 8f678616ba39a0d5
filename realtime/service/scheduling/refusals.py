"""Refusals: the reason why a response gets neither a place to run nor one to wait. Pure."""

from __future__ import annotations


class Full(Exception):
    """An error: neither a slot nor a place in the queue is free. `retry_after` is an estimate in seconds."""

    def __init__(self, retry_after: float) -> None:
        super().__init__("the queue is full")
        self.retry_after = retry_after


class GroupFull(Full):
    """An error: as many responses of this group wait as are allowed."""


class TenantFull(Full):
    """An error: the tenant has its share of the places. Others may still be served."""


class RateLimited(Full):
    """An error: the tenant has used up its allowance for a minute."""
