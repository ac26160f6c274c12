"""The sequence side and fidelity on a network that is known: shuffles, variants, spliced reconstructions."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
import torch

from biosae.artefacts import check_table
from biosae.causal import fidelity, perturbation, variants
from biosae.causal.changes import Directions
from biosae.causal.passes import Passes
from biosae.causal.places import choose_nodes, read_places
from biosae.causal.targets import read_tracks
from biosae.dictionary import RawChannels
from biosae.hosts.onehot import encode, reverse_complement_letters
from biosae.model import SAE
from unit.helpers_causal import SEQUENCE_BP, STRIDE, planted_world, random_world

LETTERS = np.frombuffer(b"ACGT", np.uint8)


@pytest.fixture(scope="module")
def world(tmp_path_factory):
    return planted_world(tmp_path_factory.mktemp("planted"), n_words=12)


@pytest.fixture(scope="module")
def passes(world):
    return Passes(world.host, world.genome, SEQUENCE_BP, 8)


@pytest.fixture(scope="module")
def tracks():
    return read_tracks(None, 2)


def dinucleotides(letters):
    pairs = letters[:-1].astype(int) * 256 + letters[1:]
    return sorted(pairs.tolist())


def test_shuffles_keep_dinucleotides():
    letters = LETTERS[np.random.default_rng(0).integers(4, size=42)]
    found = perturbation.shuffled(letters, 5, seed=1)
    assert found.shape == (5, 42)
    assert all(dinucleotides(row) == dinucleotides(letters) for row in found)
    assert len({row.tobytes() for row in found}) > 1


def test_elsewhere_is_elsewhere():
    rng = np.random.default_rng(0)
    for at in (0, 5, 50, 87):
        starts = [perturbation._other_start(at, 13, 100, rng) for _ in range(300)]
        assert min(starts) >= 0 and max(starts) <= 87
        assert all(start + 13 <= at or start >= at + 13 for start in starts)
        assert len(set(starts)) > 30


def test_shuffling_its_window_takes_a_node_and_its_track_away(world, passes):
    pairs = read_tracks(None, 2)
    places, _ = read_places(world.run, SEQUENCE_BP)
    nodes = choose_nodes(world.run, None)
    settings = perturbation.Settings(windows=5, draws=3, bootstraps=50)
    given = passes, Directions(world.model), nodes, places, pairs, np.ones(2)
    table = perturbation.perturb_nodes(*given, settings)
    check_table(table, "perturbation")
    of = table.set_index("node")
    assert (of["activation_kept"] < 0.3).all() and (of["activation"] > 0.9).all()
    drivers = sorted(node for node, _ in world.drivers)
    others = of.drop(index=drivers)
    assert of.loc[drivers, "size"].min() > 5 * others["size"].median()
    assert (of.loc[drivers, "effect"] > 0).all() and of.loc[drivers, "ratio"].min() > 3
    assert (of["effect_low"] <= of["effect"]).all() and (of["effect"] <= of["effect_high"]).all()


def test_passes_of_the_perturbation_are_the_floor(world):
    passes = Passes(world.host, world.genome, SEQUENCE_BP, 8)
    places, _ = read_places(world.run, SEQUENCE_BP)
    before = passes.count
    settings = perturbation.Settings(windows=2, draws=3, bootstraps=20)
    own = places[places["node"] == 0]
    perturbation.shuffle_node(passes, Directions(world.model), 0, own, np.ones(2), settings)
    assert passes.count - before == 2 * (1 + 2 * 3)


def reader_of(world):
    return variants.AlleleReader(world.model, np.arange(world.model.n_nodes))


def place_of(world, node):
    """The strongest seqlet of a node: its word begins at one of the first bases of its window."""
    places, _ = read_places(world.run, SEQUENCE_BP)
    row = places[places["node"] == node].iloc[0]
    return row["chrom"], int(row["start"])


def word_start(world, node):
    chrom, start = place_of(world, node)
    word = world.host.module.detect.weight[node].argmax(0).numpy()
    letters = encode(world.genome.segment(chrom, start, start + 13))[0].argmax(0)
    return chrom, start + next(i for i in range(4) if (letters[i : i + 10] == word).all())


def test_a_variant_in_a_motif_takes_the_node_and_its_track_away(world, passes, tracks):
    chrom, start = word_start(world, 0)
    ref = world.genome.segment(chrom, start + 4, start + 5).tobytes().decode()
    alt = "A" if ref != "A" else "C"
    table = pd.DataFrame([{"chrom": chrom, "start": start + 4, "id": "v", "ref": ref, "alt": alt}])
    found = variants.score_variants(passes, reader_of(world), table, tracks, np.ones(2), variants.Settings())
    for name, rows in found.items():
        check_table(rows, name)
    row = found["variants"].iloc[0]
    nodes = found["variant_nodes"].set_index("node")
    assert nodes.loc[0, "forward_ref"] == pytest.approx(1, abs=0.01) and nodes.loc[0, "forward_alt"] == 0
    # node 1 reads the reverse complement, so it loses the site on the other strand
    assert nodes.loc[1, "reverse_ref"] == pytest.approx(1, abs=0.01) and nodes.loc[1, "reverse_alt"] == 0
    assert row["top_track"] == "track_0" and row["top_track_effect"] < -0.05
    assert row["strand_correlation"] > 0.9


def test_a_variant_elsewhere_changes_no_node(world, passes, tracks):
    chrom, start = word_start(world, 0)
    table = pd.DataFrame([{"chrom": chrom, "start": start, "id": ".", "ref": "A", "alt": "A"}])
    ref = world.genome.segment(chrom, start, start + 1).tobytes().decode()
    table[["ref", "alt"]] = ref
    found = variants.score_variants(passes, reader_of(world), table, tracks, np.ones(2), variants.Settings())
    row = found["variants"].iloc[0]
    assert row["n_nodes_changed"] == 0 and row["top_node"] is None and abs(row["top_track_effect"]) < 1e-6
    assert found["variant_nodes"].empty


def test_an_insertion_that_completes_a_motif_makes_its_node(world, passes):
    chrom, start = word_start(world, 5)
    word = world.genome.segment(chrom, start, start + 10).tobytes().decode()
    elsewhere = start + 40
    ref = world.genome.segment(chrom, elsewhere, elsewhere + 1).tobytes().decode()
    variant = pd.Series({"chrom": chrom, "start": elsewhere, "ref": ref, "alt": ref + word})
    activations, _ = variants.score_variant(passes, reader_of(world), variant)
    assert activations[0, 1, 5] == pytest.approx(1, abs=0.01) and activations[0, 0, 5] < 0.5


@pytest.mark.parametrize("ref, alt", [("C", "T"), ("CGT", "C"), ("C", "CTT"), ("CG", "TA")])
def test_both_windows_are_as_long_and_hold_their_allele(world, ref, alt):
    genome = world.genome
    letters, at = variants.variant_letters(genome, "chr1", 500, ref, alt, 64)
    assert letters.shape == (2, 64)
    start = 500 - at
    assert (letters[0] == genome.segment("chr1", start, start + 64)).all()
    assert letters[1, at : at + len(alt)].tobytes().decode() == alt
    rest = 64 - at - len(alt)
    after = genome.segment("chr1", 500 + len(ref), 500 + len(ref) + rest)
    assert (letters[1, at + len(alt) :] == after).all() and (letters[1, :at] == letters[0, :at]).all()


def test_positions_that_read_an_allele(world):
    layer = world.host.layer  # position j reads [4j, 4j + 13)
    assert variants.reading_positions(layer, 40, 1, 1000).tolist() == [7, 8, 9, 10]
    for at, length in ((33, 1), (40, 5), (0, 2), (1020, 4)):
        found = variants.reading_positions(layer, at, length, 256).tolist()
        low, high = at - 1, at + length + 1
        slow = [j for j in range(256) if STRIDE * j < high and STRIDE * j + 13 > low]
        assert found == slow


def test_turned_windows_read_the_same_site(world, passes):
    """On the reverse strand the allele's positions are those of the turned window."""
    chrom, start = word_start(world, 2)
    ref = world.genome.segment(chrom, start + 3, start + 4).tobytes().decode()
    variant = pd.Series({"chrom": chrom, "start": start + 3, "ref": ref, "alt": ref})
    activations, _ = variants.score_variant(passes, reader_of(world), variant)
    assert activations[0, 0, 2] > 0.9 and activations[1, 0, 3] > 0.9  # 3 is the reverse complement of 2
    turned = reverse_complement_letters(world.genome.segment(chrom, start, start + 10))
    assert encode(turned)[0].argmax(0).tolist() == world.host.module.detect.weight[3].argmax(0).tolist()


