"""Write a made-up run of many nodes, every file that an atlas is built from. From the repository's root:

    PYTHONPATH=scripts python tests/benchmarks/atlas_synthetic.py --nodes 20000 --output DIR

writes DIR/conv1d_2/topk-x4-k36 (the run), DIR/database.meme, DIR/genes.bed and DIR/scoreboard.tsv, and prints
the command that builds its atlas. Tables have the shape of real ones (two motifs a node, up to fourteen
matches a motif, ten enrichments a node), sequences are random, so that they compress as little as can be, and
activations fall off around a peak as a TopK code's do. The same options give the same bytes.
"""

from __future__ import annotations

import gzip
import gzip
from pathlib import Path

import h5py
import numpy as np
import pandas as pd
from safetensors.numpy import save_file

from biosae import cli
from biosae.artefacts import conform, load_schema, write_json, write_table
from biosae.motifs.formats import Motif, read_meme, write_meme

LAYER, RUN = "conv1d_2", "topk-x4-k36"
CHROMS = [*(f"chr{number}" for number in range(1, 23)), "chrX"]
CHROM_BP = 120_000_000
BANDS = ("top", "band 1", "band 2", "band 3", "random positive", "near miss")
BAND_TEXT = (
    "the strongest seqlets",
    "active at 50 to 75 % of the node's maximum",
    "active at 25 to 50 % of the node's maximum",
    "active at up to 25 % of the node's maximum",
    "active positions drawn evenly, whatever the activation",
    "hits of the best motif at which the node does not fire",
)
SHARES = (0.5, 0.1, 0.1, 0.1, 0.1, 0.1)  # of a node's examples, by band
LEVELS = (1.0, 0.62, 0.37, 0.12, 0.3, 0.0)  # mean activation of a band, as a share of the maximum
CHANNELS = 736
DATABASE = Path(__file__).parents[1] / "data" / "meme_suite_5.5.8" / "JASPAR2026_CORE_vertebrates.meme.gz"
_FILL = {"integer": 0, "number": 0.5, "string": "x", "boolean": True}


def main() -> None:
    """Write the run."""
    parser = cli.program(__doc__)
    add = parser.add_argument
    add("--nodes", type=int, default=20_000, help="kept nodes")
    add("--examples", type=int, default=100, help="examples a node, half of them of the top band")
    add("--window-bp", type=int, default=42, help="width of a window")
    add("--stride-bp", type=int, default=4, help="bases between positions of the layer")
    add("--seqlets", type=int, default=200, help="seqlets a node")
    cli.add_seed(parser)
    add("--output", type=Path, required=True, help="folder to write into")
    arguments = parser.parse_args()
    run = write_run(
        arguments.output,
        arguments.nodes,
        arguments.examples,
        (arguments.window_bp, arguments.stride_bp),
        arguments.seqlets,
        arguments.seed,
    )
    folder = arguments.output
    print(
        f"PYTHONPATH=scripts python scripts/build_atlas.py --run {run} --database {folder / 'database.meme'} "
        f"--genes {folder / 'genes.bed'} --scoreboard {folder / 'scoreboard.tsv'} --assembly hg38 "
        f"--output {run / 'atlas'}"
    )


