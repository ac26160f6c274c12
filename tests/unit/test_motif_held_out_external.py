"""The held-out test of MEME's and STREME's motifs: the tool sees part A alone, part B says what they are."""

from __future__ import annotations

import logging
import os
from collections import Counter

import numpy as np
import pytest
from helpers_meme_suite import DATA, MEME_BODY, MEME_TEXT, STREME_BODY, calls, stand_in

from biosae.errors import InputError
from biosae.motifs import background, em, held_out_external, jobs, node
from biosae.motifs.batched import ControlPool, loci_of, node_seed
from biosae.motifs.external import WIDEST_TESTED_BP
from biosae.motifs.fasta import read_fasta
from biosae.motifs.formats import Motif, read_meme
from biosae.motifs.held_out_external import held_out_tests, part_a, with_pseudosites
from biosae.motifs.heldout import choose_threshold
from biosae.motifs.options import Discovery
from biosae.motifs.packing import PAD, prefix, reverse_complement
from biosae.motifs.parts import prepare
from biosae.motifs.settings import DiscoverySettings, NodeMotifs

BASES = np.array(list("ACGT"))


def wanted(engine="meme", strand="both", share=0.4, motifs=2) -> Discovery:
    return Discovery(engine, motifs, strand, 6, None, 2, 7, share, 5, 0.0)


def random_sequences(rng, n, length=42):
    return ["".join(row) for row in BASES[rng.integers(4, size=(n, length))]]


def of_word(word, n_sites=20, high=0.97):
    """A motif of one word."""
    matrix = np.full((len(word), 4), (1 - high) / 3)
    matrix[np.arange(len(word)), ["ACGT".index(letter) for letter in word]] = high
    return Motif(word, "", matrix, n_sites)


def parts_of(sequences, strand="given", seed=0, order=0):
    settings = DiscoverySettings(strand=strand, background_order=order)
    return prepare("n0", sequences, None, None, settings, seed, NodeMotifs())


@pytest.fixture
def tools(tmp_path, monkeypatch):
    """Stand-ins for meme and streme on the PATH, with the recorded answer for 3_n127."""
    folder = tmp_path / "bin"
    stand_in(folder, "meme", MEME_BODY)
    stand_in(folder, "streme", STREME_BODY)
    monkeypatch.setenv("PATH", f"{folder}{os.pathsep}{os.environ['PATH']}")
    return folder


def test_parts_are_those_of_engine_batched(tools, tmp_path, monkeypatch):
    """Same loci, controls, split and background, also where neighbouring windows share a locus."""
    rng = np.random.default_rng(3)
    planted = [sequence for _, sequence in read_fasta(DATA / "3_n127.fa")]
    starts = np.cumsum(rng.choice([20, 400], size=len(planted)))  # every other window overlaps the next
    fasta, background = tmp_path / "3_n127.fa", tmp_path / "background.fa"
    records = [f">chr1:{at}-{at + 42}(+) x\n{seq}\n" for at, seq in zip(starts, planted, strict=True)]
    fasta.write_text("".join(records) + ">chr2:1-5(+)\nACGT\n")  # too short for a motif: in no part
    background.write_text("".join(f">b{i}\n{s}\n" for i, s in enumerate(random_sequences(rng, 3000))))
    seen = {}
    for engine, module in (("batched", node), ("meme", held_out_external)):
        monkeypatch.setattr(module, "prepare", lambda *given, e=engine: seen.setdefault(e, prepare(*given)))
        nodes = jobs.nodes_of(fasta, None, None)
        jobs.discover_nodes(nodes, wanted(engine, motifs=1), background, tmp_path / engine, 1)
    monkeypatch.undo()
    ours = prepare(
        "n127", planted, loci_of([r[1:].split("\n")[0] for r in records]),
        ControlPool([s for _, s in read_fasta(background)]), wanted().settings(), node_seed(7, "n127"),
        NodeMotifs(),
    )  # fmt: skip
    assert ours.kind == "background"
    assert not ours.counted.all()
    for parts in seen.values():
        assert (parts.n_a, parts.n_controls_a, parts.kind) == (ours.n_a, ours.n_controls_a, ours.kind)
        for name in ("rows", "counted", "flipped", "tables"):
            np.testing.assert_array_equal(getattr(parts, name), getattr(ours, name))
        np.testing.assert_array_equal(parts.controls.offsets, ours.controls.offsets)
    told = part_a(ours, [tuple(r[1:].rstrip().split("\n")) for r in records])
    assert read_fasta(tools / "3_n127_part_a.fa") == told
    assert len(told) == ours.n_a < len(planted)