def fidelity_of(passes, model, means, tracks, windows=6):
    where = [("chr1", i * SEQUENCE_BP) for i in range(windows)]
    return fidelity.measure_fidelity(passes, model, means, where)


def means_of(world):
    onehot = np.concatenate([encode(world.genome.segment("chr1", s, s + 1024)) for s in range(0, 8192, 1024)])
    rows = world.host.activations(torch.from_numpy(onehot))
    return rows.reshape(-1, rows.shape[-1]).mean(0).numpy()


def test_the_exact_dictionary_keeps_everything_and_random_directions_do_not(world, passes, tracks):
    means = means_of(world)
    exact = fidelity_of(passes, world.model, means, tracks).track_table(tracks)
    assert exact["correlation"].min() > 0.999 and exact["variance_kept"].min() > 0.99
    assert exact["recovered"].min() > 0.99 and (exact["mean_ablation_kept"] < 0.05).all()
    random = SAE(world.model.channels, 12, 6, layer_norm=False, seed=1).eval()
    with torch.no_grad():
        random.pre_bias.copy_(torch.from_numpy(means))
    worse = fidelity_of(passes, random, means, tracks).track_table(tracks)
    assert worse["variance_kept"].max() < 0.5
    check_table(exact, "fidelity")


def test_raw_channels_change_nothing(passes, world, tracks):
    raw = RawChannels(world.model.channels)
    table = fidelity_of(passes, raw, means_of(world), tracks, 2).track_table(tracks)
    assert table["correlation"].min() > 0.99999 and table["recovered"].min() > 0.9999