def write_run(
    folder: Path,
    n_nodes: int,
    examples: int = 100,
    geometry: tuple[int, int] = (42, 4),
    seqlets: int = 200,
    seed: int = 0,
) -> Path:
    """Write everything; returns the folder of the run. ``geometry`` is (window_bp, stride_bp)."""
    rng = np.random.default_rng(seed)
    run = folder / LAYER / RUN
    dictionary = max(8, n_nodes + n_nodes // 5)
    numbers = rng.permutation(dictionary)[:n_nodes]
    kept = pd.DataFrame({"rank": np.arange(1, n_nodes + 1), "node": numbers})
    motifs, matrices = write_motifs(run, kept, rng)
    matches = write_matches(folder, run, motifs, rng)
    write_nodes(run, kept, motifs, matches, rng)
    write_enrichments(run, kept, rng)
    write_seqlets(run, kept, seqlets, geometry[0], rng)
    write_examples(run / "examples.h5", kept, matrices, examples, geometry, rng)
    write_training(run, dictionary, rng)
    write_others(folder, rng)
    return run


def filled(table: pd.DataFrame, schema: str) -> pd.DataFrame:
    """The table with the schema's other columns: missing where that is allowed, else a value that fits."""
    added = {}
    for name, rule in load_schema(schema)["properties"].items():
        if name in table:
            continue
        kinds = rule["type"] if isinstance(rule["type"], list) else [rule["type"]]
        added[name] = None if "null" in kinds else rule.get("enum", [_FILL[kinds[0]]])[0]
    return conform(table.assign(**added), schema)


def write_motifs(run: Path, kept: pd.DataFrame, rng: np.random.Generator) -> tuple[pd.DataFrame, list]:
    """Two motifs a node, none for one node in ten; returns the rows and the best matrix of each node."""
    has = rng.random(len(kept)) >= 0.1
    ranks, nodes = (np.repeat(kept.loc[has, name].to_numpy(), 2) for name in ("rank", "node"))
    number = np.tile([1, 2], int(has.sum()))
    ids = [f"{r}_n{n}_m{m}" for r, n, m in zip(ranks, nodes, number, strict=True)]
    made = [
        Motif(name, "", rng.dirichlet([0.2] * 4, width), 100.0)
        for name, width in zip(ids, rng.integers(6, 19, len(ids)), strict=True)
    ]
    log10_e = -np.abs(rng.normal(40, 30, len(ids))) * (number == 1) + rng.random(len(ids))
    columns = {"motif_id": ids, "rank": ranks, "node": nodes, "motif": number, "log10_e": log10_e}
    columns |= {"consensus": [m.consensus for m in made], "width": [m.width for m in made], "engine": "batched"}
    columns |= {"n_sites": rng.integers(30, 900, len(ids)), "n_seqlets": 1000, "significant": log10_e < -3}
    columns |= {"e_value": 10.0**log10_e, "q_value": np.minimum(10.0**log10_e, 1), "share_forward": rng.random(len(ids))}
    columns["information_bits"] = rng.uniform(6, 18, len(ids))
    table = filled(pd.DataFrame(columns), "motifs")
    write_table(table, run / "motifs.tsv", "motifs")
    write_meme(run / "motifs.meme", made)
    best = dict(zip(ids, (motif.matrix for motif in made), strict=True))
    pairs = zip(kept["rank"], kept["node"], strict=True)
    return table, [best.get(f"{rank}_n{node}_m1") for rank, node in pairs]


def write_matches(folder: Path, run: Path, motifs: pd.DataFrame, rng: np.random.Generator) -> pd.DataFrame:
    """Up to fourteen matches a motif, and the database that they are of."""
    text = gzip.decompress(DATABASE.read_bytes())
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "database.meme").write_bytes(text)
    database = read_meme(folder / "database.meme")
    query = np.repeat(np.arange(len(motifs)), rng.integers(0, 15, len(motifs)))
    n = len(query)
    target, reverse = rng.integers(0, len(database), n), rng.random(n) < 0.5
    log10_p = -rng.exponential(2.5, n) - 2
    letters = [(m.likeliest_letters, m.reverse_complement().likeliest_letters) for m in database]
    columns = {name: motifs[name].to_numpy()[query] for name in ("rank", "node", "motif")}
    columns |= {"query": motifs["motif_id"].to_numpy()[query], "target": [database[t].id for t in target]}
    columns |= {"target_name": [database[t].name for t in target], "p_value": 10.0**log10_p, "log10_p": log10_p}
    columns |= {"e_value": 10.0**log10_p * len(database), "q_value": np.minimum(10.0**log10_p * 300, 1)}
    columns |= {"q_value_run": np.minimum(10.0**log10_p * 900, 1), "q_null": rng.random(n), "p_null": rng.random(n)}
    columns |= {"offset": rng.integers(-6, 7, n), "overlap": rng.integers(5, 12, n)}
    columns |= {"query_consensus": "ACGT", "target_consensus": [letters[t][int(r)] for t, r in zip(target, reverse, strict=True)]}
    columns |= {"orientation": np.where(reverse, "-", "+"), "database": "database.meme"}
    columns |= {"target_promiscuous": rng.random(n) < 0.05, "significant": 10.0**log10_p * 300 < 0.05, "at": query}
    table = pd.DataFrame(columns).sort_values(["at", "log10_p"], kind="stable", ignore_index=True)
    table = filled(table, "matches")
    write_table(table, run / "matches.tsv", "matches")
    return table


