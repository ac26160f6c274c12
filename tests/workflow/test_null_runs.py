"""What learnt nothing of the sequence is not believed: permuted activations, a network of random weights."""

import helpers
import pytest

from biosae import artefacts

pytestmark = pytest.mark.workflow

SHARE = 0.05  # of kept nodes: most that may be named and stand out from the null sets
RUNS = {"sae": "topk-x4-k4-lr0.003-s0", "permuted": "permuted-x4-k4-lr0.003-s0"}
RUNS["random_model"] = "random_model-x4-k4-lr0.003-s0"


@pytest.fixture
def scored(copy):
    """The scoreboard of an SAE and the two nulls, on a world where the SAE finds motifs."""
    folder, config = copy
    twin = {split: f"data/activations/random_model/{split}" for split in ("train", "validation")}
    changed = {
        **config,
        "baselines": ["permuted", "random_model"],
        "activations": {**config["activations"], "random_model": twin},
        "sae": {**config["sae"], "max_positions": 2_000_000, "epochs": 60},
        "nulls": {"kinds": ["filter"], "sets": 400, "pool_windows": 20_000},
    }
    result = helpers.snakemake(folder, changed, "results/summary.tsv")
    assert result.returncode == 0, result.stdout[-2000:] + result.stderr[-6000:]
    return folder / "results"


def test_nulls_are_not_named_and_the_sae_is(scored):
    summary = artefacts.read_table(scored / "summary.tsv", "summary").set_index("role")
    assert summary["run"].to_dict() == RUNS
    share = summary["nodes_named_calibrated"].astype(float) / summary["kept_nodes"]
    assert (summary["kept_nodes"] >= 20).all()
    assert share["permuted"] <= SHARE
    assert share["random_model"] <= SHARE
    assert share["sae"] >= SHARE
    assert share["sae"] > max(share["permuted"], share["random_model"])
    board = artefacts.read_table(scored / "scoreboard.tsv", "scoreboard").set_index("figure")
    named = board.loc["nodes_named_calibrated"]
    assert named["best_null"] in (RUNS["permuted"], RUNS["random_model"])
    assert named["ci_low"] <= named["difference"] <= named["ci_high"]
    assert named["difference"] > 0
    page = (scored / "summary.html").read_text()
    assert "one seed" in page
    assert all(run in page for run in RUNS.values())
    assert (scored / "scoreboard.svg").stat().st_size > 0
