"""A shard of the atlas: some nodes with their motifs, matches, examples, enrichments and neighbours."""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np
import pandas as pd

from biosae.atlas.columns import RowsOfNodes, records
from biosae.atlas.examples import Examples, example_payload
from biosae.atlas.neighbours import Neighbours
from biosae.atlas.payload import Arrays, encode
from biosae.atlas.run_data import RunData
from biosae.errors import ContractError
from biosae.motifs.formats import Motif

MOST_MATCHES = 10  # of a motif
MOST_ROWS = 20  # of overlaps.tsv and of repeats.tsv of a node, lowest q first
_FIRST_EXPONENT = -16  # count i of a histogram begins at 2^(i - 16)
_MOTIF = (
    *("consensus", "n_sites", "n_seqlets", "share_forward", "log10_e", "e_value", "tool_log10_e", "q_value"),
    *("significant", "information_bits", "flag", "engine"),
)
_MATCH = (
    *("p_value", "log10_p", "e_value", "q_value", "q_value_run", "q_null", "offset", "overlap"),
    *("orientation", "significant"),
)


@dataclass
class NodeRows:
    """The tables of a run by node, as the shards need them.

    Attributes:
        motifs, overlaps, repeats: rows of the tables.
        matches: rows of matches.tsv that are shown, with ``number``: of their target among ``targets``.
        n_matches: motif id -> matches in matches.tsv.
        targets: (number in the database, name of the database) of the targets of the matches that are shown.
        counts: rows that are not shown, by what they are.
    """

    motifs: RowsOfNodes
    overlaps: RowsOfNodes
    repeats: RowsOfNodes
    matches: RowsOfNodes
    n_matches: dict[str, int]
    targets: list[tuple[int, str]]
    counts: dict[str, int] = field(default_factory=dict)


def rows_of_nodes(data: RunData) -> NodeRows:
    """Sort the tables by node, and leave out what is beyond ``MOST_MATCHES`` and ``MOST_ROWS``.

    Raises:
        ContractError: a match names a motif that motifs.tsv does not hold, or a target that the database does
            not.
    """

    def by_node(table: pd.DataFrame, columns: list[str]) -> RowsOfNodes:
        return RowsOfNodes(table[columns], data.row_of(table["node"]), len(data.nodes))

    motifs = data.motifs.sort_values(["rank", "motif"], kind="stable")
    shown, targets = _shown_matches(data)
    counts = {f"matches beyond the best {MOST_MATCHES} of a motif": len(data.matches) - len(shown)}
    parts = {}
    for name in ("overlaps", "repeats"):
        table = getattr(data, name).sort_values(["rank", "q_value", "p_value"], kind="stable")
        first = _first_of_each(table, ["rank"], MOST_ROWS)
        parts[name] = by_node(first, [column for column in first if column not in ("rank", "node")])
        what = f"rows of {name}.tsv beyond the {MOST_ROWS} of lowest q of a node"
        counts[what] = len(table) - len(first)
    return NodeRows(
        by_node(motifs, ["motif_id", *_MOTIF]),
        parts["overlaps"],
        parts["repeats"],
        by_node(shown, ["query", "number", "target_promiscuous", *_MATCH]),
        data.matches.groupby("query").size().to_dict(),
        targets,
        counts,
    )


def _shown_matches(data: RunData) -> tuple[pd.DataFrame, list[tuple[int, str]]]:
    """The best matches of each motif with ``number`` of their target, and ``NodeRows.targets``."""
    strange = data.matches.loc[~data.matches["query"].isin(data.motifs["motif_id"]), "query"]
    if len(strange):
        raise ContractError(
            "matches.tsv names motifs that motifs.tsv does not hold",
            got=strange.head(3).tolist(),
            where=data.folder,
            mend="re-run match_motifs",
        )
    matches = data.matches.sort_values(["query", "log10_p"], kind="stable")
    shown = _first_of_each(matches, ["query"], MOST_MATCHES)
    number = target_numbers(shown, data.targets, data.folder).tolist()
    pairs = list(zip(number, shown["database"].tolist(), strict=True))
    targets = sorted(set(pairs))
    place = {target: at for at, target in enumerate(targets)}
    return shown.assign(number=[place[pair] for pair in pairs]), targets


def _first_of_each(table: pd.DataFrame, key: list[str], most: int) -> pd.DataFrame:
    return table[(table.groupby(key).cumcount() < most).to_numpy(bool)]