def write_nodes(
    run: Path, kept: pd.DataFrame, motifs: pd.DataFrame, matches: pd.DataFrame, rng: np.random.Generator
) -> None:
    """nodes.tsv and umap.tsv."""
    n = len(kept)
    best = motifs[motifs["motif"] == 1].set_index("node")
    first = matches.sort_values("log10_p", kind="stable").drop_duplicates("node").set_index("node")
    of_motif, of_match = best.reindex(kept["node"]), first.reindex(kept["node"])
    columns = {"num_nonzero": rng.integers(200, 9000, n), "mean_act": np.sort(rng.gamma(2, 2, n))[::-1]}
    columns |= {"max_act": columns["mean_act"] * rng.uniform(1.5, 4, n), "density": 10 ** rng.uniform(-5, -1, n)}
    columns |= {"n_sequences": rng.integers(20, 900, n), "n_seqlets": 1000, "n_motifs": of_motif["rank"].notna() * 2}
    columns["n_significant_motifs"] = of_motif["significant"].fillna(False).astype(int)
    names = {"motif_id": "best_motif_id", "consensus": "consensus", "width": "motif_width", "n_sites": "motif_sites"}
    names |= {"e_value": "motif_e_value", "log10_e": "motif_log10_e", "q_value": "motif_q_value"}
    columns |= {to: of_motif[name] for name, to in (names | {"significant": "motif_significant"}).items()}
    names = {"target": "best_match", "target_name": "target_name", "query": "match_motif_id", "p_value": "match_p_value"}
    names |= {"e_value": "match_e_value", "q_value": "match_q_value", "significant": "match_significant"}
    columns |= {to: of_match[name] for name, to in names.items()}
    named = (of_match["significant"].fillna(False) & of_motif["significant"].fillna(False)).to_numpy(bool)
    columns |= {"named": named, "n_naming_matches": named.astype(int), "explained_by": "nothing"}
    for name in ("gc_share", "repeat_share", "seqlets_with_motif", "hits_fired", "motif_f1", "motif_auroc"):
        columns[name] = np.where(rng.random(n) < 0.1, np.nan, rng.random(n))
    columns["explained_by"] = np.where(named, "factor: " + of_match["target_name"].astype(str), "nothing")
    plain = {name: np.asarray(values) for name, values in columns.items()}
    write_table(filled(kept.assign(**plain), "nodes"), run / "nodes.tsv", "nodes")
    centres = rng.normal(0, 8, (25, 2))
    cluster = rng.integers(0, 25, n)
    places = {name: (centres[cluster] + rng.normal(0, 1, (n, 2)))[:, at % 2] for at, name in enumerate(("umap1", "umap2", "coact1", "coact2"))}
    write_table(filled(kept.assign(**places, cluster=cluster), "umap"), run / "umap.tsv", "umap")


def write_enrichments(run: Path, kept: pd.DataFrame, rng: np.random.Generator) -> None:
    """Ten rows of overlaps.tsv and five of repeats.tsv a node."""
    for name, classes, fixed in (
        ("overlaps", [f"class {at}" for at in range(10)], {"annotation": "cCRE"}),
        ("repeats", ["soft_masked", "SINE/Alu", "LINE/L1", "Simple_repeat", "LTR/ERV1"], {"kind": "repeat"}),
    ):
        n = len(kept) * len(classes)
        columns = {column: np.repeat(kept[column].to_numpy(), len(classes)) for column in ("rank", "node")}
        columns |= {"class": np.tile(classes, len(kept)), "n_seqlets": 1000, "n_overlap": rng.integers(0, 1000, n)}
        columns |= {"n_background": 20000, "n_background_overlap": rng.integers(0, 20000, n)}
        odds = 10 ** rng.normal(0, 0.5, n)
        columns |= {"odds_ratio": odds, "ci_low": odds * 0.8, "ci_high": odds * 1.25}
        columns |= {"p_value": rng.random(n) + 1e-300, "q_value": rng.random(n)}
        if name == "repeats":
            columns["source"] = np.tile(["genome", *["bed"] * (len(classes) - 1)], len(kept))
        write_table(filled(pd.DataFrame({**columns, **fixed}), name), run / f"{name}.tsv", name)


