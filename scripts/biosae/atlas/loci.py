"""Where the examples and the genes lie, for search by locus and by gene."""

from __future__ import annotations

import gzip
from pathlib import Path
from typing import NamedTuple

import numpy as np
import pandas as pd

from biosae.atlas.payload import Arrays, encode
from biosae.errors import InputError

WINDOWS_A_SHARD = 100_000
MOST_SHARDS = 100
_NOT_RECORDS = ("#", "track", "browser")


class LocusShard(NamedTuple):
    """Windows that follow each other: base64, how many, [chromosome number, start] of the first."""

    name: str
    text: str
    n: int
    first: list[int]


def locus_shards(atlas: str, chrom: np.ndarray, start: np.ndarray, row: np.ndarray) -> list[LocusShard]:
    """Windows by place, in shards of equal size.

    Args:
        atlas: id of the build.
        chrom, start, row: chromosome number, first base and row of the index of each window, (n,).
    """
    order = np.lexsort((row, start, chrom))
    size = max(WINDOWS_A_SHARD, -(-len(order) // MOST_SHARDS))
    shards = []
    for number, low in enumerate(range(0, len(order), size)):
        own, arrays, name = order[low : low + size], Arrays(), f"loci_{number:04}"
        content = {"atlas": atlas, "name": name, "n": len(own), "chrom": arrays.add(chrom[own], "u2")}
        content["start"] = arrays.add(start[own], "i4")
        content["row"] = arrays.add(row[own], "u2" if row.max() < 2**16 else "u4")
        first = [int(chrom[own[0]]), int(start[own[0]])]
        shards.append(LocusShard(name, encode(content, arrays), len(own), first))
    return shards


def read_genes(path: Path) -> pd.DataFrame:
    """chrom, start, end, name of a BED file, plain or gzip, by name, then place; repeated rows once.

    Raises:
        InputError: it cannot be read, or a record has no name or no place.
    """
    rows = []
    try:
        opener = gzip.open if path.suffix == ".gz" else open
        with opener(path, "rt", encoding="utf-8") as lines:
            for number, line in enumerate(lines, 1):
                if line.strip() and not line.startswith(_NOT_RECORDS):
                    rows.append(_gene(line, f"{path}:{number}"))
    except (OSError, EOFError, UnicodeDecodeError) as error:
        raise InputError("Cannot read the genes", got=error, where=path, mend="check atlas.genes") from error
    table = pd.DataFrame(rows, columns=["chrom", "start", "end", "name"]).drop_duplicates()
    return table.sort_values(["name", "chrom", "start", "end"], ignore_index=True)


def _gene(line: str, where: str) -> tuple[str, int, int, str]:
    fields = line.rstrip("\r\n").split("\t")
    numbers = all(text.isdecimal() for text in fields[1:3])
    if len(fields) < 4 or not fields[3] or not numbers or int(fields[1]) > int(fields[2]):
        raise InputError(
            "A record of the genes has no place or no name",
            got=line.strip()[:60],
            expected="BED: chromosome, start, end and name between tabs, start <= end",
            where=where,
        )
    return fields[0], int(fields[1]), int(fields[2]), fields[3]


def gene_shard(atlas: str, genes: pd.DataFrame, chroms: list[str]) -> str:
    """Base64 of the shard of genes; ``chroms`` are the names by number, of all genes too."""
    arrays, number = Arrays(), {name: at for at, name in enumerate(chroms)}
    content = {"atlas": atlas, "name": "genes", "genes": genes["name"].tolist()}
    content["chrom"] = arrays.add(genes["chrom"].map(number).to_numpy(np.int64), "u2")
    content["start"] = arrays.add(genes["start"].to_numpy(np.int64), "i4")
    content["end"] = arrays.add(genes["end"].to_numpy(np.int64), "i4")
    return encode(content, arrays)
