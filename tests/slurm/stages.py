"""The stages of the workflow that faults disturb: which program, what it makes, and when it stands still."""

from __future__ import annotations

from dataclasses import dataclass

RUN = "tiny/topk-x4-k4-lr0.003-s0"


@dataclass(frozen=True)
class Stage:
    """One stage.

    Attributes:
        name: as DESIGN's line calls it.
        program: of ``scripts``, without ``.py``.
        target: the file below ``results`` that is asked for.
        removed: glob patterns below ``results``: what is not there yet when the stage runs.
        stop_before: the rename of a file into place before which the program stands still.
        is_local: runs where Snakemake runs, not in a SLURM job.
    """

    name: str
    program: str
    target: str
    removed: tuple[str, ...]
    stop_before: int = 1
    is_local: bool = False


def _in_run(name: str, program: str, *files: str, stop_before: int = 2, is_local: bool = False) -> Stage:
    paths = tuple(f"{RUN}/{file}" for file in files)
    return Stage(name, program, paths[0], paths, stop_before, is_local)


STAGES = [
    Stage("statistics", "compute_statistics", "tiny/statistics.h5", ("tiny/statistics.h5",)),
    _in_run(
        *("SAE", "train_sae", "evaluation.json", "checkpoint/*", "training_curve.tsv*", "channel_fvu.tsv*"),
        stop_before=4,
    ),
    Stage(
        *("baseline", "build_baseline", "tiny/raw/evaluation.json"),
        (
            "tiny/raw/evaluation.json",
            "tiny/raw/checkpoint/*",
            "tiny/raw/training_curve.tsv*",
            "tiny/raw/channel_fvu*",
        ),
        stop_before=2,
    ),
    _in_run(
        "top activations", "encode_activations", "node_stats.tsv", "node_stats.tsv.json", "top_activations*"
    ),
    _in_run("selection", "select_nodes", "selected_nodes.tsv", "selected_nodes.tsv.json", is_local=True),
    _in_run("seqlets", "write_seqlets", "seqlets/manifest.tsv", "seqlets/*"),
    _in_run("motifs", "discover_motifs", "motifs/chunk_0.tsv", "motifs/*_0.*", stop_before=4),
    _in_run("motifs of the run", "collect_motifs", "motifs.tsv", "motifs.*", "held_out.*"),
    _in_run("matches", "match_motifs", "motifs/matches.tsv", "motifs/matches.tsv.json"),
    _in_run("clusters", "cluster_motifs", "motif_clusters.tsv", "motif_clusters.*"),
    _in_run("null sets", "write_null_sets", "nulls/genome/motifs.tsv", "nulls/genome/[ms][ot]*"),
    _in_run(
        "calibration",
        "calibrate_nulls",
        "calibration.tsv",
        "calibration.*",
        "null_*",
        "matches.*",
        is_local=True,
    ),
    _in_run("map", "embed_nodes", "umap.tsv", "umap.tsv.json"),
    _in_run("repeats", "measure_repeats", "repeats.tsv", "repeats.tsv.json"),
    _in_run("specificity", "measure_specificity", "specificity.tsv", "specificity.tsv.json"),
    _in_run("examples", "collect_examples", "examples.h5", stop_before=1),
    _in_run("nodes", "summarise_nodes", "nodes.tsv", "nodes.tsv.json", is_local=True),
    _in_run("page", "build_atlas", "atlas/index.html", stop_before=1),
    Stage("scoreboard", "score_runs", "scoreboard.tsv", ("scoreboard.tsv*",), stop_before=2),
    Stage(
        "summary",
        "summarise_runs",
        "summary.tsv",
        ("summary.*", "scoreboard.[sp]*"),
        stop_before=3,
        is_local=True,
    ),
]

# stages of which none needs what another makes: they run, and are killed, side by side
SIDE_BY_SIDE = [
    ("compute_statistics",),
    ("train_sae", "build_baseline"),
    ("encode_activations",),
    ("select_nodes",),
    ("write_seqlets",),
    ("discover_motifs", "write_null_sets", "embed_nodes", "measure_repeats"),
    ("collect_motifs",),
    ("match_motifs", "cluster_motifs", "measure_specificity"),
    ("calibrate_nulls", "collect_examples"),
    ("summarise_nodes", "score_runs"),
    ("build_atlas", "summarise_runs"),
]


def stage_of(program: str) -> Stage:
    """The stage of a program."""
    return next(stage for stage in STAGES if stage.program == program)
