"""Score a run on simulated activations against the planted truth: motifs, detectors, positions."""

from __future__ import annotations

from pathlib import Path

from biosae import cli

PRINTED = (
    *("motif_recall", "motif_precision", "assignment_f1", "detectors_found"),
    *("splitting", "merging", "absorption", "position_error_bp"),
)


def main() -> None:
    """Parse, score, write, print."""
    parser = cli.program(__doc__)
    parser.add_argument(
        "--run", type=cli.existing_path, required=True, help="run folder: results/{layer}/{run}"
    )
    parser.add_argument(
        "--truth",
        type=cli.existing_path,
        required=True,
        help="folder 'truth' that simulate_activations wrote",
    )
    parser.add_argument(
        "--activations",
        type=cli.existing_path,
        required=True,
        help="simulated store (train or validation) on which nodes and detectors are compared",
    )
    parser.add_argument(
        "--pad-bp", type=int, default=0, help="bp to widen that store's intervals by, on each side"
    )
    parser.add_argument("--output", type=Path, help="recovery.json to write (default: RUN/recovery.json)")
    cli.add_threads(parser)
    arguments = parser.parse_args()

    from biosae.artefacts import provenance
    from biosae.synthetic.recovery import score_run, write_recovery

    run, truth = arguments.run, arguments.truth
    scored = score_run(run, truth, arguments.activations, arguments.pad_bp, arguments.threads)
    inputs = [run / "selected_nodes.tsv", run / "motifs.tsv", truth / "detectors.tsv"]
    made_by = provenance("score_recovery", {"pad_bp": arguments.pad_bp}, inputs)
    write_recovery(*scored, arguments.output or run / "recovery.json", made_by)
    for name in PRINTED:
        value = scored[0][name]
        print(f"{name}\t{'none' if value is None else format(value, '.3f')}")


if __name__ == "__main__":
    cli.run(main)
