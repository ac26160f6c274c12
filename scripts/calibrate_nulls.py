"""A run beside its null sets: null-calibrated p and q of nodes and matches, and counts per filter."""

from __future__ import annotations

import logging
from pathlib import Path

from biosae import cli

DESCRIPTION = """A run's motifs and matches beside those of its null sets.

Each folder of --nulls is named after its kind and holds status.tsv, motifs.tsv and matches.tsv of the sets.
Writes matches.tsv (with p_null, q_null, target_promiscuous), calibration.tsv (per node), null_counts.tsv (per
filter and kind) and null_targets.tsv (database motifs that null motifs match).
"""


def main() -> None:
    """Parse, calibrate, write."""
    parser = cli.program(DESCRIPTION)
    add = parser.add_argument
    add("--manifest", type=cli.existing_path, required=True, help="manifest.tsv of the run's seqlets")
    add("--motifs", type=cli.existing_path, required=True, help="motifs.tsv of the run")
    add("--matches", type=cli.existing_path, required=True, help="what match_motifs wrote")
    add("--nulls", type=cli.existing_path, nargs="*", default=[], help="folders of the null sets' results")
    add("--significance", type=float, default=0.05, help="null-calibrated q below which a node counts")
    add("--output", type=Path, required=True, help="folder to write into")
    args = parser.parse_args()

    from biosae.artefacts import provenance, read_table, write_table
    from biosae.motifs import calibration

    kinds = calibration.checked_kinds([folder.name for folder in args.nulls])
    tables = ("motif_status", "motifs", "matches")
    files = {folder: [folder / f"{name}.tsv" for name in ("status", *tables[1:])] for folder in args.nulls}
    nulls = []
    for folder, paths in files.items():
        status, motifs, matches = (read_table(*pair) for pair in zip(paths, tables, strict=True))
        nulls.append(calibration.Null(folder.name, status["node"].tolist(), motifs, matches))
    nodes = read_table(args.manifest, "seqlet_manifest").sort_values("rank")["node"].tolist()
    motifs, matches = read_table(args.motifs, "motifs"), read_table(args.matches, "matches")
    table, matches = calibration.calibrate(nodes, motifs, matches, nulls, args.significance)
    counts = calibration.count_filters(nodes, motifs, matches, nulls)
    calibration.warn_of_resolution(len(nodes), nulls, args.significance)
    inputs = [args.manifest, args.motifs, args.matches, *(path for paths in files.values() for path in paths)]
    settings = {"nulls": kinds, "significance": args.significance}
    made_by = provenance("calibrate_nulls", settings, inputs)
    write_table(calibration.null_targets(nulls), args.output / "null_targets.tsv", "null_targets", made_by)
    write_table(counts, args.output / "null_counts.tsv", "null_counts", made_by)
    write_table(table, args.output / "calibration.tsv", "calibration", made_by)
    write_table(matches, args.output / "matches.tsv", "matches", made_by)
    logging.getLogger(__name__).info("nodes that pass, beside the nulls:\n%s", counts.to_string(index=False))


if __name__ == "__main__":
    cli.run(main)
