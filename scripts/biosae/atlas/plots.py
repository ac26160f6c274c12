"""Scatter and line plots as inline SVG whose colours follow the page (light or dark) through CSS classes."""

from __future__ import annotations

from dataclasses import dataclass
from html import escape

import numpy as np

POINT_RADIUS = 3.5  # SVG units
_MARGIN = 10  # SVG units around the points of a scatter plot
_LEFT, _BOTTOM, _TOP, _RIGHT = 48, 30, 22, 12  # SVG units around the frame of a line plot


@dataclass(frozen=True)
class Point:
    """One point of a scatter plot; `target` is the id of the element that a click leads to."""

    x: float
    y: float
    css_class: str
    title: str
    target: str


def _scale(values: np.ndarray, low: float, high: float) -> np.ndarray:
    """Map the range of the values to [low, high]; values that are all equal go to the middle."""
    span = np.ptp(values) if len(values) else 0.0
    if span == 0:
        return np.full(len(values), (low + high) / 2)
    return low + (values - values.min()) / span * (high - low)


def scatter_svg(points: list[Point], label: str, width: int = 420, height: int = 340) -> str:
    """A scatter plot without axes (of an embedding, whose axes have no meaning); each point is a link."""
    xs = _scale(np.array([p.x for p in points]), _MARGIN, width - _MARGIN)
    ys = _scale(-np.array([p.y for p in points]), _MARGIN, height - _MARGIN)
    circles = "".join(
        f'<a href="#{escape(p.target)}"><circle class="{p.css_class}" cx="{x:.1f}" cy="{y:.1f}" '
        f'r="{POINT_RADIUS}"><title>{escape(p.title)}</title></circle></a>'
        for p, x, y in zip(points, xs, ys, strict=True)
    )
    return (
        f'<svg class="plot scatter" role="group" aria-label="{escape(label)}" viewBox="0 0 {width} {height}">'
        f"{circles}</svg>"
    )


def nice_ticks(low: float, high: float, about: int = 4) -> list[float]:
    """Round numbers (1, 2, 5 x 10^n apart) that lie in [low, high]; about `about` of them."""
    if not high > low:
        return [low]
    raw = (high - low) / about
    power = 10.0 ** np.floor(np.log10(raw))
    step = next(m * power for m in (1, 2, 5, 10) if m * power >= raw * (1 - 1e-9))
    first = np.ceil(low / step - 1e-9)
    return [float(f"{k * step:.12g}") + 0.0 for k in np.arange(first, np.floor(high / step + 1e-9) + 1)]


def _axes(x_ticks: list[float], y_ticks: list[float], place_x, place_y, width: int, height: int) -> str:
    """Grid lines, tick labels and the base line of a line plot."""
    parts = []
    for tick in y_ticks:
        y = place_y(tick)
        parts.append(f'<path class="grid" d="M{_LEFT} {y:.1f}H{width - _RIGHT}"/>')
        parts.append(f'<text class="tick end" x="{_LEFT - 6}" y="{y + 3.5:.1f}">{tick:g}</text>')
    for tick in x_ticks:
        parts.append(f'<text class="tick mid" x="{place_x(tick):.1f}" y="{height - 12}">{tick:g}</text>')
    parts.append(f'<path class="axis" d="M{_LEFT} {height - _BOTTOM}H{width - _RIGHT}"/>')
    return "".join(parts)


def line_svg(x, y, title: str, ceiling: float = np.inf, width: int = 300, height: int = 180) -> str:
    """One series as a line over `x`, the y axis from 0; empty text when no value can be shown.

    Args:
        x, y: (n,) each; values that are missing are left out.
        title: stands above the plot and is its accessible name.
        ceiling: higher values are left out, which the title then says: the loss before the first step
            would flatten all the rest.
    """
    x, y = np.asarray(x, dtype=float), np.asarray(y, dtype=float)
    finite = np.isfinite(x) & np.isfinite(y)
    shown = finite & (y <= ceiling)
    if not shown.any():
        return ""
    if shown.sum() < finite.sum():
        title += f" ({finite.sum() - shown.sum()} above {ceiling:g} not shown)"
    x, y = x[shown], y[shown]
    y_high = float(y.max()) or 1.0
    x_low, x_span = float(x.min()), float(np.ptp(x)) or 1.0

    def place_x(value: float) -> float:
        return _LEFT + (value - x_low) / x_span * (width - _LEFT - _RIGHT)

    def place_y(value: float) -> float:
        return height - _BOTTOM - value / y_high * (height - _BOTTOM - _TOP)

    line = "L".join(f"{place_x(a):.1f} {place_y(b):.1f}" for a, b in zip(x, y, strict=True))
    end = f'<circle class="end-point" cx="{place_x(x[-1]):.1f}" cy="{place_y(y[-1]):.1f}" r="3"/>'
    axes = _axes(
        nice_ticks(x_low, x_low + x_span, 3), nice_ticks(0.0, y_high, 3), place_x, place_y, width, height
    )
    return (
        f'<svg class="plot" role="img" aria-label="{escape(title)}, last value {y[-1]:.4g}" '
        f'viewBox="0 0 {width} {height}"><text class="plot-title" x="{_LEFT}" y="13">{escape(title)}</text>'
        f'{axes}<path class="line" d="M{line}"/>{end}</svg>'
    )