def write_seqlets(run: Path, kept: pd.DataFrame, each: int, window_bp: int, rng: np.random.Generator) -> None:
    """The windows of every node (half of them at loci that many share), their manifest and the background."""
    n = len(kept) * each
    cells = CHROM_BP // window_bp // 4
    shared = rng.integers(0, max(4 * each, n // 8), n)
    cell = np.where(rng.random(n) < 0.5, shared * 7919 % (cells * len(CHROMS)), rng.integers(0, cells * len(CHROMS), n))
    order = np.argsort(cell, kind="stable")
    names = (kept["rank"].astype(str) + "_n" + kept["node"].astype(str)).to_numpy()
    start = cell[order] % cells * window_bp * 4
    columns = {"chrom": np.array(CHROMS)[cell[order] // cells], "start": start, "end": start + window_bp}
    columns |= {"name": np.repeat(names, each)[order], "score": 1000, "strand": "+", "activation": 1.0, "rank": 1}
    folder = run / "seqlets"
    folder.mkdir(parents=True, exist_ok=True)
    packing = {"method": "gzip", "compresslevel": 1, "mtime": 0}
    table = pd.DataFrame(columns)
    table.to_csv(folder / "seqlets.bed.gz", sep="\t", index=False, header=False, compression=packing)
    rows = kept.assign(file=names + ".fa", n_seqlets=each, n_top=each)
    write_table(filled(rows, "seqlet_manifest"), folder / "manifest.tsv", "seqlet_manifest")
    letters = rng.choice(list("ACGTacgt"), (2000, window_bp))
    lines = [f">chr1:{at}-{at + window_bp}(+) background\n{''.join(row)}\n" for at, row in enumerate(letters)]
    (folder / "background.fa").write_text("".join(lines))


def write_examples(
    path: Path,
    kept: pd.DataFrame,
    matrices: list,
    each: int,
    geometry: tuple[int, int],
    rng: np.random.Generator,
    letters: int = 4,
) -> None:
    """examples.h5 (``docs/atlas_format.md``); half of the examples carry the consensus of the node's motif."""
    window_bp, stride_bp = geometry
    sizes = [max(1, round(share * each)) for share in SHARES]
    band = np.tile(np.repeat(np.arange(len(BANDS)), sizes), len(kept))
    n, of_node = len(band), sum(sizes)
    highest = np.repeat(30 / np.sqrt(np.arange(1, len(kept) + 1)), of_node)
    peak = (np.array(LEVELS)[band] * highest * rng.uniform(0.8, 1.2, n)).astype(np.float32)
    node = np.repeat(np.arange(len(kept)), of_node)
    order = np.lexsort((-peak, band, node))
    peak = peak[order]
    widths = np.array([0 if matrix is None else len(matrix) for matrix in matrices], dtype=np.int64)[node]
    fits = (widths > 0) & (widths <= window_bp)
    at = np.where(fits, rng.integers(0, np.maximum(window_bp - widths, 0) + 1), -(2**15))
    carries = fits & (rng.random(n) < np.where(band == 0, 0.8, 0.4))
    sequence = rng.integers(0, letters, (n, window_bp), dtype=np.uint8)
    for row in np.flatnonzero(carries):
        matrix = matrices[node[row]]
        sequence[row, at[row] : at[row] + len(matrix)] = matrix.argmax(axis=1)
    best = np.where(widths[::of_node] > 0, 900, 0) if len(kept) else np.zeros(0, np.int64)
    data = {"node": kept["node"], "rank": kept["rank"], "edges": np.arange(len(kept) + 1) * of_node, "band": band}
    data |= {"chrom": rng.integers(0, len(CHROMS), n), "start": rng.integers(0, CHROM_BP // 4, n) * 4, "peak": peak}
    data |= {"sequence": sequence, "activation": _activations(peak, window_bp, stride_bp, rng), "motif_at": at}
    data |= {"motif_strand": np.zeros(n), "motif_score": np.where(carries, rng.integers(700, 901, n), -300)}
    data |= {"has_motif": np.where(widths == 0, 255, carries), "motif_best_score": best}
    store_examples(path, data, (window_bp, stride_bp), CHROMS)


def _activations(peak: np.ndarray, window_bp: int, stride_bp: int, rng: np.random.Generator) -> np.ndarray:
    """(n, window_bp) float32: the peak in the middle, less beside it, mostly 0 beyond."""
    positions = -(-window_bp // stride_bp)
    distance = np.abs(np.arange(positions) - positions // 2)
    chance = np.where(distance == 1, 0.6, np.where(distance == 2, 0.2, 0.04))
    found = np.where(rng.random((len(peak), positions)) < chance, rng.uniform(0.1, 0.9, (len(peak), positions)), 0)
    found[:, positions // 2] = 1
    return np.repeat(found * peak[:, None], stride_bp, axis=1)[:, :window_bp].astype(np.float32)


def store_examples(path: Path, data: dict, geometry: tuple[int, int], chroms: list, **attributes) -> None:
    """Write the datasets of an examples.h5 with the types that the contract gives them."""
    types = {"node": "i4", "rank": "i4", "edges": "i8", "band": "u1", "chrom": "u2", "start": "i4", "peak": "f4"}
    types |= {"sequence": "u1", "activation": "f4", "motif_at": "i2", "motif_strand": "u1", "motif_score": "i4"}
    types |= {"has_motif": "u1", "motif_best_score": "i4"}
    path.parent.mkdir(parents=True, exist_ok=True)
    with h5py.File(path, "w") as handle:
        for name, values in data.items():
            packing = {"chunks": True, "compression": "gzip", "compression_opts": 1} if len(values) else {}
            handle.create_dataset(name, data=np.asarray(values, dtype=types[name]), **packing)
        handle.create_dataset("chroms", data=list(chroms), dtype=h5py.string_dtype())
        handle.attrs.update({"window_bp": geometry[0], "stride_bp": geometry[1], "provenance": "{}", "counts": "{}", **attributes})
        for name, words in (("bands", BANDS), ("band_text", BAND_TEXT)):
            handle.attrs.create(name, list(words), dtype=h5py.string_dtype())


def write_training(run: Path, dictionary: int, rng: np.random.Generator) -> None:
    """Checkpoint, training curve, evaluation and statistics of all nodes of the dictionary."""
    config = {"kind": "topk", "n_nodes": dictionary, "channels": CHANNELS, "k": 36, "layer_norm": False}
    config |= {"role": "sae", "seed": 0, "layer": {"name": LAYER, "stride_bp": 4}, "recipe": {"epochs": 20}}
    write_json(run / "checkpoint" / "config.json", config)
    centres = rng.normal(size=(max(1, dictionary // 8), CHANNELS)).astype(np.float32)
    noise = rng.normal(size=(dictionary, CHANNELS)).astype(np.float32)
    decoder = centres[rng.integers(0, len(centres), dictionary)] + 0.8 * noise
    save_file({"decoder.weight": np.ascontiguousarray(decoder.T)}, run / "checkpoint" / "model.safetensors")
    figures = {"fvu": 0.0831, "l0": 36.0, "dead_fraction": 0.041, "density_median": 0.012}
    write_json(run / "evaluation.json", {**figures, **{name: config[name] for name in ("kind", "n_nodes", "channels", "k")}})
    step = np.arange(40) * 250
    fvu = 0.08 + 4 * np.exp(-step / 300)
    curve = pd.DataFrame({"step": step, "positions": 4096 * step, "epoch": step / 5000, "learning_rate": 1e-3})
    curve = curve.assign(validation_fvu=fvu, l0=36.0, dead_fraction=0.04 + 0.5 * np.exp(-step / 2000))
    write_table(filled(curve, "training_curve"), run / "training_curve.tsv", "training_curve")
    counts = rng.integers(0, 9000, (dictionary, 32)) * (np.abs(np.arange(32) - 16) < 5)
    texts = [",".join(map(str, row)) for row in counts.tolist()]
    rows = pd.DataFrame({"node_id": np.arange(dictionary), "histogram": texts})
    write_table(filled(rows, "node_stats"), run / "node_stats.tsv", "node_stats")
    nulls = [(name, kind, 100, 60, 1000, 5, 0.5) for name in ("motif", "match", "named") for kind in ("shuffled", "filter")]
    columns = list(load_schema("null_counts")["properties"])
    write_table(pd.DataFrame(nulls, columns=columns), run / "null_counts.tsv", "null_counts")


def write_others(folder: Path, rng: np.random.Generator) -> None:
    """The scoreboard, and genes."""
    rows = pd.DataFrame({"figure": ["nodes_with_motif", "nodes_named"], "value": [9000.0, 700.0]})
    rows = rows.assign(layer=LAYER, run=RUN, nulls="raw,random", best_null="raw", null_value=300.0, replicates=500)
    rows = rows.assign(matched_nodes=1000, value_matched=450.0, null_value_matched=300.0, difference=150.0, ci_low=90.0, ci_high=210.0)
    write_table(filled(rows, "scoreboard"), folder / "scoreboard.tsv", "scoreboard")
    lines = []
    for at in range(20_000):
        start = int(rng.integers(0, CHROM_BP - 50_000))
        lines.append(f"{CHROMS[at % len(CHROMS)]}\t{start}\t{start + int(rng.integers(1000, 50_000))}\tGENE{at}\n")
    (folder / "genes.bed").write_text("".join(lines))


if __name__ == "__main__":
    cli.run(main)
