"""What the atlas says equals what the run's files say: index, shards, loci, genes."""

from __future__ import annotations

import h5py
import numpy as np
import pandas as pd
import pytest
from helpers_atlas import build, index_of, made_run, nodes_of, read

from biosae.artefacts import load_schema, read_table
from biosae.atlas.examples import thinned, two_bits
from biosae.motifs.formats import read_meme

N = 150  # three shards, the last one not full


@pytest.fixture(scope="module")
def world(tmp_path_factory):
    """A run, its atlas, the index and all nodes."""
    run = made_run(tmp_path_factory.mktemp("atlas"), N)
    atlas = build(run)
    return run, atlas, index_of(atlas), nodes_of(atlas)


def values_of(column: dict) -> pd.Series:
    """A column of the index as a typed series."""
    stored = column["values"]
    if column["type"] == "string":
        missing = np.iinfo(stored.dtype).max
        return pd.Series(
            [None if code == missing else column["words"][code] for code in stored], dtype="string"
        )
    if column["type"] == "number":
        return pd.Series(stored.astype(np.float64))
    missing = {"integer": -(2**31), "boolean": 255}[column["type"]]
    whole = pd.Series(stored.astype(np.int64), dtype="Int64")
    whole = whole.mask(whole == missing)
    return whole if column["type"] == "integer" else whole.astype("boolean")


def test_the_index_is_nodes_tsv_cell_by_cell_then_the_map(world):
    run, _, index, _ = world
    nodes, umap = read_table(run / "nodes.tsv", "nodes"), read_table(run / "umap.tsv", "umap")
    names = [*load_schema("nodes")["properties"], "umap1", "umap2", "coact1", "coact2", "cluster"]
    assert [column["name"] for column in index["columns"]] == names
    assert nodes.drop(columns="rank").isna().any().sum() > 10, "nulls are asked for too"
    for column in index["columns"]:
        table = nodes if column["name"] in nodes else umap
        found, expected = values_of(column), table[column["name"]]
        assert found.isna().tolist() == expected.isna().tolist(), column["name"]
        if column["type"] == "number":
            both = (pair.to_numpy(np.float64, na_value=np.nan) for pair in (found, expected))
            assert np.allclose(*both, rtol=1e-6, atol=0, equal_nan=True), column["name"]
        else:
            assert found.dropna().tolist() == expected.dropna().tolist(), column["name"]


def test_the_index_describes_its_columns_by_the_schema(world):
    index = world[2]
    by_name = {column["name"]: column for column in index["columns"]}
    assert by_name["motif_width"]["unit"] == "bp"
    assert by_name["density"]["text"].startswith("share of all positions of the stream")
    assert by_name["named"]["type"] == "boolean"


def test_logos_are_the_best_motifs(world):
    run, _, index, _ = world
    matrices = {motif.id: motif.matrix for motif in read_meme(run / "motifs.meme")}
    ends = np.cumsum(index["logos"]["widths"], dtype=np.int64)
    best = read_table(run / "nodes.tsv", "nodes")["best_motif_id"]
    assert best.isna().any()
    for row, name in enumerate(best):
        low, high = ends[row] - index["logos"]["widths"][row], ends[row]
        shown = index["logos"]["matrices"][low:high]
        expected = np.zeros((0, 4)) if pd.isna(name) else np.rint(matrices[name] * 255)
        assert np.array_equal(shown, expected)


def test_the_run_is_said_as_its_files_say_it(world):
    run, _, index, _ = world
    curve = read_table(run / "training_curve.tsv", "training_curve")
    assert [row["step"] for row in index["curve"]] == curve["step"].tolist()
    assert index["curve"][0]["train_mse"] is None
    assert index["nulls"][0]["filter"] == "motif"
    assert [row["figure"] for row in index["scoreboard"]] == ["nodes_with_motif", "nodes_named"]
    assert index["settings"]["recipe.epochs"] == 20
    assert (index["layer"], index["run"], index["assembly"]) == ("conv1d_2", "topk-x4-k36", "hg38")
    assert (index["window_bp"], index["stride_bp"], index["n_nodes"], index["shard_nodes"]) == (22, 4, N, 64)
    assert index["shards"] == ["nodes_0000", "nodes_0001", "nodes_0002"]
    assert index["counts"]["nodes of the dictionary that were not kept"] == 30
    assert index["enrichment_sets"] == ["cCRE"]


