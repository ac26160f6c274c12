"""What MultiQC finds by name (`*_mqc.*`): a row of the general statistics, and the training curve.

A sample is a run, named "{layer} {run}", so that `multiqc results` puts runs of all layers into one report.
https://docs.seqera.io/multiqc/custom_content
"""

from __future__ import annotations

from pathlib import Path

import pandas as pd
import yaml

from biosae.artefacts import load_schema, write_text

# column of summary.tsv -> title, decimals, and the largest value of its scale where there is one
GENERAL = {
    "fvu": ("FVU", 3, None),
    "l0": ("L0", 1, None),
    "dead_fraction": ("Dead", 3, 1),
    "kept_nodes": ("Kept nodes", 0, None),
    "nodes_with_significant_motif": ("With motif", 0, None),
    "nodes_named": ("Named", 0, None),
    "nodes_named_calibrated": ("Named, calibrated", 0, None),
    "distinct_targets": ("Database motifs", 0, None),
}


def write_general_statistics(path: Path, sample: str, figures: dict) -> int:
    """One row; a figure that is missing has no column. Returns the number of columns.

    Args:
        figures: by column of the schema ``summary``; those of ``GENERAL`` are written.
    """
    known = {name: figures[name] for name in GENERAL if not _missing(figures.get(name))}
    descriptions = load_schema("summary")["properties"]
    headers = [{name: _header(name, descriptions[name]["description"], *GENERAL[name])} for name in known]
    config = {
        "id": "biosae",
        "plot_type": "generalstats",
        "file_format": "tsv",
        "headers": headers,
    }
    rows = [["run", *known], [sample, *(format(value, ".9g") for value in known.values())]]
    write_text(path, _comment(config) + _lines(rows))
    return len(known)


def write_training_curve(path: Path, sample: str, curve: pd.DataFrame) -> tuple[int, int]:
    """A line of validation FVU over positions seen; returns points written, and points without a figure.

    As YAML: of a TSV, MultiQC keeps positions as text and sorts them so, 10 before 2.

    Args:
        curve: rows of the schema ``training_curve``. One that was never trained has one point.
    """
    known = curve.dropna(subset=["validation_fvu"])
    points = dict(zip(known["positions"].tolist(), known["validation_fvu"].tolist(), strict=True))
    content = {
        "id": "biosae_training",
        "section_name": "biosae: training",
        "description": "Fraction of variance unexplained on validation data, by training positions seen.",
        "plot_type": "linegraph",
        "pconfig": {
            "id": "biosae_training_fvu",
            "title": "biosae: training",
            "xlab": "training positions",
            "ylab": "validation FVU",
            "ymin": 0,
        },
        "data": {sample: points},
    }
    write_text(path, yaml.safe_dump(content, sort_keys=False, allow_unicode=True, width=10_000))
    return len(points), len(curve) - len(points)


def _header(name: str, description: str, title: str, decimals: int, most: float | None) -> dict:
    header = {"title": title, "description": description, "namespace": "biosae", "min": 0}
    header["format"] = f"{{:,.{decimals}f}}"
    return header if most is None else {**header, "max": most}


def _missing(value: object) -> bool:
    return value is None or bool(pd.isna(value))


def _comment(config: dict) -> str:
    text = yaml.safe_dump(config, sort_keys=False, allow_unicode=True, width=10_000)
    return "".join(f"# {line}\n" for line in text.splitlines())


def _lines(rows: list[list[str]]) -> str:
    return "".join("\t".join(row) + "\n" for row in rows)
