# Shared by every other file of this folder. The checked configuration, the runs, and where things lie.
#
# Defines: CONFIG (complete), LAYER, RUNS (name -> settings), paths, FINAL (what `all` asks for),
# and small functions that turn a config section into command-line options.
import json
import os
import re
import sys
from functools import cache
from pathlib import Path

LIBRARY = Path(workflow.basedir).parent / "scripts"
sys.path.insert(0, str(LIBRARY))
# relative, since it goes into params: a checkout that is moved with its results re-runs nothing
SCRIPTS = os.path.relpath(LIBRARY)

from biosae import config as configuration
from biosae import node_inputs
from biosae.causal import config as causal_configuration
from biosae.codehash import code_hash
from biosae.errors import BiosaeError

try:
    CONFIG = configuration.load_config(config, Path(workflow.basedir) / "schemas" / "config.schema.yaml")
    RUNS = configuration.runs(CONFIG)
    LAYER = configuration.layer_of(CONFIG)
    RESULTS = CONFIG["results"].rstrip("/")
    SYNTHETIC = f"{RESULTS}/world"
    configuration.check_results(CONFIG)
    configuration.check_inputs(CONFIG, SYNTHETIC if CONFIG["synthetic"] else None)
    node_inputs.check_node_inputs(
        CONFIG, [f"{RESULTS}/{LAYER.name}", *([SYNTHETIC] if CONFIG["synthetic"] else [])]
    )
except BiosaeError as error:
    raise WorkflowError(str(error)) from None

TRAINED = configuration.trained_runs(CONFIG)
BUILT = [name for name in RUNS if name not in TRAINED]
SAES = [name for name, run in RUNS.items() if run["role"] == "sae"]
LAYER_DIR = f"{RESULTS}/{LAYER.name}"
PERMUTED = f"{LAYER_DIR}/permuted"
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
# stores that the workflow extracts itself, and the numbers of their files
EXTRACTED = configuration.store_numbers(CONFIG)
MADE = configuration.made_stores(CONFIG)
CHUNKS = range(CONFIG["motifs"]["chunks"])
PAD = ["--pad-bp", str(CONFIG["activations"]["pad_bp"])]
DEVICE = ["--device", CONFIG["sae"]["device"]]
# runs that share one job, and the others: baselines, some on stores of their own
TOGETHER = configuration.joint_runs(CONFIG) if CONFIG["sae"]["train_together"] else []
ALONE = [name for name in TRAINED if name not in TOGETHER]
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
    """Hash of the code that a program uses: a changed module re-runs its users. `-n` shows it as a reason."""
    return f"code of {program}.py and the modules it imports: {code_hash(program, LIBRARY)}"


def grow(amount):
    """A resource that grows with every attempt: a job that was over its memory or time gets more."""
    return lambda wildcards, attempt: amount * attempt


def section(name, *only):
    """Command-line options for a config section, or for some of its keys."""
    return configuration.options(CONFIG[name], only or None)


def store(folder):
    """The files of an activation store, known before any of them is made when the demo makes them."""
    if CONFIG["synthetic"] and folder.startswith(f"{SYNTHETIC}/activations/"):
        return synthetic_store(folder.removeprefix(f"{SYNTHETIC}/activations/").rstrip("/"))
    if folder.rstrip("/") in EXTRACTED:
        return extracted_store(folder.rstrip("/"))
    if folder.startswith(f"{PERMUTED}/"):
        return [f"{folder}/activations_0.h5", f"{folder}/intervals.tsv"]
    return list(listed(folder))


def extracted_store(folder):
    """The files of a store that extraction.smk makes."""
    files = [f"{folder}/activations_{number}.h5" for number in EXTRACTED[folder]]
    return [*files, f"{folder}/intervals.tsv", f"{folder}/store.json"]


def weights_of_store(wildcards):
    """The file of weights of a store, where it has one."""
    return configuration.weights_path(CONFIG, MADE[wildcards.store].weights)


def model_of_store(wildcards):
    """Options that describe the model and its layer, with the weights of a store."""
    weights = MADE[wildcards.store].weights
    return configuration.model_options(CONFIG, weights) + configuration.layer_options(CONFIG)


@cache
def listed(folder):
    """The files of a given store; looked up once, since many jobs read it and it may lie far away."""
    return configuration.store_files(folder)


