"""Recipes on worlds of the ladder against the first: differences over the seeds, with intervals.

    python tests/benchmarks/compare_recipes.py [--rungs results/ladder_recipes/rungs] [--first topk]

Reads the ladder.tsv of every rung that is there. A seed's difference is a mean over the worlds; intervals and
p are of a t test over the seeds, p times the number of recipes compared (Bonferroni).
"""

from __future__ import annotations

import argparse
from pathlib import Path

import pandas as pd
from scipy import stats

FIGURES = {"detectors_found": "found", "assignment_f1": "mean F1", "splitting": "split"}


def arguments_of(argv: list[str] | None = None) -> argparse.Namespace:
    """Parse the command line."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    add = parser.add_argument
    add("--rungs", type=Path, default=Path("results/ladder_recipes/rungs"), help="(default %(default)s)")
    add("--first", default="topk", help="the recipe that others are compared with (default %(default)s)")
    return parser.parse_args(argv)


def differences(runs: pd.DataFrame, first: str, figure: str) -> pd.DataFrame:
    """One row a seed, one column a recipe: its figure minus that of ``first``, a mean over the worlds."""
    table = runs.pivot(index=["world", "seed"], columns="run", values=figure)
    if table.isna().any(axis=None):
        raise SystemExit(f"{figure} is missing in {int(table.isna().any(axis=1).sum())} rungs")
    return table.sub(table[first], axis=0).drop(columns=first).groupby("seed").mean()


def main() -> None:
    """Read, compare, print."""
    arguments = arguments_of()
    paths = sorted(arguments.rungs.glob("*/s*/ladder.tsv"))
    if not paths:
        raise SystemExit(f"no ladder.tsv below {arguments.rungs}: make the rungs first (RESULTS.md)")
    runs = pd.concat([pd.read_csv(path, sep="\t", comment="#") for path in paths])
    runs = runs[runs["role"] == "sae"]
    print(f"{len(paths)} rungs, {runs['seed'].nunique()} seeds\n")
    print("| figure | recipe | difference | 95 % interval | p, Bonferroni |\n|---|---|---|---|---|")
    for figure, name in FIGURES.items():
        table = differences(runs, arguments.first, figure)
        for recipe, values in table.items():
            test = stats.ttest_1samp(values, 0)
            low, high = test.confidence_interval()
            p = min(1, test.pvalue * table.shape[1])
            print(f"| {name} | {recipe} | {values.mean():+.3f} | {low:+.3f} to {high:+.3f} | {p:.2g} |")


if __name__ == "__main__":
    main()
