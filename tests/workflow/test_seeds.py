"""A grid with several seeds: runs that differ in the seed alone are compared, and nothing else is."""

import copy as copying

import helpers
import pytest

from biosae import artefacts

pytestmark = pytest.mark.workflow

OLD, NEW = "topk-x4-k4-lr0.003-s0", "topk-x4-k4-lr0.003-s1"


def with_grid(config: dict, **grid) -> dict:
    changed = copying.deepcopy(config)
    changed["sae"]["grid"] |= grid
    return changed


def test_one_seed_compares_nothing_and_another_k_is_no_sibling(copy):
    folder, config = copy
    run = folder / "results/tiny" / OLD
    assert not (run / "stability.tsv").exists()
    assert artefacts.read_table(run / "nodes.tsv", "nodes")["stability"].isna().all()
    assert artefacts.read_table(folder / "results/summary.tsv", "summary")["siblings"].isna().all()
    assert (run / "figures/quality.png").stat().st_size > 0
    artefacts.read_table(run / "channel_fvu.tsv", "channel_fvu")
    plan = helpers.planned(helpers.snakemake(folder, with_grid(config, k=[4, 5]), "-n"))
    assert "compare_seeds" not in plan
    assert plan["train_sae"] == 1


def test_a_second_seed_is_compared_with_the_first_without_training_it_again(copy):
    folder, config = copy
    changed = with_grid(config, seed=[0, 1])
    plan = helpers.planned(helpers.snakemake(folder, changed, "-n"))
    assert (plan["compare_seeds"], plan["train_sae"], plan["encode_activations"]) == (2, 1, 1)
    assert (plan["summarise_nodes"], plan["plot_quality"], plan["summarise_runs"]) == (2, 2, 1)
    targets = [f"results/tiny/{OLD}/nodes.tsv", f"results/tiny/{OLD}/figures/quality.svg"]
    result = helpers.snakemake(folder, changed, *targets)
    assert result.returncode == 0, result.stderr
    run = folder / "results/tiny" / OLD
    pairs = artefacts.read_table(run / "stability_pairs.tsv", "stability_pairs")
    assert set(pairs["sibling"]) == {NEW}
    nodes = artefacts.read_table(run / "nodes.tsv", "nodes")
    cosine = pairs.set_index("node")["cosine"]
    assert nodes["stability"].tolist() == cosine[nodes["node"]].tolist()
    assert "random directions" in (run / "figures/quality.svg").read_text()
    # back to one seed: the table of the other is left, and read by nothing
    again = helpers.snakemake(folder, config, targets[0])
    assert again.returncode == 0, again.stderr
    assert artefacts.read_table(run / "nodes.tsv", "nodes")["stability"].isna().all()