@pytest.mark.parametrize("engine", ["meme", "streme"])
def test_the_tool_sees_part_a_only(tools, tmp_path, caplog, engine):
    nodes = jobs.nodes_of(DATA / "3_n127.fa", None, None)
    with caplog.at_level(logging.INFO):
        (result,) = jobs.discover_nodes(nodes, wanted(engine), None, tmp_path / "out", 1)
    everything = read_fasta(DATA / "3_n127.fa")
    seen = read_fasta(tools / "3_n127_part_a.fa")
    assert len(seen) == 120
    assert seen == [record for record in everything if record in seen]  # as given, in the given order
    rest = {sequence for _, sequence in everything} - {sequence for _, sequence in seen}
    assert len(rest) == 80
    folder = tmp_path / "out" / "3_n127"
    assert (folder / "3_n127_part_a.fa").read_bytes() == (tools / "3_n127_part_a.fa").read_bytes()
    (words,) = calls(tools, engine)
    assert " ".join(words) in caplog.text  # with the FASTA kept, the log's line can be repeated
    assert (
        words
        == {
            "meme": "3_n127_part_a.fa -dna -mod zoops -revcomp -nmotifs 2 -minw 6 -maxw 42 -markov_order 2 "
            "-seed 7 -oc output",
            "streme": "--p 3_n127_part_a.fa --dna --nmotifs 2 --minw 6 --maxw 30 --order 2 --seed 7 "
            "--oc output",
        }[engine].split()
    )
    assert result.status == "ok"
    assert [row["n_seqlets"] for row in result.rows] == [120, 120]
    told = read_meme(folder / f"{engine}.txt")
    for row, motif, tool in zip(result.rows, result.motifs, told, strict=True):
        np.testing.assert_array_equal(motif.matrix, tool.matrix)  # the tool's own, not refitted
        assert row["tool_e_value"] == tool.e_value
        assert row["n_sites"] == tool.n_sites
        assert row["log10_e"] == pytest.approx(row["log10_p"] + np.log10(2)) == motif.log10_e
        assert 0.3 < row["share_forward"] < 0.7  # planted on either strand
    assert result.rows[0]["log10_p"] < -8


def test_the_same_answer_again_and_a_new_one_for_other_sequences(tools, tmp_path):
    """A finished node is read again; a changed part A, seed or sequence is searched again."""
    fasta = tmp_path / "3_n127.fa"
    fasta.write_text((DATA / "3_n127.fa").read_text())

    def rows(**more):
        nodes = jobs.nodes_of(fasta, None, None)
        return jobs.discover_nodes(nodes, wanted(**more), None, tmp_path / "out", 1)[0].rows

    first = rows()
    assert rows() == first
    assert len(calls(tools, "meme")) == 1
    rows(share=0.3)  # the same FASTA and arguments, another part A
    assert len(calls(tools, "meme")) == 2
    rows(share=0)
    assert len(calls(tools, "meme")) == 3
    assert (tools / "3_n127.fa").read_bytes() == fasta.read_bytes()  # the tool reads everything
    assert not (tmp_path / "out" / "3_n127" / "3_n127_part_a.fa").exists()


def test_the_order_of_the_fasta_does_not_change_the_test(tmp_path):
    records = read_fasta(DATA / "3_n127.fa")
    motifs = read_meme(MEME_TEXT)

    def told(given):
        settings = DiscoverySettings(strand="both")
        return held_out_external.discover_node("n1", given, None, settings, 3, lambda part: motifs)

    assert told(records) == told(records[::-1])


def test_motifs_of_part_a_are_not_significant_by_chance():
    """The commonest word of part A in random sequences; that of all sequences passes four times as often."""

    def p_below_5_percent(of_part_a: bool) -> int:
        rng, count = np.random.default_rng(0), 0
        for seed in range(120):
            sequences = random_sequences(rng, 100, 30)
            parts = parts_of(sequences, seed=seed)
            read = [sequences[i] for i in parts.rows[: parts.n_a]] if of_part_a else sequences
            words = Counter(w for s in read for w in {s[i : i + 5] for i in range(26)})
            best = max(words, key=lambda word: (words[word], word))
            (test,) = held_out_tests(parts, [of_word(best, words[best], 0.94)], False)
            count += test.log10_p < np.log10(0.05)
        return count

    assert p_below_5_percent(True) <= 10 < p_below_5_percent(False)  # 120 sets: 6 expected at most


