"""Whose prompts a request finds in the prefix cache: its own tenant's, and no others'."""

from __future__ import annotations

from realtime.service.prefix_salts import PrefixSalts

SALTS = PrefixSalts(b"secret")


def test_a_tenant_shares_with_itself_only() -> None:
    assert SALTS.salt("ada", None) == SALTS.salt("ada", None) != SALTS.salt("eve", None)


def test_the_clients_own_salt_parts_what_it_parts() -> None:
    assert len({SALTS.salt("ada", own) for own in (None, "", "a", "b")}) == 4
    assert SALTS.salt("ada", "a") == SALTS.salt("ada", "a") != SALTS.salt("eve", "a")


def test_the_tenants_part_is_the_same_whatever_the_client_adds() -> None:
    whole = SALTS.salt("ada", None)
    assert {SALTS.salt("ada", own).partition(".")[0] for own in (None, "", "a.b")} == {whole}


def test_no_salt_of_the_client_makes_a_tenant_another_one() -> None:
    assert SALTS.salt("ada", "b") != SALTS.salt("ad", "ab") != SALTS.salt("adab", "")
    assert SALTS.salt("a", "\0b") != SALTS.salt("a\0", "b")
    assert SALTS.salt("ada", "\ud800") != SALTS.salt("ada", "?"), "half of a surrogate pair is a text too"


def test_who_does_not_know_the_secret_can_not_tell_the_salt() -> None:
    assert PrefixSalts(b"another").salt("ada", None) != SALTS.salt("ada", None)
    assert "ada" not in SALTS.salt("ada", "mine")
    assert "mine" not in SALTS.salt("ada", "mine")
