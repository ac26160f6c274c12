"""Ablation on networks whose truth is known: planted motifs that drive two tracks, and random weights."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
import torch

from biosae.artefacts import check_table, read_table
from biosae.causal import ablation, ablation_run
from biosae.causal.changes import Directions, matched_controls
from biosae.causal.passes import SCALE_WINDOWS, Passes, spread
from biosae.causal.places import choose_nodes, node_windows, read_places, window_shift
from biosae.causal.targets import read_tracks
from biosae.errors import ContractError, InputError
from biosae.model import SAE
from unit.helpers_causal import SEQUENCE_BP, STRIDE, data_dictionary, planted_world, random_world

SETTINGS = ablation.Settings(windows=4, doses=(0.5, 2.0), bootstraps=100)


def grouped_tracks(folder, n_tracks, per_group):
    path = folder / "targets.txt"
    rows = [f"t{i}\tTRACK:{i}\tg{i // per_group}" for i in range(n_tracks)]
    path.write_text("identifier\tdescription\tgroup\n" + "\n".join(rows) + "\n")
    return read_tracks(path, n_tracks)


def scale_of(passes, places):
    windows = places[["chrom", "window_start"]].drop_duplicates().itertuples(index=False, name=None)
    return passes.track_scale(spread(list(windows), SCALE_WINDOWS))


def measured(world, tracks, n_controls=12, settings=SETTINGS, **options):
    passes = Passes(world.host, world.genome, SEQUENCE_BP, 16)
    places, _ = read_places(world.run, SEQUENCE_BP)
    directions = Directions(world.model)
    given = passes, directions, places, tracks, scale_of(passes, places), settings
    part = ablation_run.measure_part(world.run, *given, n_controls=n_controls, **options)
    return part, passes


@pytest.fixture(scope="module")
def planted(tmp_path_factory):
    return planted_world(tmp_path_factory.mktemp("planted"))


@pytest.fixture(scope="module")
def planted_tracks(planted):
    return grouped_tracks(planted.run, 2, 1)


@pytest.fixture(scope="module")
def planted_parts(planted, planted_tracks):
    return measured(planted, planted_tracks)


@pytest.fixture(scope="module")
def planted_tables(planted_parts):
    return ablation_run.join_parts([planted_parts[0]], 0.05)[0]


def test_the_nodes_that_carry_the_motifs_and_only_they_are_causal(planted, planted_tables):
    table = planted_tables["groups"]
    called = table[table["causal"].astype(bool)]
    found = {(node, int(group[1:])) for node, group in zip(called["node"], called["group"], strict=True)}
    assert len(found & planted.drivers) / len(planted.drivers) >= 0.9
    assert len(found & planted.drivers) / len(found) >= 0.9


def test_effects_have_the_sign_and_size_of_the_truth(planted, planted_tables):
    """Tracks are softplus of 0.125 * activation in one bin of 32 bp: what an ablation loses is known."""
    row = planted_tables["groups"].set_index(["node", "group"]).loc[(0, "g0")]
    passes = Passes(planted.host, planted.genome, SEQUENCE_BP, 16)
    places, _ = read_places(planted.run, SEQUENCE_BP)
    scale = scale_of(passes, places)
    lost = np.log1p(np.exp(0.125)) - np.log(2)
    assert row["effect"] == pytest.approx(lost / scale[0], rel=0.1)
    assert row["effect_low"] <= row["effect"] <= row["effect_high"]
    assert row["ratio"] > 10 and row["ratio_low"] > 5


def test_doses_turn_the_effect_up_and_down(planted_tables):
    doses = planted_tables["doses"]
    own = doses[(doses["node"] == 0) & (doses["group"] == "g0")].set_index("dose")["effect"]
    assert own.index.tolist() == [0.0, 0.5, 2.0]
    assert own[0.5] == pytest.approx(own[0.0] / 2, rel=0.1)
    assert own[2.0] == pytest.approx(-own[0.0], rel=0.2)


def test_the_track_that_a_motif_drives_is_its_first(planted, planted_tables):
    tracks = planted_tables["tracks"]
    first = tracks[tracks["track_rank"] == 1].set_index("node")["track"]
    assert {(node, first[node]) for node, _ in planted.drivers} == planted.drivers
    assert (tracks.groupby("node")["track"].nunique() == 2).all()


def test_moved_elsewhere_a_change_that_is_read_linearly_does_as_much(planted_tables):
    """Why the moved change is reported and not tested: the network here does not care where a motif is."""
    row = planted_tables["groups"].set_index(["node", "group"]).loc[(0, "g0")]
    assert row["moved_size"] == pytest.approx(row["size"], rel=0.2)


def test_passes_are_the_floor(planted_parts):
    part, passes = planted_parts
    windows = part["groups"].drop_duplicates("node")["n_windows"].sum()
    changes = 1 + 12 + 1 + 2
    unchanged = passes.count - windows * changes
    assert 0 < unchanged <= windows + SCALE_WINDOWS + 1


def test_tables_fit_their_schemas_and_parts_change_nothing(planted, planted_tracks, planted_tables):
    parts = [measured(planted, planted_tracks, part=(i, 3))[0] for i in range(3)]
    tables, _ = ablation_run.join_parts(parts, 0.05)
    for name, schema in (("groups", "ablation"), ("doses", "ablation_doses"), ("tracks", "ablation_tracks")):
        check_table(tables[name], schema)
        pd.testing.assert_frame_equal(tables[name], planted_tables[name], rtol=1e-6)
    with pytest.raises(ContractError, match="twice"):
        ablation_run.join_parts([parts[0], parts[0]], 0.05)


@pytest.mark.parametrize("seed", [0, 1])
def test_random_weights_have_no_causal_nodes(tmp_path, seed):
    world = random_world(tmp_path, seed, n_nodes=36, layer_norm=bool(seed))
    part, _ = measured(world, grouped_tracks(tmp_path, 6, 2), 8, ablation.Settings(windows=4, bootstraps=50))
    table = ablation_run.join_parts([part], 0.05)[0]["groups"]
    causal = table.groupby("node")["causal"].any()
    assert len(causal) > 20
    assert causal.mean() <= 0.05
    assert (table["p_value"] < 0.05).mean() < 0.12


def test_another_network_is_refused_before_long(planted, planted_tracks, tmp_path):
    places, _ = read_places(planted.run, SEQUENCE_BP)
    passes = Passes(planted.host, planted.genome, SEQUENCE_BP, 16)
    other = SAE(planted.model.channels, planted.model.n_nodes, 6, layer_norm=False, seed=3).eval()
    with pytest.raises(InputError, match="not those of the run"):
        ablation_run.measure_part(
            planted.run, passes, Directions(other), places, planted_tracks, np.ones(2), SETTINGS, n_controls=4
        )


def test_a_node_that_was_not_kept_is_named(planted):
    assert choose_nodes(planted.run, [2, 0])["node"].tolist() != []
    with pytest.raises(InputError, match=r"1 of the nodes asked for.*99"):
        choose_nodes(planted.run, [0, 99])


def test_without_enough_controls_nothing_is_tested(planted, planted_tracks):
    part, _ = measured(planted, planted_tracks, n_controls=1, nodes=[0, 5])
    table = ablation_run.join_parts([part], 0.05)[0]["groups"]
    assert table["p_value"].isna().all() and table["causal"].isna().all()
    assert (table["size"] > 0).all() and set(table["node"]) == {0, 5}


def test_places_are_where_the_nodes_fire(planted):
    places, layer = read_places(planted.run, SEQUENCE_BP)
    assert layer.name == "mixed"
    row = places[places["node"] == 3].iloc[0]
    onehot = Passes(planted.host, planted.genome, SEQUENCE_BP, 1).window(row["chrom"], row["window_start"])
    rows = planted.host.activations(torch.from_numpy(onehot))[0]
    active = Directions(planted.model).activations(rows, 3)
    assert float(active[row["position"]]) == pytest.approx(row["activation"], rel=1e-3)
    assert row["start"] == row["window_start"] + STRIDE * row["position"] - layer.left_bp


def test_a_longer_input_is_centred_on_the_sequence(planted):
    short, _ = read_places(planted.run, SEQUENCE_BP)
    long, _ = read_places(planted.run, 2 * SEQUENCE_BP)
    assert (short["window_start"] - long["window_start"] == SEQUENCE_BP // 2).all()
    assert (long["position"] - short["position"] == SEQUENCE_BP // 2 // STRIDE).all()


def test_a_shorter_input_holds_its_place_near_the_middle():
    offsets = np.arange(0, 4000, 4)
    shift = window_shift(offsets, 4000, 1000, 4)
    assert (shift % 4 == 0).all() and shift.min() == 0 and shift.max() == 3000
    inside = offsets - shift
    middle = (offsets > 500) & (offsets < 3400)
    assert inside[middle].min() >= 248 and inside[middle].max() <= 752
    assert (inside >= 0).all() and (inside < 1000).all()


def test_windows_hold_the_strongest_first():
    places = pd.DataFrame(
        {"chrom": ["a", "b", "a", "c"], "window_start": [0, 0, 0, 5], "position": [1, 2, 3, 4]}
    )
    windows = node_windows(places, 2)
    assert [rows["position"].tolist() for rows in windows] == [[1, 3], [2]]


@pytest.mark.parametrize("layer_norm", [False, True])
@pytest.mark.parametrize("dose", [0.0, 0.5, 3.0])
def test_the_change_is_that_of_the_decoder(layer_norm, dose):
    torch.manual_seed(0)
    rows = torch.randn(200, 12) * torch.linspace(0.1, 30, 12) + 5
    model = data_dictionary(rows, 20, 4, 0, layer_norm).double()
    rows = rows[:9].double()
    values, indices = model.encode(rows)
    node = int(indices[0, 0])
    changed = torch.where(indices == node, values * dose, values)
    expected = model.decode(changed, indices, like=rows) - model.decode(values, indices, like=rows)
    directions = Directions(model)
    directions.normalised = directions.normalised.double()
    active = directions.activations(rows, node)
    assert float(active[0]) > 0
    found = (dose - 1) * active[:, None] * directions.unit_change(rows, node)
    assert torch.allclose(found, expected, atol=1e-9)


def test_a_control_is_as_large_in_normalised_channels():
    torch.manual_seed(0)
    rows = torch.randn(50, 12) * torch.linspace(0.1, 30, 12)
    model = data_dictionary(rows, 20, 4, 0)
    with torch.no_grad():
        model.decoder[3] *= 7
    directions = Directions(model)
    own, other = directions.unit_change(rows[:4], 5), directions.unit_change(rows[:4], 3, size_of=5)
    sizes = (own / model.scale).norm(dim=1), (other / model.scale).norm(dim=1)
    assert torch.allclose(*sizes, rtol=1e-5)
    assert not torch.allclose(own, other)


def test_controls_are_near_in_activation_and_density_and_not_the_node_itself():
    activation, density = np.array([1.0, 1.1, 2.0, 1.05, 0.9]), np.array([0.1, 0.1, 0.1, 0.1, 0.001])
    directions = np.eye(5)
    directions[3] = -directions[0]  # the other sign of the same direction is the same change
    found = matched_controls(activation, density, directions, 2)
    assert found[0].tolist() == [1, 2]
    assert all(row not in rows for row, rows in enumerate(found))
    assert [len(rows) for rows in matched_controls(activation, density, directions, 9)] == [3, 4, 4, 3, 4]


def test_a_change_that_is_nothing_changes_nothing(planted):
    passes = Passes(planted.host, planted.genome, SEQUENCE_BP, 3)

    def nothing(layer):
        return torch.tensor([5, 5]), torch.zeros(2, layer.shape[1])

    assert np.abs(passes.changed("chr1", 0, [nothing] * 4)).max() < 1e-4
    assert np.abs(passes.changed("chr1", 0, [nothing] * 4)).max() >= 0


def test_a_constant_track_has_no_scale(planted):
    with torch.no_grad():
        kept = planted.host.module.head.weight[1].clone()
        planted.host.module.head.weight[1] = 0
    try:
        scale = Passes(planted.host, planted.genome, SEQUENCE_BP, 3).track_scale([("chr1", 0), ("chr2", 0)])
    finally:
        with torch.no_grad():
            planted.host.module.head.weight[1] = kept
    assert scale[1] == 0 and scale[0] > 0


def test_kept_nodes_without_any_seqlet(planted, tmp_path):
    import shutil

    run = tmp_path / "run"
    shutil.copytree(planted.run, run)
    (run / "seqlets" / "seqlets.bed.gz").write_bytes(b"")
    with pytest.raises(InputError, match="No kept node of the run has a seqlet"):
        read_places(run, SEQUENCE_BP)
    assert len(read_table(run / "selected_nodes.tsv", "selected_nodes")) > 0