def test_a_planted_motif_and_its_table():
    """Counts by hand: the word, whole, on the given strand, in the sequences of part B and its controls."""
    rng = np.random.default_rng(5)
    sequences = [
        s[:10] + "TGACTCAGC" + s[19:] if i % 2 else s for i, s in enumerate(random_sequences(rng, 80))
    ]
    parts = parts_of(sequences)
    (test,) = held_out_tests(parts, [of_word("TGACTCAGC", high=1.0)], False)
    held_out = [sequences[i] for i in parts.rows[parts.n_a :]]
    hits = sum("TGACTCAGC" in sequence for sequence in held_out)
    assert test.table == (hits, len(held_out), 0, 5 * len(held_out))
    assert test.log10_p < -8
    assert test.share_forward is None


def test_the_threshold_is_that_of_part_a():
    """Part B, cut off, cannot move it; where it could, a third of these random sets would change."""
    rng = np.random.default_rng(8)
    for seed in range(10):
        parts = parts_of(random_sequences(rng, 60, 30), seed=seed)
        motif = of_word("".join(rng.choice(BASES, 6)), 10, 0.8)
        state = em.Fit(with_pseudosites(motif, background.composition(parts.tables)), 0.1, 0.0)
        alone = [prefix(parts.seqlets, parts.n_a), prefix(parts.controls, parts.n_controls_a)]
        threshold, _ = choose_threshold(*(em.best_sites(packed, state, False).odds for packed in alone))
        odds = em.best_sites(parts.seqlets, state, False).odds[parts.n_a :]
        (test,) = held_out_tests(parts, [motif], False)
        assert test.table[0] == int((odds >= threshold).sum())


def test_a_motif_told_twice_counts_once():
    """As in engine batched, the sites of a motif are erased before the next is tested."""
    rng = np.random.default_rng(6)
    sequences = [s[:10] + "TGACTCAGC" + s[19:] for s in random_sequences(rng, 60)]
    motif = of_word("TGACTCAGC")
    first, second = held_out_tests(parts_of(sequences), [motif, motif], False)
    assert first.log10_p < -10
    assert second.log10_p > -1


def test_share_forward_is_of_the_strand_as_given():
    rng = np.random.default_rng(7)
    sequences = [s[:10] + "TGACTCAGC" + s[19:] for s in random_sequences(rng, 100)]
    sequences = [reverse_complement(s) if i % 4 == 0 else s for i, s in enumerate(sequences)]
    (test,) = held_out_tests(parts_of(sequences, "both"), [of_word("TGACTCAGC")], True)
    assert test.share_forward == pytest.approx(0.75, abs=0.02)
    (test,) = held_out_tests(parts_of(sequences, "both"), [of_word(reverse_complement("TGACTCAGC"))], True)
    assert test.share_forward == pytest.approx(0.25, abs=0.02)
    assert held_out_tests(parts_of(sequences, "both"), [of_word("A" * 45)], True)[0].share_forward is None


def test_zeros_of_the_tool_become_pseudosites():
    motif = Motif("a", "", [[1, 0, 0, 0], [0.5, 0.5, 0, 0]], n_sites=10)
    expected = [[10.025, 0.025, 0.025, 0.025], [5.025, 5.025, 0.025, 0.025]]
    np.testing.assert_allclose(with_pseudosites(motif, np.full(4, 0.25)), np.array(expected) / 10.1)
    motif = Motif("a", "", [[0.999, 0, 0, 0]], n_sites=0)  # rounded rows and no sites
    np.testing.assert_allclose(with_pseudosites(motif, np.full(4, 0.25)).sum(), 1.0)


def test_a_motif_too_wide_for_the_test_is_an_error():
    """The widest that is asked of the tool fits the kernels; more must not read past their arrays."""
    assert WIDEST_TESTED_BP <= PAD - 4
    assert wanted().external().max_width == WIDEST_TESTED_BP
    assert wanted(share=0).external().max_width is None
    DiscoverySettings(max_width=WIDEST_TESTED_BP)
    records = read_fasta(DATA / "3_n127.fa")
    wide = of_word("ACGTACGT" * 26)
    with pytest.raises(InputError, match=r"too wide.*208 bp.*200 bp"):
        held_out_external.discover_node("n", records, None, DiscoverySettings(), 0, lambda part: [wide])