def synthetic_store(split):
    """The files of one store of the demo, in the published layout; split may begin with random_model/."""
    folder = f"{SYNTHETIC}/activations/{split}"
    table = {"train": "train_seqs.bed", "validation": "valid_seqs.bed"}[Path(split).name]
    files = range(CONFIG["synthetic"]["files_per_split"])
    return [f"{folder}/activations_{number}.h5" for number in files] + [f"{folder}/{table}"]


def store_of(split):
    """An input function: files of the store that a run reads as train, validation or encode."""
    return lambda wildcards: store(configuration.data_store(CONFIG, split, RUNS[wildcards.run]["data"]))


def given_store(wildcards):
    """The files of the given store of one split."""
    return store(configuration.data_store(CONFIG, wildcards.split))


def statistics_of(wildcards):
    """The statistics that a run's normaliser is from; a permuted store has the given store's."""
    folder = "random_model/" if RUNS[wildcards.run]["data"] == "random_model" else ""
    return f"{LAYER_DIR}/{folder}statistics.h5"


def folder_of(name):
    """A params function: the folder of the input called ``name``, one file or several of one folder."""

    def folder(wildcards, input):
        files = getattr(input, name)
        return str(Path(files if isinstance(files, str) else files[0]).parent)

    return folder


def per_run(*names):
    """These files of every run."""
    return [f"{LAYER_DIR}/{run}/{name}" for run in RUNS for name in names]


def permuting_options(wildcards):
    """Options of permute_activations for one split."""
    return configuration.permuting_options(CONFIG, wildcards.split) + PAD


def training_options(wildcards):
    """Options of train_sae for one run."""
    return configuration.run_options(CONFIG, wildcards.run) + PAD + configuration.layer_options(CONFIG)


def together_folder(wildcards, output):
    """The folder below which runs that are trained together lie."""
    return str(Path(output.curve[0]).parent.parent)


def per_run_together(name):
    """This file of every run that is trained in one job with others."""
    return [f"{LAYER_DIR}/{run}/{name}" for run in TOGETHER]


def baseline_options(wildcards):
    """Options of build_baseline for one run."""
    return configuration.baseline_options(CONFIG, wildcards.run) + PAD + configuration.layer_options(CONFIG)


def stage_settings(wildcards):
    """What a per-node result depends on beside its input, as one line of JSON."""
    stages = {
        "meme": (MOTIF_OPTIONS, "discover_motifs"),
        "tomtom": (MATCH_OPTIONS, "match_motifs"),
    }
    settings, program = stages[wildcards.stage]
    return json.dumps({"options": settings, "code": code_hash(program, LIBRARY)}, sort_keys=True)


COMPARISONS = [
    word for sae, own in configuration.nulls_of(CONFIG).items() for word in ("--compare", sae, *own)
]
# trained runs that differ in the seed alone
SIBLINGS = configuration.siblings_of({name: RUNS[name] for name in TRAINED})
SEEDED = [name for name in TRAINED if SIBLINGS[name]]


def of_siblings(name):
    """An input function: this file of each sibling."""
    return lambda wildcards: [f"{LAYER_DIR}/{run}/{name}" for run in SIBLINGS[wildcards.run]]


def compared_with(name):
    """Folders of the runs that this one is compared with by where nodes fire."""
    seeds = [f"{LAYER_DIR}/{run}" for run in SIBLINGS.get(name, [])]
    others = node_inputs.other_runs(CONFIG, f"{LAYER_DIR}/{name}")
    return seeds + [folder for folder in others if folder not in seeds]


COMPARED = [name for name in RUNS if compared_with(name)]


def of_compared(wildcards):
    """What compare_layers reads of each of these runs."""
    folders = compared_with(wildcards.run)
    return [f"{folder}/{name}" for folder in folders for name in node_inputs.OTHER_RUN_FILES]


def coactivation_of(wildcards):
    """The run's table of co-activation, where it is compared with another run."""
    return f"{LAYER_DIR}/{wildcards.run}/coactivation.tsv" if wildcards.run in COMPARED else []


def coactivation_option(wildcards, input):
    """The option that names the input ``coactivation``, if it is there."""
    files = [input.coactivation] if isinstance(input.coactivation, str) else list(input.coactivation)
    return ["--coactivation", *files] if files else []


def stability_of(wildcards):
    """The run's stability table, where the grid has several seeds."""
    return f"{LAYER_DIR}/{wildcards.run}/stability.tsv" if wildcards.run in SEEDED else []


def stability_option(wildcards, input):
    """The option that names the input ``stability``, if it is there."""
    files = [input.stability] if isinstance(input.stability, str) else list(input.stability)
    return ["--stability", *files] if files else []


