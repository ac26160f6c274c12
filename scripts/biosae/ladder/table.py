"""The rungs put together: the ladder's tables, and the difference of each SAE and its best null.

The interval of a difference is a bootstrap over seeds and motifs (both strands together, as they are not
independent): both are drawn with replacement, each on its own, and a replicate is the mean over the drawn
seeds and the detectors of the drawn motifs (the pigeonhole bootstrap for two crossed factors: Owen, Annals of
Applied Statistics 1:386, 2007, which is conservative). With one seed only motifs are drawn. The best null is
the baseline of highest mean over the seeds, chosen once: as it is the luckiest of several, the difference is,
if anything, too small.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pandas as pd

from biosae.errors import ContractError
from biosae.ladder.names import ALL, CHANCE, SAE
from biosae.synthetic.found import FOUND_F1

FIGURES = ("detectors_found", "assignment_f1")  # what differences are taken of: a mean over detectors each
REPLICATES = 2000
LEVEL = 0.95


def focus_mask(
    detectors: pd.DataFrame, kinds: Sequence[str] | None, motifs: Sequence[str] | None
) -> np.ndarray:
    """Detectors that an axis is about, (n,) bool: of these kinds and these motifs; None: any."""
    mask = np.ones(len(detectors), dtype=bool)
    if kinds is not None:
        mask &= detectors["kind"].isin(kinds).to_numpy(bool)
    if motifs is not None:
        mask &= detectors["motif"].isin(motifs).to_numpy(bool)
    return mask


def with_figures(detectors: pd.DataFrame) -> pd.DataFrame:
    """``detectors`` with a column for each of ``FIGURES``: its value for one detector."""
    found = (detectors["f1"] >= FOUND_F1).astype("float64")
    return detectors.assign(detectors_found=found, assignment_f1=detectors["f1"].astype("float64"))


def axis_table(detectors: pd.DataFrame, places: list[dict]) -> pd.DataFrame:
    """Recovery of the detectors that each axis is about: schema ladder_axes.

    Args:
        detectors: schema ladder_detectors, all rungs.
        places: of ``config.ladder_places``.

    Raises:
        ContractError: a world has no detector that its axis is about.
    """
    detectors, rows = with_figures(detectors), []
    for place in places:
        own = detectors[detectors["world"] == place["world"]]
        own = own[focus_mask(own, place["kinds"], place["motifs"])]
        if own.empty:
            raise ContractError(
                f"World '{place['world']}' has none of the detectors that axis '{place['axis']}' is about",
                got={name: place[name] for name in ("kinds", "motifs")},
                mend="take the world off this axis, or change the axis' kinds or motifs",
            )
        groups = own.groupby(["run", "role", "seed"], sort=False)
        means = groups[list(FIGURES)].mean().reset_index()
        means["n_detectors"] = groups.size().to_numpy()
        what = {name: place[name] for name in ("axis", "label", "place", "difficulty", "world")}
        rows.append(means.assign(**what))
    return pd.concat(rows, ignore_index=True)


def difference_table(detectors: pd.DataFrame, places: list[dict], seed: int = 0) -> pd.DataFrame:
    """Schema ladder_differences: each world and SAE, over all detectors and over those of its axes."""
    detectors, rows = with_figures(detectors), []
    sets = [(world, ALL, None, None) for world in dict.fromkeys(place["world"] for place in places)]
    sets += [
        (place["world"], place["axis"], place["kinds"], place["motifs"])
        for place in places
        if place["kinds"] is not None or place["motifs"] is not None
    ]
    for world, name, kinds, motifs in sets:
        own = detectors[detectors["world"] == world]
        own = own[focus_mask(own, kinds, motifs)]
        for run in own.loc[own["role"] == SAE, "run"].unique():
            for figure in FIGURES:
                rows.append({"world": world, "detectors": name, **difference(own, run, figure, seed)})
    order = {world: number for number, (world, *_) in reversed(list(enumerate(sets)))}
    table = pd.DataFrame(rows)
    return table.sort_values("world", key=lambda column: column.map(order), kind="stable", ignore_index=True)


def difference(own: pd.DataFrame, run: str, figure: str, seed: int) -> dict:
    """One row of ``difference_table``: a run against the best null of one world.

    Args:
        own: rows of one world and one set of detectors, with the column ``figure``.
        seed: of the bootstrap.
    """
    rows = own[own["run"] == run]
    sae = values_by_seed(rows, figure)
    row = {"run": run, "figure": figure, "n_seeds": len(sae), "n_detectors": sae.shape[1]}
    row |= {"value": float(sae.mean()), "best_null": None, "null_value": None}
    nulls = own[~own["role"].isin([SAE, CHANCE])]
    if nulls.empty:
        return row | dict.fromkeys(("difference", "ci_low", "ci_high", "beats_null"))
    means = nulls.groupby("run", sort=False)[figure].mean()
    best = str(means.idxmax())
    gap = sae - values_by_seed(nulls[nulls["run"] == best], figure)
    motifs = rows.drop_duplicates("name").sort_values("name")["motif"]  # in the order of the columns
    low, high = crossed_interval(gap, motifs.to_numpy(str), seed)
    row |= {"best_null": best, "null_value": float(means[best]), "difference": float(gap.mean())}
    return row | {"ci_low": low, "ci_high": high, "beats_null": bool(low > 0)}


def values_by_seed(own: pd.DataFrame, figure: str) -> np.ndarray:
    """(seeds, detectors) of one run; ContractError where a seed lacks a detector that another has."""
    table = own.pivot(index="seed", columns="name", values=figure)
    if table.isna().to_numpy().any():
        raise ContractError(
            "The rungs of one world do not hold the same detectors",
            got=sorted(table.columns[table.isna().any()])[:5],
            where=f"world {own['world'].iloc[0]}, run {own['run'].iloc[0]}",
            mend="run all rungs of this world again",
        )
    return table.to_numpy(dtype=np.float64)


def crossed_interval(
    values: np.ndarray, groups: np.ndarray, seed: int, replicates: int = REPLICATES
) -> tuple[float, float]:
    """Percentile interval of the mean over seeds and motifs (both strands together), drawn with replacement.

    Args:
        values: (seeds, detectors).
        groups: (detectors,) the truth motif of each; the detectors of one are drawn together.
        seed: of the bootstrap.
        replicates: number of draws.
    """
    generator = np.random.default_rng(seed)
    n_seeds = len(values)
    names, codes = np.unique(groups, return_inverse=True)
    n_groups = len(names)
    seeds = generator.multinomial(n_seeds, np.full(n_seeds, 1 / n_seeds), replicates) / n_seeds
    drawn = generator.multinomial(n_groups, np.full(n_groups, 1 / n_groups), replicates)[:, codes]
    shares = drawn / drawn.sum(axis=1, keepdims=True)
    means = np.einsum("rs,sd,rd->r", seeds, values, shares, optimize=True)
    low, high = np.quantile(means, [(1 - LEVEL) / 2, (1 + LEVEL) / 2])
    return float(low), float(high)
