"""Files that the config names for the node table: repeats, and runs to compare with; nothing heavy."""

from __future__ import annotations

import os
from pathlib import Path

from biosae.config_inputs import refuse_missing
from biosae.errors import ConfigError

OTHER_RUN_FILES = ("top_activations.parquet", "seqlets/manifest.tsv", "seqlets/seqlets.bed.gz")


def other_runs(config: dict, run: str) -> list[str]:
    """Folders of ``stability.other_runs`` that are not the folder ``run`` itself."""
    own = os.path.normpath(run)
    return [
        folder.rstrip("/") for folder in config["stability"]["other_runs"] if os.path.normpath(folder) != own
    ]


def check_node_inputs(config: dict, made_here: list[str]) -> None:
    """Check ``repeats`` and ``stability.other_runs`` before the plan is made.

    Args:
        made_here: folders whose files the workflow makes itself; they are not raw.

    Raises:
        ConfigError: lists every missing file; or classes are chosen of no annotation.
    """
    repeats = config["repeats"]
    if repeats["classes"] is not None and repeats["path"] is None:
        raise ConfigError(
            "repeats.classes chooses classes of repeats.path, which is not given",
            got=repeats["classes"],
            mend="give the BED of repeats, or leave out the classes",
        )
    wanted = {"repeats.path": [repeats["path"]] if repeats["path"] else []}
    for number, folder in enumerate(config["stability"]["other_runs"]):
        wanted[f"stability.other_runs.{number}"] = [
            f"{folder.rstrip('/')}/{name}" for name in OTHER_RUN_FILES
        ]
    made = tuple(f"{folder}/" for folder in made_here)
    missing = [
        f"{key}: no such file: {path}"
        for key, paths in wanted.items()
        for path in paths
        if not (made and path.startswith(made)) and not Path(path).is_file()
    ]
    mend = "correct the paths in the config; a run to compare with is a finished run folder"
    refuse_missing(missing, "input(s) of the node table", mend)