def scoreboard_of(wildcards):
    """The scoreboard, where the atlas of a run is to show it: a baseline has no rows of its own."""
    return f"{RESULTS}/scoreboard.tsv" if CONFIG["atlas"]["scoreboard"] and wildcards.run in SAES else []


def scoreboard_option(wildcards, input):
    """The option that names the input ``scoreboard``, if it is there."""
    files = [input.scoreboard] if isinstance(input.scoreboard, str) else list(input.scoreboard)
    return ["--scoreboard", *files] if files else []


def own_options(name, *without):
    """Command-line options of a section that may be left out, without some of its keys; none where it is."""
    values = CONFIG[name] or {}
    return configuration.options({key: value for key, value in values.items() if key not in without})


def ablation_of(wildcards):
    """The run's tables of ablation, where the config asks for it."""
    if CONFIG["ablation"] is None or wildcards.run not in SAES:
        return []
    return [f"{LAYER_DIR}/{wildcards.run}/{name}" for name in ("ablation.tsv", "ablation_tracks.tsv")]


def ablation_option(wildcards, input):
    """The option that names the input ``ablation``, if it is there."""
    return ["--ablation", input.ablation[0]] if input.ablation else []


# What README lists, so that a file that was deleted is made again: of every run, nulls included; what only a
# reader of one run wants is made for the SAEs, and by target for nulls.
EVERY_RUN = [
    *("checkpoint/model.safetensors", "checkpoint/config.json", "training_curve.tsv", "evaluation.json"),
    *("channel_fvu.tsv", "top_activations.parquet", "node_stats.tsv", "selected_nodes.tsv"),
    *("seqlets/manifest.tsv", "seqlets/seqlets.bed.gz", "seqlets/background.fa"),
    *("motifs.tsv", "motifs.meme", "held_out.tsv.gz", "motif_clusters.tsv", "motif_clusters.meme"),
    *("matches.tsv", "calibration.tsv", "null_counts.tsv", "null_targets.tsv"),
    *("specificity.tsv", "repeats.tsv", "nodes.tsv", "figures/quality.svg", "figures/quality.png"),
]
EVERY_RUN += ["recovery.json"] if CONFIG["synthetic"] else []
EVERY_SAE = ["umap.tsv", "jaccard.tsv", "overlaps.tsv", "examples.h5", "atlas/index.html"]
EXPORTS = ["motifs.h5", "nodes.parquet", "nodes.h5ad", "biosae_mqc.tsv", "training_mqc.yaml", "exports.tsv"]
EVERY_SAE += [f"exports/{name}" for name in EXPORTS]
EVERY_SAE += [
    f"figures/{name}.{kind}"
    for name in ("training_curve", "umap", "jaccard", "overlaps")
    for kind in ("svg", "png")
]
if CONFIG["tracks"]["top_nodes"] or CONFIG["tracks"]["nodes"]:
    EVERY_SAE += [f"tracks/{name}" for name in ("hub.txt", "igv_session.xml", "tracks.tsv")]
FINAL = [f"{LAYER_DIR}/statistics.h5", *per_run(*EVERY_RUN)]
FINAL += [f"{LAYER_DIR}/{run}/{name}" for run in SAES for name in EVERY_SAE]
FINAL += [f"{LAYER_DIR}/{run}/{name}" for run in SEEDED for name in ("stability.tsv", "stability_pairs.tsv")]
FINAL += [f"{LAYER_DIR}/{run}/coactivation.tsv" for run in COMPARED]
# what tests nodes in the model, where it is asked for: fidelity of nulls too, on the store that all share
ON_GIVEN_DATA = [name for name, run in RUNS.items() if run["data"] == "given"]
for asked in causal_configuration.asked_for(CONFIG):
    tested = ON_GIVEN_DATA if asked == "fidelity" else SAES
    FINAL += [f"{LAYER_DIR}/{run}/{name}" for run in tested for name in causal_configuration.OF_RUN[asked]]
if CONFIG["fidelity"] is not None:
    FINAL += [
        f"{LAYER_DIR}/{name}" for name in ("fidelity.tsv", "figures/fidelity.svg", "figures/fidelity.png")
    ]
FINAL += [f"{RESULTS}/{name}" for name in ("summary.tsv", "summary.html", "scoreboard.tsv")]
FINAL += [f"{RESULTS}/scoreboard.svg", f"{RESULTS}/scoreboard.png"]
FINAL += [f"{KERNELS}/sae.txt", f"{KERNELS}/compiled.txt"]
