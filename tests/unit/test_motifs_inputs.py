"""What the engine does with odd or bad input, and what warm_up compiles."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from biosae.errors import ConfigError, InputError
from biosae.motifs import background as background_module
from biosae.motifs import controls, em, packing, seeds, shuffle, width
from biosae.motifs.batched import ControlPool, DiscoverySettings, discover, discover_many, warm_up
from unit.helpers_motifs import STRONG, aligned_correlation, plant, same, sets

GIVEN = DiscoverySettings()
BOTH = DiscoverySettings(strand="both")


def test_lower_case_is_its_base():
    (windows,), _ = sets(11, 1, 120)
    sequences = plant(windows, STRONG, 0.6, False, np.random.default_rng(3))
    assert same(discover(sequences, None, GIVEN, 0), discover([s.lower() for s in sequences], None, GIVEN, 0))


def test_n_is_never_part_of_a_site():
    (windows,), background = sets(12, 1, 200)
    sequences = plant(windows, STRONG, 0.7, False, np.random.default_rng(3))
    broken = [s.replace("GACT", "GNCT").replace("GAGT", "GNGT") for s in sequences]
    motifs = discover(broken, background, GIVEN, 0)
    assert all(aligned_correlation(m.matrix, STRONG, False) < 0.9 for m in motifs)


@pytest.mark.parametrize(
    ("sequences", "status"),
    [
        ([], "too few sequences"),
        (["ACGTACGTACGT"], "too few sequences"),
        (["ACGTACGTACGT", "TTGACGATCGA"], "too few sequences"),
        (
            ["ACGTACGTACGTAC", "TTGACGATCGAGAT", "GGACATTACAGGAT", "TGACCAGATTACAA", "CCAGTACCAGATTC"],
            "too few sequences",
        ),
        (["ACGTA"] * 50, "too short"),
        (["N" * 42] * 50, "too short"),
        (["ACGTNACGTNACGTN"] * 50, "too short"),
        (["ACGTACGTACGT"] * 50, "too few sequences"),
    ],
)
def test_what_cannot_be_tested_gives_no_motif_and_says_so(sequences, status):
    for settings in (GIVEN, BOTH):
        motifs = discover(sequences, None, settings, 0)
        assert (list(motifs), motifs.status, motifs.n_sequences) == ([], status, len(sequences))


def test_all_a_and_near_copies_do_not_crash_or_mislead():
    (windows,), background = sets(13, 1, 60, 1500)
    for sequences in (["A" * length for length in range(20, 60)], windows[:12] * 20):
        for pool in (background, None):
            for motif in discover(sequences, pool, BOTH, 0):
                assert motif.p_value > 0.001
                assert np.isfinite(motif.matrix).all() and np.isfinite(motif.llr)


def test_iupac_codes_are_n():
    (windows,), background = sets(19, 1, 150)
    sequences = plant(windows, STRONG, 0.6, False, np.random.default_rng(3))
    codes = [s.replace("TTT", "TRT").replace("AAA", "AyA") for s in sequences]
    with_n = [s.replace("R", "N").replace("y", "N") for s in codes]
    assert codes != sequences
    first, second = (
        discover(texts, background, replace(GIVEN, motifs_per_node=1), 0) for texts in (codes, with_n)
    )
    assert aligned_correlation(first[0].matrix, STRONG, False) > 0.95
    assert (first[0].width, first[0].n_seqlets) == (second[0].width, second[0].n_seqlets)


@pytest.mark.parametrize(
    "wrong",
    [
        {"strand": "forward"},
        {"min_width": 2},
        {"min_width": 12, "max_width": 8},
        {"background_order": 9},
        {"held_out_share": 1.0},
        {"motifs_per_node": 0},
    ],
)
def test_wrong_settings_are_refused(wrong):
    with pytest.raises(ConfigError, match="Motif discovery settings"):
        DiscoverySettings(**wrong)


def test_wrong_nodes_are_refused():
    with pytest.raises(InputError, match="comes twice"):
        discover_many([("a", ["ACGT"]), ("a", ["ACGT"])], [], GIVEN, 0)
    with pytest.raises(InputError, match=r"node 'a'.*1 loci.*2, one per sequence"):
        discover_many([("a", ["ACGT", "ACGT"])], [], GIVEN, 0, groups={"a": ["x"]})


def signatures() -> dict[str, int]:
    """Compiled versions of every kernel of the engine."""
    modules = background_module, controls, em, packing, seeds, shuffle, width
    kernels = [(m, name) for m in modules for name, value in vars(m).items() if hasattr(value, "signatures")]
    return {f"{m.__name__}.{name}": len(getattr(m, name).signatures) for m, name in kernels}


def test_warm_up_compiles_all_that_a_discovery_needs():
    warm_up()
    before = signatures()
    for kernel in (
        "em._em",
        "em._best",
        "em._erase",
        "width._flanks",
        "shuffle._shuffle_all",
        "controls._cut",
    ):
        assert before[f"biosae.motifs.{kernel}"] == 1  # one serves either strand
    (windows,), background = sets(17, 1, 120)
    sequences = ["N" * 42, *plant(windows, STRONG, 0.6, False, np.random.default_rng(3)), "ACGTNACGTAAC"]
    for settings in (GIVEN, BOTH):
        for pool in (background, ControlPool(background), None):
            assert discover(sequences, pool, settings, 0)
    assert signatures() == before
