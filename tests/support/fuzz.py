"""Hypothesis: the bounds that keep the suite short, and values that clients may send."""

from __future__ import annotations

import os
from typing import Any

from hypothesis import HealthCheck, settings
from hypothesis import strategies as st

THOROUGH = int(os.environ.get("FUZZ", "1"))  # FUZZ=50 pytest ...: fifty times as many examples


def examples(number: int, **more: Any) -> settings:
    """Settings for one property."""
    slow = [HealthCheck.too_slow, HealthCheck.data_too_large, HealthCheck.filter_too_much]
    return settings(max_examples=number * THOROUGH, suppress_health_check=slow, print_blob=True, **more)


TEXT = st.text('ab0"\\/\n\0[]{}\u00e9\u4e2d\U0001f600', max_size=8)  # of what tells encoders and scanners apart
SCALARS = (
    st.none()
    | st.booleans()
    | st.integers()
    | st.sampled_from([2**31, 2**63, -(2**70), 10**30])
    | st.floats(allow_nan=False, allow_infinity=False)
    | TEXT
)
JSON = st.recursive(
    SCALARS,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(TEXT, inner, max_size=3),
    max_leaves=6,
)
