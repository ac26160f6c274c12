"""Recipes on planted truth at an equal number of positions: which is good, and how soon.

    PYTHONPATH=scripts python tests/benchmarks/train_quality.py --results quality.jsonl [--rows NAME ...]
    PYTHONPATH=scripts python tests/benchmarks/train_quality.py --results quality.jsonl --table

608-channel activations with 1,216 planted directions (planted_activations.py), stored as float16; every seed
has its own truth, data and initialisation, the same for all recipes. The published recipe's batch is half a
sequence, as in its preset: 4,096 positions here. One line of JSON is added to ``--results`` for each recipe
and seed, and what is there already is not run again; ``--table`` prints mean and range over the seeds of

    FVU       fvu_channel_mean of biosae.evaluation on held-out sequences: no normaliser changes it
    dead      share of nodes active at no held-out position
    found     share of planted directions with a decoder direction at cosine > 0.9
    L0        mean active nodes a position
    positions to A, B    first evaluation at which the FVU on a part of the held-out positions is at or below
              the final one of the published recipe at lr 1e-5 (A) and at lr 5e-4 (B) on the same part, as a
              share of all positions; "-": never. It is found no finer than positions / evaluations.
"""

from __future__ import annotations

import argparse
import contextlib
import io
import json
import logging
import sys
import tempfile
from dataclasses import fields, replace
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
sys.path[:0] = [str(ROOT / "scripts"), str(ROOT / "tests" / "benchmarks")]

import numpy as np  # noqa: E402  (the paths come first)
from planted_activations import PlantedActivations, write_planted_store  # noqa: E402
from quality_rows import DEFAULT, PUBLISHED, PUBLISHED_FASTER, QUICK, ROWS, Row  # noqa: E402

SEQUENCE = 8192  # positions of a sequence
SETTINGS = ("positions", "channels", "directions", "expansion", "k", "store_positions", "evaluations")


def arguments_of(argv: list[str] | None = None) -> argparse.Namespace:
    """Parse the command line."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    add = parser.add_argument
    add("--results", type=Path, required=True, help="JSON lines, one a recipe and seed; added to")
    add("--table", action="store_true", help="only print the table of --results")
    add("--rows", nargs="+", metavar="NAME", help='recipes; "quick": the three that decide; default: all')
    add("--list", action="store_true", help="print the names of the recipes")
    add("--positions", type=int, default=2**21, help="training positions of each run (default 2,097,152)")
    add("--store-positions", type=int, default=2**20, help="of the store, passed over as often as needed")
    add("--held-out", type=int, default=2**16, help="positions of the final evaluation (default 65,536)")
    add("--curve-positions", type=int, default=8192, help="of each evaluation on the way (default 8,192)")
    add("--evaluations", type=int, default=64, help="evaluations on the way (default 64)")
    add("--channels", type=int, default=608)
    add("--directions", type=int, default=1216, help="planted directions (default 1,216)")
    add("--expansion", type=float, default=4.0, help="nodes a channel (default 4)")
    add("--k", type=int, default=30)
    add("--seeds", type=int, nargs="+", default=[0, 1, 2, 3, 4])
    add("--threads", type=int, default=1)
    add("--data", type=Path, help="folder that keeps the stores of the seeds; default: a temporary one")
    return parser.parse_args(argv)


def recipe_of_row(row: Row, arguments, seed: int):
    """The recipe of a row, or the reason (str) why this version cannot train it."""
    from biosae.recipes import Recipe, recipe_of

    unknown = set(row.changes) - {field.name for field in fields(Recipe)}
    if unknown:
        return f"recipes have no {', '.join(sorted(unknown))}"
    k = {"half": arguments.k // 2, "twice": arguments.k * 2}.get(row.changes.get("k"), arguments.k)
    shared = {"k_of": "absolute", "expansion": arguments.expansion, "max_positions": arguments.positions}
    shared |= {"evaluations": arguments.evaluations, "epochs": 10**6, "seed": seed}
    recipe = recipe_of(row.preset, {**shared, **row.changes, "k": k})
    return replace(recipe, patience=None)  # no early stop: all see the same number of positions


def run(name: str, seed: int, arguments, folder: Path) -> dict | str:
    """One recipe and seed: the record that is kept, or the reason (str) why it cannot run."""
    from biosae.activations import ActivationStore
    from biosae.errors import BiosaeError
    from biosae.evaluation import evaluate
    from biosae.statistics import compute_statistics, normaliser_vectors
    from biosae.training import new_model, train

    recipe = recipe_of_row(ROWS[name], arguments, seed)
    if isinstance(recipe, str):
        return recipe
    planted = PlantedActivations(arguments.channels, arguments.directions, seed=seed)
    stores = [ActivationStore.open(path) for path in write_stores(planted, arguments, folder)]
    with contextlib.redirect_stderr(io.StringIO()):
        stats = compute_statistics(stores[0], [0.5])
    vectors = normaliser_vectors(stats, recipe.normaliser)[:2]
    try:
        model = new_model(recipe, arguments.channels, *vectors, kind=ROWS[name].kind)
    except BiosaeError as error:
        return str(error)
    on_the_way: list[float] = []

    def validate(trained) -> dict:
        figures = evaluate(trained, stores[1], arguments.curve_positions)
        on_the_way.append(figures["fvu_channel_mean"])
        return figures

    with tempfile.TemporaryDirectory() as scratch, contextlib.redirect_stderr(io.StringIO()):
        curve = train(model, stores[0], validate, recipe, scratch, resume=False, checkpoint_seconds=1e9)
    final = evaluate(model, stores[1], arguments.held_out)
    figures = {key: final[key] for key in ("fvu_channel_mean", "fvu", "dead_fraction", "l0")}
    figures["found"] = planted.found_share(model, np.sqrt(stats.variance))
    points = [[line["positions"], fvu] for line, fvu in zip(curve, on_the_way, strict=True)]
    return {**key_of(name, seed, arguments), **figures, "curve": points}


def write_stores(planted: PlantedActivations, arguments, folder: Path) -> list[Path]:
    """Training and held-out stores of a seed."""
    shape = f"{arguments.channels}x{arguments.directions}"
    made = []
    for split, positions, first in (
        ("train", arguments.store_positions, 0),
        ("held_out", arguments.held_out, 10**6),
    ):
        path = folder / f"{split}_{shape}_{positions}_{planted.seed}"
        numbers = range(first, first + max(1, positions // SEQUENCE))
        made.append(write_planted_store(path, planted, numbers, SEQUENCE))
    return made


def key_of(name: str, seed: int, arguments) -> dict:
    """What a record is found by."""
    return {"row": name, "seed": seed, **{key: getattr(arguments, key) for key in SETTINGS}}


def records_of(path: Path, arguments) -> dict[tuple[str, int], dict]:
    """Records in ``path`` of these settings, by row and seed."""
    if not path.exists():
        return {}
    found = {}
    for line in path.read_text().splitlines():
        record = json.loads(line)
        wanted = key_of(record["row"], record["seed"], arguments)
        if all(record.get(key) == value for key, value in wanted.items()):
            found[record["row"], record["seed"]] = record
    return found


def share_to_reach(curve: list, target: float, positions: int) -> float | None:
    """Share of ``positions`` at the first point of ``curve`` at or below ``target``; None: never."""
    return next((at / positions for at, fvu in curve if fvu <= target), None)


def shares_of(row: list[dict], reference: dict[int, dict], positions: int) -> list[float | None]:
    """``share_to_reach`` the reference's last point, a seed."""
    return [
        share_to_reach(record["curve"], reference[record["seed"]]["curve"][-1][1], positions)
        for record in row
        if record["seed"] in reference
    ]