def test_rows_are_in_the_shard_that_the_document_says(world):
    run, atlas, index, nodes = world
    table = read_table(run / "nodes.tsv", "nodes")
    assert [(node["rank"], node["node"]) for node in nodes] == list(
        table[["rank", "node"]].itertuples(index=False, name=None)
    )
    for row in (0, 63, 64, 127, 149):
        shard = read(atlas, index["shards"][row // 64])
        assert shard["first"] == row // 64 * 64
        assert shard["nodes"][row - shard["first"]]["rank"] == row + 1


def test_motifs_and_matches_equal_the_tables(world):
    run, atlas, index, nodes = world
    motifs, matches = read_table(run / "motifs.tsv", "motifs"), read_table(run / "matches.tsv", "matches")
    matrices = {motif.id: motif.matrix for motif in read_meme(run / "motifs.meme")}
    database = {motif.id: motif.matrix for motif in read_meme(run.parents[1] / "database.meme")}
    targets = read(atlas, "targets")["targets"]
    seen = [motif for node in nodes for motif in node["motifs"]]
    assert [motif["id"] for motif in seen] == motifs["motif_id"].tolist()
    for motif, row in zip(seen, motifs.itertuples(), strict=True):
        assert np.array_equal(motif["matrix"], matrices[motif["id"]].astype(np.float32))
        assert motif["log10_e"] == pytest.approx(row.log10_e, rel=1e-3)
        assert (motif["n_sites"], motif["consensus"]) == (row.n_sites, row.consensus)
        assert (motif["significant"], motif["flag"]) == (row.significant, None)
        own = matches[matches["query"] == motif["id"]]
        assert motif["n_matches"] == len(own)
        assert len(motif["matches"]) == min(10, len(own))
        for shown, match in zip(motif["matches"], own.head(10).itertuples(), strict=True):
            target = targets[shown["target"]]
            assert (target["id"], target["name"], target["database"]) == (
                match.target,
                match.target_name,
                match.database,
            )
            assert np.array_equal(target["matrix"], database[match.target].astype(np.float32))
            for name in ("offset", "overlap", "orientation", "significant"):
                assert shown[name] == getattr(match, name)
            for name in ("p_value", "log10_p", "e_value", "q_value", "q_value_run", "q_null"):
                assert shown[name] == pytest.approx(getattr(match, name), rel=1e-3)
            assert shown["promiscuous"] == match.target_promiscuous
    left = sum(max(0, motif["n_matches"] - 10) for motif in seen)
    assert index["counts"]["matches beyond the best 10 of a motif"] == left > 0


def unpacked(bits: np.ndarray, width: int) -> np.ndarray:
    """Codes of the bases of (n, ceil(width / 4)) bytes."""
    return np.stack([bits >> shift & 3 for shift in (0, 2, 4, 6)], axis=2).reshape(len(bits), -1)[:, :width]


def test_examples_equal_those_of_the_file(world):
    run, _, index, nodes = world
    with h5py.File(run / "examples.h5") as handle:
        data = {name: handle[name][:] for name in handle}
    assert index["chroms"][:3] == ["chr1", "chr2", "chr3"]
    for row, node in enumerate(nodes):
        own = slice(*data["edges"][row : row + 2])
        shown, n = node["examples"], data["edges"][row + 1] - data["edges"][row]
        assert shown["n"] == n > 0
        for name in ("band", "chrom", "start", "motif_at", "motif_strand"):
            assert np.array_equal(shown[name], data[name][own]), name
        assert np.allclose(shown["peak"], data["peak"][own], rtol=2.5e-4)
        assert np.array_equal(unpacked(shown["sequence"], 22), data["sequence"][own])
        assert shown["other"] is None
        assert shown["activation"].shape == (22, n)
        read_back = shown["activation"].T / 255 * shown["scale"]
        assert np.abs(read_back - data["activation"][own]).max() <= shown["scale"] / 255
        carries = data["has_motif"][own][data["band"][own] == 0]
        expected = None if (carries == 255).all() else [int((carries == 1).sum()), len(carries)]
        assert node["n_top_with_motif"] == expected
        share = data["motif_score"][own] / max(data["motif_best_score"][row], 1)
        share[data["motif_at"][own] == -(2**15)] = np.nan
        assert np.allclose(shown["motif_score_share"], share, rtol=2.5e-4, equal_nan=True)


def test_two_bits_put_the_first_base_lowest_and_other_bases_read_as_0():
    codes = np.array([[1, 2, 3, 0, 3], [4, 1, 4, 0, 2]], dtype=np.uint8)
    assert two_bits(codes).tolist() == [[1 | 2 << 2 | 3 << 4, 3], [1 << 2, 2]]


def test_loci_are_the_windows_of_the_first_band_in_order(world):
    _, atlas, index, nodes = world
    shards = [read(atlas, name) for name in index["loci"]["shards"]]
    found = [
        triple
        for s in shards
        for triple in zip(s["chrom"].tolist(), s["start"].tolist(), s["row"].tolist(), strict=True)
    ]
    assert found == sorted(found)
    expected = []
    for row, node in enumerate(nodes):
        top = node["examples"]["band"] == 0
        pairs = zip(
            node["examples"]["chrom"][top].tolist(), node["examples"]["start"][top].tolist(), strict=True
        )
        expected += [(chrom, start, row) for chrom, start in pairs]
    assert found == sorted(expected)
    assert index["loci"]["first"] == [[s["chrom"][0], s["start"][0]] for s in shards]


def test_genes_are_those_of_the_bed_by_name(world):
    run, atlas, index, _ = world
    lines = [line.split("\t") for line in (run.parents[1] / "genes.bed").read_text().splitlines()]
    expected = sorted((name, chrom, int(start), int(end)) for chrom, start, end, name in lines)
    genes = read(atlas, "genes")
    chroms = [index["chroms"][code] for code in genes["chrom"]]
    assert (
        list(zip(genes["genes"], chroms, genes["start"].tolist(), genes["end"].tolist(), strict=True))
        == expected
    )
    assert index["has_genes"]


def test_what_else_a_node_shows(world):
    run, _, _, nodes = world
    overlaps, stats = (
        read_table(run / "overlaps.tsv", "overlaps"),
        read_table(run / "node_stats.tsv", "node_stats"),
    )
    texts = stats.set_index("node_id")["histogram"]
    for node in nodes[::29]:
        own = overlaps[overlaps["node"] == node["node"]].sort_values("q_value")
        assert [entry["class"] for entry in node["overlaps"]] == own["class"].tolist()
        assert set(node["overlaps"][0]) == set(overlaps.columns) - {"rank", "node"}
        assert len(node["repeats"]) == 5
        histogram = node["histogram"]
        counts = [int(word) for word in texts[node["node"]].split(",")]
        first = next(at for at, count in enumerate(counts) if count)
        assert histogram["edges"][0] == 2.0 ** (first - 16)
        assert len(histogram["edges"]) == len(histogram["counts"]) + 1
        assert sum(histogram["counts"]) == sum(counts)
        assert histogram["counts"][0] > 0 < histogram["counts"][-1]
        assert node["background"] == nodes[0]["background"]
        for kind in ("decoder", "coactivation", "jaccard"):
            rows = [row for row, _ in node["neighbours"][kind]]
            assert len(set(rows)) == len(rows) <= 10
            assert node["rank"] - 1 not in rows
    letters = "".join((run / "seqlets/background.fa").read_text().split("\n")[1::2])
    shares = {
        "gc_share": sum(map(letters.upper().count, "GC")),
        "repeat_share": sum(map(str.islower, letters)),
    }
    assert nodes[0]["background"] == pytest.approx({name: n / len(letters) for name, n in shares.items()})


def test_thinning_keeps_a_share_of_every_band_of_every_node():
    sizes = [[5, 4, 0, 1], [0, 0, 0, 0], [3, 10, 2, 2]]
    band = np.concatenate([np.repeat(np.arange(4), row) for row in sizes])
    edges = np.cumsum([0, *map(sum, sizes)])
    ordered = np.array([True, False, False, True])
    assert thinned(band, edges, 1.0, ordered).tolist() == list(range(27))
    assert len(thinned(band, edges, 0.0, ordered)) == 0
    kept = thinned(band, edges, 0.5, ordered)
    # of an ordered band the first; of the others spread evenly over it
    assert kept.tolist() == [0, 1, 2, 5, 7, 9, 10, 11, 13, 15, 17, 19, 21, 23, 25]
    for share in (0.01, 0.33, 0.9):
        kept = thinned(band, edges, share, ordered)
        node = np.searchsorted(edges, kept, side="right") - 1
        found = [[int(((node == n) & (band[kept] == b)).sum()) for b in range(4)] for n in range(3)]
        assert found == [[int(np.ceil(size * share)) for size in row] for row in sizes]
