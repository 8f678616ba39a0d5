"""The form of what a store holds, by which a server knows that it can read it. Pure.

A store that is empty gets the form of the first server that opens it. One that has another form is refused before
anything in it is changed: two servers that understand a key differently would each break what the other has written.
"""

from __future__ import annotations

from .backend import Refused

FORM = 1  # of keys and values, the same on every backend


def check_form(found: int, ours: int) -> None:
    """Refuse a store of another form. Raises Refused, whose text says what to do."""
    if found > ours:
        raise Refused(
            f"a newer version of this server made it (form {found}, this one has {ours}): start that version here too, "
            "or give this cluster a part of its own with ?namespace=NAME"
        )
    if found < ours:
        raise Refused(
            f"an older version of this server made it (form {found}, this one has {ours}), and can't be followed: end "
            "its nodes with the version that they have, and begin anew with ?namespace=NAME"
        )
