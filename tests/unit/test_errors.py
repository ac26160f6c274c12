"""The one paragraph that a user reads."""

from __future__ import annotations

import pytest

from biosae.errors import BiosaeError, ConfigError, ContractError, InputError


def test_message_holds_all_parts_in_order_and_each_sentence_ends_once():
    error = InputError(
        "The file is short.", got=3, expected="4 rows", where="a.tsv:7", mend="write it again."
    )
    assert str(error) == (
        "The file is short. Where: a.tsv:7. Got: 3. Expected: 4 rows. To mend: write it again."
    )


def test_parts_that_were_not_given_leave_no_trace():
    assert str(ConfigError("Unknown key")) == "Unknown key."


def test_falsy_values_are_still_shown():
    # 0 rows and an empty list are findings, not missing arguments
    assert str(BiosaeError("Odd", got=0, expected=[])) == "Odd. Got: 0. Expected: []."


@pytest.mark.parametrize("kind", [ConfigError, InputError, ContractError])
def test_every_kind_is_a_biosae_error(kind):
    with pytest.raises(BiosaeError, match="broken"):
        raise kind("broken")
