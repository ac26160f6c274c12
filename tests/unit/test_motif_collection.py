"""q-values of a run's motifs: of the held-out p, or of the tools' E where there is none, never of both."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from biosae.errors import ContractError
from biosae.motifs.collection import with_q_values
from biosae.motifs.formats import Motif
from biosae.motifs.tables import HeldOut, NodeResult, add_external, chunk_table


def external_table(motifs, tests=None, bits=0.0):
    return chunk_table([add_external(NodeResult(1, 9, "ok", 50), motifs, "streme", bits, tests)])


def test_q_from_tools_e_values():
    """min(1, E) stands for p; E of 1e-400, E above 1, no E at all and E = 0 keep their places."""
    matrix = np.full((6, 4), 0.25)
    motifs = [
        Motif("a", "", matrix, log10_e=-400.0),
        Motif("b", "", matrix, e_value=0.01),
        Motif("c", "", matrix, e_value=2700.0),
        Motif("d", "", matrix),
        Motif("e", "", matrix, log10_p=-3.0),  # STREME's P=: its E is P times six motifs
        Motif("f", "", matrix, e_value=0.0),
    ]
    table = with_q_values(external_table(motifs), 0.05)
    expected = [0.0, 0.01 * 6 / 4, 1.0, 1.0, 0.006 * 6 / 3, 0.0]
    np.testing.assert_allclose(table["q_value"].astype(float), expected, atol=1e-300)
    assert table["tool_log10_e"][0] == -400
    assert table["e_value"].isna().all()
    assert table["significant"].tolist() == [True, True, False, False, True, True]


def test_q_is_of_the_held_out_p_and_never_of_both():
    """The tool's E of 1e-400 gives nothing where part B says p = 0.4; the two are refused side by side."""
    matrix = np.full((6, 4), 0.25)
    motifs = [Motif("a", "", matrix, log10_e=-400.0), Motif("b", "", matrix, e_value=2700.0)]
    tests = [HeldOut(30, None, np.log10(0.4), (2, 20, 8, 100)), HeldOut(30, 0.25, -350.0, (20, 20, 0, 100))]
    chunk = external_table(motifs, tests)
    table = with_q_values(chunk, 0.05)
    np.testing.assert_allclose(table["q_value"].astype(float), [0.4, 0.0], atol=1e-300)
    np.testing.assert_allclose(table["log10_e"].astype(float), [np.log10(0.8), -350 + np.log10(2)], rtol=1e-8)
    assert table["n_seqlets"].tolist() == [30, 30]
    assert table["tool_log10_e"][0] == -400
    assert table["tool_e_value"][1] == 2700
    assert table["share_forward"].isna().tolist() == [True, False]
    mixed = pd.concat([chunk, external_table(motifs[:1])], ignore_index=True)
    with pytest.raises(ContractError, match=r"tested on held-out.*were not.*2 of 3.*1_n9_m1"):
        with_q_values(mixed, 0.05)
