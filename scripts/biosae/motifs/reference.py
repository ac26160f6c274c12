"""The same model written plainly: a sequence at a time, no 4-mer tables, nothing compiled.

Slow; for tests only. Each function has the name, the arguments and the answer of the one it checks
(``em.fit``, ``em.best_sites``, ``em.erase_sites``, ``width.column_gains``, ``seeds.count_words``,
``heldout.choose_threshold``), so that a search can be run with these in place of
those. They agree to 1e-9 relative, but where rounding decides: a posterior at SKIP, two best places alike.
"""

from __future__ import annotations

import itertools
import math
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
from scipy.stats import fisher_exact

from biosae.motifs import background, em, heldout, seeds, width
from biosae.motifs.packing import Packed, reverse_complement


@dataclass
class Places:
    """Where a sequence can hold a site: starts (k,), forward (k,) bool, bases (k, w) as read, odds (k,)."""

    starts: np.ndarray
    forward: np.ndarray
    bases: np.ndarray
    odds: np.ndarray


def places(packed: Packed, matrix: np.ndarray, both_strands: bool) -> Iterator[Places]:
    """The places of each sequence: windows without N, first all as written, then all reversed."""
    w = len(matrix)
    for a, b in itertools.pairwise(packed.offsets):
        starts = [i for i in range(a, b - w + 1) if (packed.codes[i : i + w] < 4).all()]
        bases = [packed.codes[i : i + w].astype(int) for i in starts]
        inverse = [np.prod(packed.inverse[i : i + w]) for i in starts]
        strands = 2 if both_strands else 1
        if both_strands:
            bases += [3 - read[::-1] for read in bases]
        odds = [
            np.prod(matrix[np.arange(w), read]) * x for read, x in zip(bases, inverse * strands, strict=True)
        ]
        yield Places(
            np.array(starts * strands, int),
            np.repeat([True, False][:strands], len(starts)),
            np.array(bases, int).reshape(-1, w),
            np.array(odds),
        )


def fit(
    packed: Packed, matrix: np.ndarray, rate: float, composition: np.ndarray, both_strands: bool, rounds: int
) -> em.Fit:
    """EM from a start (em.fit)."""
    llr, before = 0.0, -math.inf
    for _ in range(rounds):
        llr, sites, counts = 0.0, 0.0, np.zeros(matrix.shape)
        for s, at in enumerate(places(packed, matrix, both_strands)):
            joint = rate * at.odds / max(len(at.odds), 1)
            likelihood = (1 - rate) * packed.rival[s] + joint.sum()
            llr += math.log(likelihood)
            sites += joint.sum() / likelihood
            for z, read in zip(joint / likelihood, at.bases, strict=True):
                if z > em.SKIP:
                    counts[np.arange(len(matrix)), read] += z
        if llr - before < em.TOLERANCE * packed.n:
            break
        before = llr
        counts += em.PSEUDOCOUNT * composition
        matrix = counts / counts.sum(axis=1, keepdims=True)
        rate = min(max(sites / packed.n, 1 / (packed.n + 1)), em.MAX_RATE)
    return em.Fit(matrix, rate, llr)


def best_sites(packed: Packed, state: em.Fit, both_strands: bool) -> em.Sites:
    """The best place of each sequence (em.best_sites)."""
    rows = []
    for s, at in enumerate(places(packed, state.matrix, both_strands)):
        if len(at.odds) == 0:
            rows.append((0.0, -1, True, 0.0, 0.0))
            continue
        best, ratio = int(np.argmax(at.odds)), float(np.mean(at.odds))
        with_site = state.rate * ratio
        posterior = with_site / ((1 - state.rate) * packed.rival[s] + with_site)
        rows.append((at.odds[best], at.starts[best], at.forward[best], ratio, posterior))
    return em.Sites(*(np.array(column) for column in zip(*rows, strict=True)))


def erase_sites(packed: Packed, state: em.Fit, both_strands: bool, threshold: float) -> None:
    """Turn sites into N, in place (em.erase_sites)."""
    for at in list(places(packed, state.matrix, both_strands)):
        likely = (1 - state.rate) / state.rate * len(at.odds)
        for start in at.starts[at.odds >= min(threshold, likely)]:
            packed.codes[start : start + len(state.matrix)] = 4
    packed.forget_windows()


