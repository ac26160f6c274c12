"""One rung: a tiny world, its dictionaries and their scores, whose answers are known."""

import helpers_ladder
import numpy as np
import pytest
from scipy.sparse import csr_matrix

from biosae.artefacts import check_table, conform
from biosae.dictionary import SparseCodes
from biosae.ladder import score
from biosae.ladder.config import rung_settings
from biosae.ladder.dictionaries import candidates, recipe_for
from biosae.ladder.rung import climb
from biosae.ladder.settings import synthetic_settings
from biosae.ladder.world import make_world, windows_of
from biosae.synthetic.scoring import by_node


@pytest.fixture(scope="module")
def rung(tmp_path_factory):
    """Tables of a rung with motifs, and the folder that it was simulated in."""
    folder = tmp_path_factory.mktemp("rung") / "world"
    settings = rung_settings(helpers_ladder.checked(motif_seeds=[3]), "easy", 3)
    return (*climb(settings, helpers_ladder.DATABASE, folder), settings)


@pytest.fixture(scope="module")
def world(tmp_path_factory):
    """The world of the same rung."""
    settings = rung_settings(helpers_ladder.checked(), "easy", 3)
    folder = tmp_path_factory.mktemp("rung") / "world"
    return make_world(synthetic_settings(settings["synthetic"]), helpers_ladder.DATABASE, folder)


class Oracle:
    """Nodes that are the detectors themselves."""

    def __init__(self, fires: csr_matrix):
        self.n_nodes = fires.shape[1]
        self.rows, self.nodes = fires.nonzero()

    @property
    def codes(self):
        return score.Codes(*by_node(self.rows, self.nodes, np.ones(len(self.rows))))


def test_a_rung_has_one_row_a_run_and_keeps_its_tables_schemas(rung):
    runs, detectors, _ = rung
    assert runs["run"].tolist() == ["topk", "chance", "raw", "random", "permuted", "random_model"]
    check_table(conform(runs, "ladder"), "ladder")
    check_table(conform(detectors, "ladder_detectors"), "ladder_detectors")
    assert len(detectors) == len(runs) * runs["n_detectors"].iloc[0]
    means = detectors.groupby("run")["f1"].mean()
    assert runs.set_index("run")["assignment_f1"].to_dict() == pytest.approx(means.to_dict())


def test_what_was_trained_on_nothing_finds_nothing(rung):
    runs = rung[0].set_index("run")
    assert runs.loc["topk", "detectors_found"] > 0.4
    for null in ("permuted", "random_model", "chance"):
        assert runs.loc[null, "detectors_found"] <= 0.1
        assert runs.loc[null, "assignment_f1"] < runs.loc["topk", "assignment_f1"] / 2


def test_motifs_are_looked_for_in_every_run_but_chance(rung):
    runs = rung[0].set_index("run")
    assert runs.index[runs["motif_recall"].isna()].tolist() == ["chance"]
    assert runs.index[runs["n_significant_motifs"].isna()].tolist() == ["chance"]
    assert runs.loc["topk", "motif_recall"] > 0.4
    for null in ("permuted", "random_model"):
        assert runs.loc[null, "motif_recall"] < runs.loc["topk", "motif_recall"]


def test_the_detectors_themselves_are_found_where_they_are(world):
    codes = Oracle(world.fires).codes
    kept = score.kept_nodes(codes, world.fires.shape[1], 1)
    figures, detectors = score.recovery(codes, kept, world, world.fires)
    fire = detectors["n_fires"] > 0  # a detector that fires nowhere in the store is found by nobody
    assert fire.sum() >= len(fire) - 1
    assert figures["detectors_found"] == figures["assignment_f1"] == pytest.approx(fire.mean())
    assert figures["splitting"] == 0
    by_chance, _ = score.recovery(codes, kept, world, world.displaced_fires())
    assert by_chance["detectors_found"] == 0
    windows = score.strongest_windows(codes, detectors["node"].to_numpy(), world, "given")
    errors = score.scoring.position_errors(world.truth, windows, detectors["node"].to_numpy())
    assert np.median(errors) <= world.layer.stride_bp


def test_strongest_windows_are_those_of_a_slow_search(world):
    codes = Oracle(world.fires).codes
    rng = np.random.default_rng(0)
    codes = score.Codes(*by_node(codes.rows, codes.nodes, rng.permutation(len(codes.rows)) + 1.0))
    found = score.strongest_windows(codes, np.array([0, -1, 2]), world, "given")
    assert sorted(set(found["node"])) == [0, 2]
    width, store = world.layer.window_bp, world.stores("given").validation
    own = codes.nodes == 2
    rows = codes.rows[own][np.argsort(-codes.values[own])]
    kept: list[tuple[str, int]] = []
    for chrom, start in zip(*windows_of(store, world.layer, rows), strict=True):
        if start >= 0 and all(chrom != c or abs(start - s) >= width for c, s in kept):
            kept.append((chrom, int(start)))
    slow = kept[: score.STRONGEST]
    of_node = found[found["node"] == 2]
    assert list(zip(of_node["chrom"], of_node["start"], strict=True)) == slow


def test_permuted_stores_keep_their_sequences_so_that_the_truth_fits(world):
    given, permuted = world.stores("given").validation, world.stores("permuted").validation
    columns = ["chrom", "start", "end"]
    assert permuted.intervals[columns].equals(given.intervals[columns])
    assert not np.array_equal(given.read(0, 50), permuted.read(0, 50))


def test_baselines_have_the_shape_of_the_first_recipe(world):
    settings = rung_settings(helpers_ladder.checked(baselines=["random", "frozen"]), "easy", 3)
    models = {candidate.run: candidate.model for candidate in candidates(world, settings)}
    assert list(models) == ["topk", "random", "frozen"]
    assert len({(model.n_nodes, model.k) for model in models.values()}) == 1
    assert models["topk"].n_nodes == 24
    again = next(iter(candidates(world, settings))).model
    assert np.array_equal(again.decoder_directions(), models["topk"].decoder_directions())


def test_every_world_has_the_same_number_of_nodes():
    entry = {"n_nodes": 24, "settings": {"k": 2}}
    for channels in (7, 8, 10, 66):
        assert recipe_for(entry, channels, seed=4).nodes(channels) == 24
    assert recipe_for(entry, 8, seed=4).seed == 4


def test_a_dictionary_without_live_nodes_scores_0(world):
    nothing = SparseCodes(np.zeros(0, int), np.zeros(0, int), np.zeros(0, np.float32))
    codes = score.Codes(nothing.rows, nothing.nodes, nothing.values)
    figures, detectors = score.recovery(codes, score.kept_nodes(codes, 5, 1), world, world.fires)
    assert figures["detectors_found"] == figures["assignment_f1"] == figures["n_kept_nodes"] == 0
    assert score.strongest_windows(codes, detectors["node"].to_numpy(), world, "given").empty
