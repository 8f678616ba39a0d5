"""What the cluster of a schedule is like: chosen by its seed, or by a scene."""

from __future__ import annotations

import random

import msgspec


class Setup(msgspec.Struct, frozen=True):
    """See the module. strict: `deliver` is `after_commit`. shortest, longest: tokens that the model says.
    seeds_are_free, max_num_seqs: of the engine.
    """

    strict: bool = True
    drain_seconds: float = 10.0
    shortest: int = 1
    longest: int = 60
    seeds_are_free: bool = True
    max_num_seqs: int = 8
    num_nodes: int = 3

    @classmethod
    def random(cls, rng: random.Random) -> Setup:
        """Choose one."""
        return cls(
            strict=rng.random() < 0.6,
            drain_seconds=rng.choice([1.0, 10.0]),
            longest=rng.choice([10, 60, 150]),
            seeds_are_free=rng.random() < 0.7,
            max_num_seqs=rng.choice([2, 8]),
            num_nodes=rng.randint(2, 4),
        )
