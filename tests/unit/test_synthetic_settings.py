"""Settings of graded worlds: what is refused, how they are written and recorded, what strength does."""

from __future__ import annotations

import numpy as np
import pytest
from helpers_synthetic import CTCF, DATABASE, ESRRB, MEF2A, graded, small

from biosae.errors import ConfigError
from biosae.motifs.formats import read_meme
from biosae.synthetic.matrices import strengthened
from biosae.synthetic.settings import check_settings, parse_pair, recorded


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"superposition": 0.5}, "superposition is too small.*at least 1"),
        ({"motif_strength": 0.0}, "motif_strength is too small.*above 0"),
        ({"pairs": ((CTCF, "MA0001.1", 5),), "partner_only": ()}, r"pairs names motifs.*MA0001\.1"),
        ({"pairs": ((CTCF, ESRRB, -1),)}, "no \\(motif, motif, spacing in bp\\)"),
        ({"pairs": ((CTCF, ESRRB, 5), (CTCF, ESRRB, 5))}, "pairs lists something twice"),
        ({"pair_instances": 0}, "pair_instances is too small"),
        ({"partner_only": (MEF2A,)}, f"partner_only names motifs.*{MEF2A}.*motifs of pairs"),
        ({"pairs": ()}, f"partner_only names motifs.*{ESRRB}"),
        ({"strand_specific": ("SOX2",)}, "strand_specific names motifs.*SOX2"),
    ],
)
def test_grammar_that_cannot_be_simulated(changes: dict, message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        check_settings(graded(**changes))


def test_pairs_as_text() -> None:
    assert parse_pair("A:B.1:12") == ("A", "B.1", 12)
    for wrong in ("A:B", "A:B:-1", "A::3", "A:B:x"):
        with pytest.raises(ConfigError, match=f"not written as it must.*{wrong}"):
            parse_pair(wrong)


def test_what_is_off_is_not_recorded() -> None:
    assert set(recorded(small())) & {"pairs", "superposition", "random_model", "motif_strength"} == set()
    on = recorded(graded())
    assert (on["pairs"], on["superposition"]) == (((CTCF, ESRRB, 5),), 2.0)
    assert "random_model" not in on


def test_strength_moves_information_and_order_stays() -> None:
    motif = next(m for m in read_meme(DATABASE) if m.id == CTCF)
    assert strengthened(motif.matrix, 1.0) is motif.matrix
    bits = []
    for exponent in (0.3, 0.6, 1.0, 2.0):
        matrix = strengthened(motif.matrix, exponent)
        assert matrix.sum(axis=1) == pytest.approx(1, abs=1e-5)
        assert (matrix.argmax(axis=1) == motif.matrix.argmax(axis=1)).all()
        bits.append(float((matrix * np.log2(matrix.clip(1e-9) / 0.25)).sum()))
    assert bits == sorted(bits)
    assert bits[0] < 0.4 * bits[2]
