# Shared by every other file of this folder. The checked configuration, the runs, and where things lie.
#
# Defines: CONFIG (complete), LAYER, RUNS (name -> settings), paths, FINAL (what `all` asks for),
# and small functions that turn a config section into command-line options.
import json
import os
import re
import sys
from pathlib import Path

LIBRARY = Path(workflow.basedir).parent / "scripts"
sys.path.insert(0, str(LIBRARY))
# relative, since it goes into params: a checkout that is moved with its results re-runs nothing
SCRIPTS = os.path.relpath(LIBRARY)

from biosae import config as configuration
from biosae.codehash import code_hash
from biosae.errors import BiosaeError

try:
    CONFIG = configuration.load_config(config, Path(workflow.basedir) / "schemas" / "config.schema.yaml")
    RUNS = configuration.runs(CONFIG)
    LAYER = configuration.layer_of(CONFIG)
    RESULTS = CONFIG["results"].rstrip("/")
    SYNTHETIC = f"{RESULTS}/world"
    configuration.check_inputs(CONFIG, SYNTHETIC if CONFIG["synthetic"] else None)
except BiosaeError as error:
    raise WorkflowError(str(error)) from None

TRAINED = [name for name, run in RUNS.items() if run["kind"] in configuration.TRAINED_KINDS]
BASELINES = [name for name in RUNS if name not in TRAINED]
LAYER_DIR = f"{RESULTS}/{LAYER.name}"
RUN = f"{LAYER_DIR}/{{run}}"
LOGS = f"{RESULTS}/logs/{LAYER.name}"
BENCHMARKS = f"{RESULTS}/benchmarks/{LAYER.name}"
KERNELS = f"{RESULTS}/kernels"
TRUTH = [
    f"{SYNTHETIC}/truth/{name}"
    for name in (
        "motifs.meme",
        "targets.meme",
        "detectors.tsv",
        "detections.parquet",
        "instances.bed",
        "sequences.bed",
        "annotations.bed",
    )
]
CHUNKS = range(CONFIG["motifs"]["chunks"])
PAD = ["--pad-bp", str(CONFIG["activations"]["pad_bp"])]
ENCODED = configuration.encoded_store(CONFIG)
DEVICE = ["--device", CONFIG["sae"]["device"]]
TOGETHER = CONFIG["sae"]["train_together"]
LAUNCHER = configuration.launcher(CONFIG)
MOTIF_OPTIONS = configuration.options(
    {key: value for key, value in CONFIG["motifs"].items() if key not in ("chunks", "significance")}
)
MATCH_OPTIONS = configuration.options(
    {
        **{key: value for key, value in CONFIG["matching"].items() if key != "database"},
        "min_information_bits": CONFIG["motifs"]["min_information_bits"],
    }
)


def code(program):
    """Hash of the code that a program uses: a changed module re-runs its users."""
    return code_hash(program, LIBRARY)


def section(name, *only):
    """Command-line options for a config section, or for some of its keys."""
    return configuration.options(CONFIG[name], only or None)


def store(folder):
    """The files of an activation store, known before any of them is made when the demo makes them."""
    if CONFIG["synthetic"] and folder.startswith(f"{SYNTHETIC}/"):
        return synthetic_store(Path(folder).name)
    return configuration.store_files(folder)


def synthetic_store(split):
    """The files of one store of the demo, in the published layout."""
    folder = f"{SYNTHETIC}/activations/{split}"
    table = {"train": "train_seqs.bed", "validation": "valid_seqs.bed"}[split]
    files = range(CONFIG["synthetic"]["files_per_split"])
    return [f"{folder}/activations_{number}.h5" for number in files] + [f"{folder}/{table}"]


def folder_of(name):
    """A params function: the folder of the input called ``name``, one file or several of one folder."""

    def folder(wildcards, input):
        files = getattr(input, name)
        return str(Path(files if isinstance(files, str) else files[0]).parent)

    return folder


def per_run(*names):
    """These files of every run."""
    return [f"{LAYER_DIR}/{run}/{name}" for run in RUNS for name in names]


def training_options(wildcards):
    """Options of train_sae for one run."""
    return configuration.run_options(CONFIG, wildcards.run) + PAD + configuration.layer_options(CONFIG)


def together_folder(wildcards, output):
    """The folder below which runs that are trained together lie."""
    return str(Path(output.curve[0]).parent.parent)


def per_trained_run(name):
    """This file of every trained run."""
    return [f"{LAYER_DIR}/{run}/{name}" for run in TRAINED]


def baseline_options(wildcards):
    """Options of build_baseline for one run."""
    kind = configuration.options({"kind": RUNS[wildcards.run]["kind"]})
    shared = section("sae", "preset", "normaliser", "evaluation_positions", "device")
    return kind + shared + PAD + configuration.layer_options(CONFIG)


def stage_settings(wildcards):
    """What a per-node result depends on beside its input, as one line of JSON."""
    stages = {
        "meme": (MOTIF_OPTIONS, "discover_motifs"),
        "tomtom": (MATCH_OPTIONS, "match_motifs"),
    }
    settings, program = stages[wildcards.stage]
    return json.dumps({"options": settings, "code": code(program)}, sort_keys=True)


def siblings(name):
    """Trained runs that differ from this one in the seed alone."""
    own = {**RUNS[name], "seed": None}
    return [other for other in TRAINED if other != name and {**RUNS[other], "seed": None} == own]


SEEDED = [name for name in TRAINED if siblings(name)]


def of_siblings(name):
    """An input function: this file of each sibling."""
    return lambda wildcards: [f"{LAYER_DIR}/{run}/{name}" for run in siblings(wildcards.run)]


def stability_of(wildcards):
    """The run's stability table, where the grid has several seeds."""
    return f"{LAYER_DIR}/{wildcards.run}/stability.tsv" if wildcards.run in SEEDED else []


def stability_option(wildcards, input):
    """The option that names the input ``stability``, if it is there."""
    files = [input.stability] if isinstance(input.stability, str) else list(input.stability)
    return ["--stability", *files] if files else []


FINAL = per_run(
    "evaluation.json",
    "motifs.meme",
    "motif_clusters.meme",
    "jaccard.tsv",
    "overlaps.tsv",
    "figures/training_curve.svg",
    "figures/quality.svg",
    "figures/umap.svg",
    "nodes.tsv",
    "atlas/index.html",
) + [f"{RESULTS}/summary.tsv"]
