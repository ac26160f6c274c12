"""Join the parts of an ablation: p and q over all nodes and groups of tracks, and the tables of the run."""

from __future__ import annotations

import json
from pathlib import Path

from biosae import cli


def main() -> None:
    """Parse, read the parts, test, write ablation.tsv, ablation_doses.tsv and ablation_tracks.tsv."""
    parser = cli.program(__doc__)
    add = parser.add_argument
    add(
        "--parts", type=cli.existing_path, nargs="+", required=True, help="folders that ablate_nodes.py wrote"
    )
    add("--significance", type=float, default=0.05, help="q below which a node has an effect")
    add("--output", type=Path, required=True, help="folder of the run")
    arguments = parser.parse_args()

    from biosae.artefacts import provenance, write_table
    from biosae.causal.ablation_run import PART_TABLES, join_parts, read_part

    tables, about = join_parts([read_part(folder) for folder in arguments.parts], arguments.significance)
    inputs = [folder / f"{name}.tsv" for folder in arguments.parts for name in PART_TABLES]
    made_by = provenance("join_ablation.py", {"significance": arguments.significance}, inputs)
    notes = json.loads((arguments.parts[0] / "groups.tsv.json").read_text())
    made_by |= {"law": about, "ablation": notes["settings"]}
    names = {"groups": "ablation", "doses": "ablation_doses", "tracks": "ablation_tracks"}
    for part, name in names.items():
        write_table(tables[part], arguments.output / f"{name}.tsv", name, made_by)


if __name__ == "__main__":
    cli.run(main)
