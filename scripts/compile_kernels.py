"""Compile the project's kernels once, into the folder that NUMBA_CACHE_DIR names.

Jobs that start together would otherwise each compile them. A cache made for another processor or another
version of the code is not used: such a job compiles for itself.
"""

from __future__ import annotations

from pathlib import Path

from biosae import cli


def warm_up_sae() -> None:
    """Statistics, training, encoding."""
    from biosae import encoding_kernels, gradient_kernels, selection_kernels, statistics_kernels

    for module in (statistics_kernels, selection_kernels, gradient_kernels, encoding_kernels):
        module.warm_up()


def warm_up_motifs() -> None:
    """Discovery, matching, specificity, examples, scoreboard."""
    from biosae import examples_kernels, specificity_kernels
    from biosae.motifs import batched, comparison
    from biosae.scoreboard import replicates

    for module in (batched, comparison, specificity_kernels, examples_kernels, replicates):
        module.warm_up()


GROUPS = {"sae": warm_up_sae, "motifs": warm_up_motifs}


def main() -> None:
    """Parse, compile, write the stamp."""
    parser = cli.program(__doc__)
    parser.add_argument("--group", choices=sorted(GROUPS), required=True, help="stages to compile for")
    parser.add_argument("--output", type=Path, required=True, help="file that says that it is done")
    args = parser.parse_args()

    import numba

    from biosae.artefacts import write_text

    GROUPS[args.group]()
    write_text(args.output, f"numba {numba.__version__}\n")


if __name__ == "__main__":
    cli.run(main)