def test_figures_of_fidelity_are_the_plain_ones(tracks):
    rng = np.random.default_rng(0)
    y, z, m = (torch.from_numpy(rng.normal(5, 1, (3, 40, 2)).astype(np.float32)) for _ in range(3))
    z += y
    sums = fidelity.FidelitySums()
    for row in range(3):
        sums.add(y[row], z[row], m[row])
    found = sums.figures()
    for track in range(2):
        a, b, c = (part[..., track].numpy().astype(float).reshape(-1) for part in (y, z, m))
        assert found["correlation"][track] == pytest.approx(np.corrcoef(a, b)[0, 1], rel=1e-9)
        total = np.square(a - a.mean()).sum()
        assert found["variance_kept"][track] == pytest.approx(1 - np.square(a - b).sum() / total, rel=1e-9)
        share = np.square(a - b).sum() / np.square(a - c).sum()
        assert found["recovered"][track] == pytest.approx(1 - share, rel=1e-9)


def test_a_constant_track_has_no_fidelity_and_is_counted(tracks):
    sums = fidelity.FidelitySums()
    rng = np.random.default_rng(0)
    for _ in range(4):
        y = torch.from_numpy(rng.normal(size=(10, 2)))
        y[:, 1] = 3.0
        sums.add(y, y + 0.1, y + 1)
    groups = sums.group_table(tracks, 30, seed=0)
    check_table(groups, "fidelity_groups")
    assert groups["n_constant"].tolist() == [1] and groups["group"].tolist() == ["all"]
    low, high = groups[["variance_kept_low", "variance_kept_high"]].iloc[0]
    assert low <= groups["variance_kept"].iloc[0] <= high


def test_a_dictionary_with_layer_norm_reconstructs_in_raw_units(tmp_path):
    world = random_world(tmp_path, seed=1, n_nodes=20, layer_norm=True)
    layer = world.host.activations(torch.from_numpy(encode(world.genome.segment("chr1", 0, 1024))))
    rows = layer[0]
    found = fidelity.reconstruct(world.model, layer)[0]
    result = world.model(rows)
    expected = result.output * world.model.scale + world.model.shift
    assert torch.allclose(found, expected, atol=1e-5)


def test_the_figure_shows_runs_side_by_side():
    from biosae.causal.fidelity_figure import draw_fidelity

    rows = []
    for run, kept in (("sae", 0.9), ("random", -4.0)):
        for group in ("DNASE", "(all)"):
            row = {"run": run, "group": group, "mean_ablation_kept": 0.0}
            for name in fidelity.FIGURES:
                row |= {name: kept, f"{name}_low": kept - 0.1, f"{name}_high": kept + 0.05}
            rows.append(row)
    figure = draw_fidelity(pd.DataFrame(rows))
    labels = {text.get_text() for text in figure.axes[1].get_legend().get_texts()}
    assert {"sae", "random", "mean-ablation"} <= labels
    assert figure.axes[0].get_ylim()[0] < 0