def column_gains(
    packed: Packed, state: em.Fit, both_strands: bool
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """What each column in and beside the sites is worth (width.column_gains)."""
    w, reach = len(state.matrix), width.REACH
    counts, against, lost = np.zeros((w + 2 * reach, 4)), np.zeros(w + 2 * reach), np.zeros(w + 2 * reach)
    for s, at in enumerate(places(packed, state.matrix, both_strands)):
        joint = state.rate * at.odds / max(len(at.odds), 1)
        posterior = joint / ((1 - state.rate) * packed.rival[s] + joint.sum())
        for start, forward, odds, z in zip(at.starts, at.forward, at.odds, posterior, strict=True):
            if z < width.MIN_POSTERIOR:
                continue
            for column in range(w + 2 * reach):
                i = start + column - reach if forward else start + w - 1 + reach - column
                if not packed.offsets[s] <= i < packed.offsets[s + 1] or packed.codes[i] > 3:
                    lost[column] += z * max(math.log(odds), 0.0)
                else:
                    counts[column, packed.codes[i] if forward else 3 - packed.codes[i]] += z
                    against[column] += z * math.log(packed.inverse[i])
    gains = against - 1.5 * math.log(max(packed.n, 2))
    for column, row in enumerate(counts):
        gains[column] += sum(x * math.log(x / row.sum()) for x in row if x > 0)
    return counts, gains, lost


def count_words(packed: Packed, both_strands: bool) -> tuple[np.ndarray, np.ndarray]:
    """Sequences that hold each seed word, and places (seeds.count_words)."""
    counts, spans = np.zeros(seeds.WORDS, np.int32), np.zeros(seeds.MAX_GAP + 9)
    for a, b in itertools.pairwise(packed.offsets):
        text = "".join("ACGTN"[c] for c in packed.codes[a:b])
        for span in range(len(spans)):
            windows = [text[i : i + max(span, 1)] for i in range(len(text) - max(span, 1) + 1)]
            spans[span] += sum("N" not in window for window in windows)
        for word in set(_words(text, both_strands)):
            counts[word] += 1
    return counts, spans / max(packed.n, 1)


def _words(text: str, both_strands: bool) -> Iterator[int]:
    """The seed words of a sequence as seeds.count_words numbers them."""

    def number(word: str) -> int:
        first = min(word, reverse_complement(word)) if both_strands else word
        return int("".join(str("ACGT".index(base)) for base in first), 4)

    for i in range(len(text)):
        for gap in range(seeds.MAX_GAP + 1):
            window = text[i : i + 6 + gap]
            if len(window) == 6 + gap and "N" not in window:
                yield gap * 4096 + number(window[:3] + window[-3:])
        window = text[i : i + 8]
        if len(window) == 8 and "N" not in window:
            for k, base in itertools.product(range(8), "ACGT"):
                yield seeds.DYADS + number(window[:k] + base + window[k + 1 :])


def choose_threshold(odds: np.ndarray, control_odds: np.ndarray) -> tuple[float, float]:
    """Every value tried by itself (heldout.choose_threshold)."""
    values = sorted({*odds.tolist(), *control_odds.tolist()}, reverse=True)
    best = math.inf, 0.0
    for i, value in enumerate(values):
        hits, control_hits = int((odds >= value).sum()), int((control_odds >= value).sum())
        if value > 0 and len(control_odds):
            gain = float(heldout.table_gain(float(hits), len(odds), float(control_hits), len(control_odds)))
            below = values[i + 1] if i + 1 < len(values) else 0.0
            if gain > best[1]:
                best = math.sqrt(value * below) if below > 0 else value, gain
    return best


def log10_fisher(hits: int, n: int, control_hits: int, n_controls: int) -> float:
    """Fisher's one-sided exact p by scipy (exact_test, one stratum); -inf where p underflows."""
    table = [[hits, n - hits], [control_hits, n_controls - control_hits]]
    p = float(fisher_exact(table, alternative="greater").pvalue)
    return math.log10(p) if p > 0 else -math.inf


def markov_tables(sequences: Sequence[str], order: int, both_strands: bool) -> dict[str, float]:
    """P(last base | bases before it) of every word up to order + 1 (background.fit), by word."""
    texts = [s.upper() for s in sequences]
    texts += [reverse_complement(s) for s in texts] if both_strands else []
    tables: dict[str, float] = {}
    for o in range(order + 1):
        words = Counter(text[i : i + o + 1] for text in texts for i in range(len(text) - o))
        for context in map("".join, itertools.product("ACGT", repeat=o)):
            total = sum(words[context + base] for base in "ACGT")
            for base in "ACGT":
                prior = background.PSEUDOCOUNT * (tables[context[1:] + base] if o else 0.25)
                tables[context + base] = (words[context + base] + prior) / (total + background.PSEUDOCOUNT)
    return tables
