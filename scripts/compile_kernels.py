"""Compile the motif engines' kernels once, into the folder that NUMBA_CACHE_DIR names.

Jobs that start together would otherwise each compile them. A cache made for another processor or another
version of the code is not used: such a job compiles for itself.
"""

from __future__ import annotations

from pathlib import Path

from biosae import cli


def main() -> None:
    """Parse, compile, write the stamp."""
    parser = cli.program(__doc__)
    parser.add_argument("--output", type=Path, required=True, help="file that says that it is done")
    args = parser.parse_args()

    import numba

    from biosae.artefacts import write_text
    from biosae.motifs import batched, comparison

    batched.warm_up()
    comparison.warm_up()
    write_text(args.output, f"numba {numba.__version__}\n")


if __name__ == "__main__":
    cli.run(main)
