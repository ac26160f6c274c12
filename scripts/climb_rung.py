"""One rung of the self-test: simulate a world, train SAEs, build baselines, score all of them.

Writes ladder.tsv (one row per run) and ladder_detectors.tsv (one row per run and detector) into OUTPUT. What
is simulated lies in a temporary folder (TMPDIR) meanwhile.
"""

from __future__ import annotations

import json
import tempfile
from pathlib import Path

from biosae import cli


def main() -> None:
    """Parse, climb, write."""
    parser = cli.program(__doc__)
    parser.add_argument(
        "--settings",
        type=json.loads,
        required=True,
        help="JSON: what biosae.ladder.config.rung_settings gives",
    )
    parser.add_argument(
        "--database", type=cli.existing_path, required=True, help="motif database, MEME format"
    )
    parser.add_argument("--output", type=Path, required=True, help="folder of the rung's tables")
    arguments = parser.parse_args()

    import torch

    from biosae.artefacts import conform, provenance, write_table
    from biosae.ladder.rung import climb

    torch.set_num_threads(1)  # rungs run side by side; more threads would change the last bits
    settings = arguments.settings
    made_by = provenance("climb_rung", settings, [arguments.database], settings["seed"])
    with tempfile.TemporaryDirectory(prefix="biosae_rung.") as folder:
        runs, detectors = climb(settings, arguments.database, Path(folder) / "world")
    for name, table in (("ladder", runs), ("ladder_detectors", detectors)):
        write_table(conform(table, name), arguments.output / f"{name}.tsv", name, made_by)


if __name__ == "__main__":
    cli.run(main)