def _cell(values: list, text: str) -> str:
    """Mean and range; "-" if there is none, or at a seed the target was never reached."""
    if not values or None in values:
        return "-"
    low, high = format(min(values), text), format(max(values), text)
    return format(float(np.mean(values)), text) + (f" ({low} to {high})" if low != high else "")


def print_table(arguments) -> None:
    """Markdown of all records, and whether the wanted figures are reached."""
    records = records_of(arguments.results, arguments)
    rows = {name: [r for (row, _), r in sorted(records.items()) if row == name] for name in ROWS}
    references = [{r["seed"]: r for r in rows[name]} for name in (PUBLISHED, PUBLISHED_FASTER)]
    print("| recipe | seeds | FVU | dead | found | L0 | positions to A | positions to B |")
    print("|---|---|---|---|---|---|---|---|")
    for name, row in rows.items():
        if not row:
            continue
        columns = (("fvu_channel_mean", ".3f"), ("dead_fraction", ".1%"), ("found", ".1%"), ("l0", ".1f"))
        cells = [_cell([record[key] for record in row], text) for key, text in columns]
        cells += [_cell(shares_of(row, reference, arguments.positions), ".1%") for reference in references]
        print(f"| {name} | {len(row)} | {' | '.join(cells)} |")
    print_verdict(rows, references, arguments.positions)


def print_verdict(rows: dict[str, list[dict]], references: list[dict], positions: int) -> None:
    """The figures that the default recipe has to reach."""
    ours = rows[DEFAULT]
    if not ours or not all(references):
        print(f"\n(no verdict yet: it needs the rows {PUBLISHED!r}, {PUBLISHED_FASTER!r} and {DEFAULT!r})")
        return
    print(f"\n`{DEFAULT}`, mean over seeds (wanted):\n")
    for name, reference in zip((PUBLISHED, PUBLISHED_FASTER), references, strict=True):
        share = _cell(shares_of(ours, reference, positions), ".1%")
        print(
            f"- share of the positions at which it reaches the final FVU of `{name}`: {share} (at most 25 %)"
        )
        print(f"- found by `{name}`: {_cell([r['found'] for r in reference.values()], '.1%')} (at most 5 %)")
    print(f"- found: {_cell([record['found'] for record in ours], '.1%')} (at least 90 %)")
    print(f"- dead: {_cell([record['dead_fraction'] for record in ours], '.1%')} (at most 5 %)")


def run_all(arguments, folder: Path) -> None:
    """Run what ``--results`` does not hold yet, seed by seed."""
    names = QUICK if arguments.rows == ["quick"] else arguments.rows or list(ROWS)
    if unknown := set(names) - set(ROWS):
        sys.exit(f"no such recipe: {', '.join(sorted(unknown))}; --list prints them")
    for seed in arguments.seeds:
        for name in names:
            if (name, seed) in records_of(arguments.results, arguments):
                continue
            record = run(name, seed, arguments, folder)
            if isinstance(record, str):
                print(f"(skipped {name}: {record})", file=sys.stderr)
                continue
            with arguments.results.open("a") as handle:
                handle.write(json.dumps(record) + "\n")
            figures = f"FVU {record['fvu_channel_mean']:.3f}, found {record['found']:.1%}"
            print(f"{name}, seed {seed}: {figures}", file=sys.stderr, flush=True)


def main() -> None:
    """Train, keep, print."""
    arguments = arguments_of()
    if arguments.list:
        print("\n".join(ROWS))
        return
    if not arguments.table:
        from contenders import set_threads

        set_threads(arguments.threads)
        logging.getLogger().setLevel(logging.ERROR)
        with tempfile.TemporaryDirectory() as scratch:
            run_all(arguments, arguments.data or Path(scratch))
    print_table(arguments)


if __name__ == "__main__":
    main()
