"""Write a made-up run of many nodes, every file that an atlas is built from. From the repository's root:

    PYTHONPATH=scripts python tests/benchmarks/atlas_synthetic.py --nodes 20000 --output DIR

writes DIR/conv1d_2/topk-x4-k36 (the run), DIR/database.meme, DIR/genes.bed and DIR/scoreboard.tsv, and prints
the command that builds its atlas. Tables have the shape of real ones (two motifs a node, up to fourteen
matches a motif, ten enrichments a node), sequences are random, so that they compress as little as can be, and
activations fall off around a peak as a TopK code's do. The same options give the same bytes.
"""

from __future__ import annotations

import gzip
from pathlib import Path

import numpy as np
import pandas as pd
from atlas_synthetic_examples import CHROM_BP, made_up_examples, write_examples
from atlas_synthetic_run import CHROMS, LAYER, RUN, filled, write_others, write_training

from biosae import cli
from biosae.artefacts import write_table
from biosae.motifs.formats import Motif, read_meme, write_meme

DATABASE = Path(__file__).parents[1] / "data" / "meme_suite_5.5.8" / "JASPAR2026_CORE_vertebrates.meme.gz"


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
    write_examples(run / "examples.h5", made_up_examples(kept, matrices, examples, geometry, CHROMS, rng))
    write_training(run, dictionary, rng)
    write_others(folder, rng)
    return run


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
    columns |= {
        "consensus": [m.consensus for m in made],
        "width": [m.width for m in made],
        "engine": "batched",
    }
    columns |= {"n_sites": rng.integers(30, 900, len(ids)), "n_seqlets": 1000, "significant": log10_e < -3}
    columns |= {
        "e_value": 10.0**log10_e,
        "q_value": np.minimum(10.0**log10_e, 1),
        "share_forward": rng.random(len(ids)),
    }
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
    columns |= {
        "target_name": [database[t].name for t in target],
        "p_value": 10.0**log10_p,
        "log10_p": log10_p,
    }
    columns |= {"e_value": 10.0**log10_p * len(database), "q_value": np.minimum(10.0**log10_p * 300, 1)}
    columns |= {
        "q_value_run": np.minimum(10.0**log10_p * 900, 1),
        "q_null": rng.random(n),
        "p_null": rng.random(n),
    }
    columns |= {"offset": rng.integers(-6, 7, n), "overlap": rng.integers(5, 12, n)}
    columns |= {
        "query_consensus": "ACGT",
        "target_consensus": [letters[t][int(r)] for t, r in zip(target, reverse, strict=True)],
    }
    columns |= {"orientation": np.where(reverse, "-", "+"), "database": "database.meme"}
    columns |= {
        "target_promiscuous": rng.random(n) < 0.05,
        "significant": 10.0**log10_p * 300 < 0.05,
        "at": query,
    }
    table = pd.DataFrame(columns).sort_values(["at", "log10_p"], kind="stable", ignore_index=True)
    table = filled(table, "matches")
    write_table(table, run / "matches.tsv", "matches")
    return table


OF_MOTIF = {"motif_id": "best_motif_id", "consensus": "consensus", "width": "motif_width"}
OF_MOTIF |= {"n_sites": "motif_sites", "e_value": "motif_e_value", "log10_e": "motif_log10_e"}
OF_MOTIF |= {"q_value": "motif_q_value", "significant": "motif_significant"}
OF_MATCH = {"target": "best_match", "target_name": "target_name", "query": "match_motif_id"}
OF_MATCH |= {name: f"match_{name}" for name in ("p_value", "e_value", "q_value", "significant")}
SHARES_OF_NODES = ("gc_share", "repeat_share", "seqlets_with_motif", "hits_fired", "motif_f1", "motif_auroc")


def write_nodes(
    run: Path, kept: pd.DataFrame, motifs: pd.DataFrame, matches: pd.DataFrame, rng: np.random.Generator
) -> None:
    """nodes.tsv and umap.tsv."""
    n = len(kept)
    best = motifs[motifs["motif"] == 1].set_index("node")
    first = matches.sort_values("log10_p", kind="stable").drop_duplicates("node").set_index("node")
    of_motif, of_match = best.reindex(kept["node"]), first.reindex(kept["node"])
    columns = {"num_nonzero": rng.integers(200, 9000, n), "mean_act": np.sort(rng.gamma(2, 2, n))[::-1]}
    columns |= {"max_act": columns["mean_act"] * rng.uniform(1.5, 4, n)}
    columns |= {"density": 10 ** rng.uniform(-5, -1, n), "n_sequences": rng.integers(20, 900, n)}
    columns |= {"n_seqlets": 1000, "n_motifs": of_motif["rank"].notna() * 2}
    columns["n_significant_motifs"] = of_motif["significant"].fillna(False).astype(int)
    columns |= {to: of_motif[name] for name, to in OF_MOTIF.items()}
    columns |= {to: of_match[name] for name, to in OF_MATCH.items()}
    named = (of_match["significant"].fillna(False) & of_motif["significant"].fillna(False)).to_numpy(bool)
    columns |= {"named": named, "n_naming_matches": named.astype(int)}
    for name in SHARES_OF_NODES:
        columns[name] = np.where(rng.random(n) < 0.1, np.nan, rng.random(n))
    columns["explained_by"] = np.where(named, "factor: " + of_match["target_name"].astype(str), "nothing")
    plain = {name: np.asarray(values) for name, values in columns.items()}
    write_table(filled(kept.assign(**plain), "nodes"), run / "nodes.tsv", "nodes")
    centres, cluster = rng.normal(0, 8, (25, 2)), rng.integers(0, 25, n)
    places = {
        name: (centres[cluster] + rng.normal(0, 1, (n, 2)))[:, at % 2]
        for at, name in enumerate(("umap1", "umap2", "coact1", "coact2"))
    }
    write_table(filled(kept.assign(**places, cluster=cluster), "umap"), run / "umap.tsv", "umap")


def write_enrichments(run: Path, kept: pd.DataFrame, rng: np.random.Generator) -> None:
    """Ten rows of overlaps.tsv and five of repeats.tsv a node."""
    for name, classes, fixed in (
        ("overlaps", [f"class {at}" for at in range(10)], {"annotation": "cCRE"}),
        ("repeats", ["soft_masked", "SINE/Alu", "LINE/L1", "Simple_repeat", "LTR/ERV1"], {"kind": "repeat"}),
    ):
        n = len(kept) * len(classes)
        columns = {column: np.repeat(kept[column].to_numpy(), len(classes)) for column in ("rank", "node")}
        columns |= {
            "class": np.tile(classes, len(kept)),
            "n_seqlets": 1000,
            "n_overlap": rng.integers(0, 1000, n),
        }
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
    cell = np.where(
        rng.random(n) < 0.5, shared * 7919 % (cells * len(CHROMS)), rng.integers(0, cells * len(CHROMS), n)
    )
    order = np.argsort(cell, kind="stable")
    names = (kept["rank"].astype(str) + "_n" + kept["node"].astype(str)).to_numpy()
    start = cell[order] % cells * window_bp * 4
    columns = {"chrom": np.array(CHROMS)[cell[order] // cells], "start": start, "end": start + window_bp}
    columns |= {
        "name": np.repeat(names, each)[order],
        "score": 1000,
        "strand": "+",
        "activation": 1.0,
        "rank": 1,
    }
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


if __name__ == "__main__":
    cli.run(main)