def target_numbers(matches: pd.DataFrame, targets: list[Motif], where: object = None) -> np.ndarray:
    """Number in the database of the target of each match, (n,) int64.

    A database may repeat an id: name and likeliest letters, as the match states them, then tell which.

    Raises:
        ContractError: there is no such target.
    """
    known: dict[tuple, int] = {}
    for number, motif in enumerate(targets):
        for sign, read in (("+", motif), ("-", motif.reverse_complement())):
            known.setdefault((motif.id, motif.name or None, sign, read.likeliest_letters), number)
    names = ["target", "target_name", "orientation", "target_consensus"]
    keys = [tuple(row.values()) for row in records(matches[names])]
    lost = [key[0] for key in keys if key not in known]
    if lost:
        raise ContractError(
            f"{len(lost)} of {len(keys)} matches are of targets that the motif database does not hold",
            got=sorted(set(lost))[:5],
            where=where,
            mend="give the database that the run was matched with, or re-run match_motifs",
        )
    return np.fromiter((known[key] for key in keys), np.int64, len(keys))


@dataclass(frozen=True)
class Shards:
    """Everything that the shards of a run are made from; ``neighbours`` by kind."""

    atlas: str
    data: RunData
    rows: NodeRows
    examples: Examples
    neighbours: dict[str, Neighbours]

    def encode(self, name: str, first: int, last: int) -> str:
        """Base64 of the shard of the nodes [first, last)."""
        arrays = Arrays()
        kinds = ("motifs", "matches", "overlaps", "repeats")
        tables = {kind: getattr(self.rows, kind).slice(first, last) for kind in kinds}
        found = self.examples.rows(first, last)
        histograms = _histograms(self.data, first, last)
        nodes = []
        for at, row in enumerate(range(first, last)):
            node = {"rank": row + 1, "node": int(self.data.nodes["node"].iloc[row])}
            node["motifs"] = self._motifs(tables["motifs"][at], tables["matches"][at], arrays)
            there = self.examples.reason is None
            node["examples"] = example_payload(found, at, arrays) if there else None
            carry, of = self.examples.carriers[row].tolist()
            node["n_top_with_motif"] = None if carry < 0 else [carry, of]
            node |= {"histogram": histograms[at], "background": self.data.background}
            for kind in ("overlaps", "repeats"):
                node[kind] = tables[kind][at]
            node["neighbours"] = {kind: near[row] for kind, near in self.neighbours.items()}
            nodes.append(node)
        return encode({"atlas": self.atlas, "name": name, "first": first, "nodes": nodes}, arrays)

    def encode_targets(self) -> str:
        """Base64 of ``targets``: the matrices that matches name."""
        arrays, found = Arrays(), []
        for number, database in self.rows.targets:
            motif = self.data.targets[number]
            matrix = arrays.add(motif.matrix, "f4")
            found.append({"id": motif.id, "name": motif.name or None, "database": database, "matrix": matrix})
        return encode({"atlas": self.atlas, "name": "targets", "targets": found}, arrays)

    def _motifs(self, motifs: list[dict], matches: list[dict], arrays: Arrays) -> list[dict]:
        """Motifs of one node with their matches."""
        of_motif: dict[str, list[dict]] = {}
        for match in matches:
            shown = {"target": match["number"], **{key: match[key] for key in _MATCH}}
            shown["promiscuous"] = match["target_promiscuous"]
            of_motif.setdefault(match["query"], []).append(shown)
        return [
            {
                "id": motif["motif_id"],
                "matrix": arrays.add(self.data.matrices[motif["motif_id"]], "f4", "matrix"),
                **{key: motif[key] for key in _MOTIF},
                "n_matches": self.rows.n_matches.get(motif["motif_id"], 0),
                "matches": of_motif.get(motif["motif_id"], []),
            }
            for motif in motifs
        ]


def _histograms(data: RunData, first: int, last: int) -> list[dict | None]:
    """Activations of the whole stream, by powers of two, from the first to the last bin that holds any."""
    texts = data.statistics.set_index("node_id")["histogram"]
    found = []
    for text in texts.loc[data.nodes["node"].iloc[first:last]]:
        counts = [int(word) for word in text.split(",")]
        held = [at for at, count in enumerate(counts) if count]
        if not held:
            found.append(None)
            continue
        bins = range(held[0], held[-1] + 1)
        edges = [2.0 ** (at + _FIRST_EXPONENT) for at in (*bins, held[-1] + 1)]
        found.append({"edges": edges, "counts": [counts[at] for at in bins]})
    return found
