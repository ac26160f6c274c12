"""The scoreboard as aligned text: one table an SAE, its nulls beside it."""

from __future__ import annotations

import pandas as pd

from biosae.scoreboard.labels import (
    LABELS,
    OF_RUN,
    Block,
    blocks,
    difference_text,
    plain,
    stability_text,
    value_of,
)


def format_scoreboard(summary: pd.DataFrame, scoreboard: pd.DataFrame) -> str:
    """One table for each SAE: a column for it, one for each null, and the difference to the best of these.

    Args:
        summary, scoreboard: rows of summary.tsv and of scoreboard.tsv.
    """
    return "\n\n".join(_table(block) for block in blocks(summary, scoreboard))


def _table(block: Block) -> str:
    names = ["SAE", *block.null_names()]
    title = ["", *names, "SAE - best null [95 %]", "best null", "at nodes"]
    lines = [
        [label, *(plain(run[column]) for run in block.runs()), "", "", ""] for column, label in OF_RUN.items()
    ]
    for figure, score in block.scores.items():
        values = (plain(value_of(run, figure)) for run in block.runs())
        end = [difference_text(score), block.best_null(figure) or "", plain(score["matched_nodes"])]
        lines.append([LABELS[figure], *values, *end])
    stability = [stability_text(run) or "-" for run in block.runs()]
    lines.append(["cosine with other seeds", *stability, "", "", ""])
    return f"{block.sae['run']}\n{_aligned([title, *lines])}{_notes(block)}"


def _aligned(lines: list[list[str]]) -> str:
    widths = [max(map(len, column)) for column in zip(*lines, strict=True)]
    text = (
        "  ".join(
            [line[0].ljust(widths[0]), *(c.rjust(w) for c, w in zip(line[1:], widths[1:], strict=True))]
        )
        for line in lines
    )
    return "\n".join(line.rstrip() for line in text)


def _notes(block: Block) -> str:
    """What the table cannot say by itself, each note once."""
    notes = pd.unique(pd.Series([score["note"] for score in block.scores.values()]).dropna())
    return "".join(f"\n  {note}" for note in notes)
