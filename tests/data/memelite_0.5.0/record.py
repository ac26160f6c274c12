"""Record what memelite's TomTom says of three motifs against the database of the tests: `python record.py`.

It compiles itself for a minute, so tests hold our comparison against this record; memelite's version is the
folder's name.
"""

import sys
from importlib.metadata import version
from pathlib import Path

import pandas as pd
from memelite import tomtom

HERE = Path(__file__).resolve().parent
N_QUERIES = 3
MEME_SUITE = HERE.parent / "meme_suite_5.5.8"


def main() -> None:
    sys.path.insert(0, str(HERE.parents[2] / "scripts"))
    from biosae.motifs.comparison import with_pseudocount
    from biosae.motifs.formats import read_meme

    if HERE.name != f"memelite_{version('memelite')}":
        raise SystemExit(f"{HERE.name} is the record of another version than {version('memelite')}")
    queries = read_meme(MEME_SUITE / "queries_100.meme")[:N_QUERIES]
    targets = read_meme(MEME_SUITE / "database_30.meme")
    groups = [[with_pseudocount(motif).T.copy() for motif in group] for group in (queries, targets)]
    p, _, offset, overlap, _ = tomtom(*groups, n_target_bins=None, n_jobs=1)
    rows = pd.DataFrame(
        {
            "query": [query.id for query in queries for _ in targets],
            "target": [target.id for _ in queries for target in targets],
            "p_value": p.ravel(),
            "offset": offset.ravel().astype(int),
            "overlap": overlap.ravel().astype(int),
        }
    )
    rows.to_csv(HERE / "tomtom.tsv", sep="\t", index=False)


if __name__ == "__main__":
    main()
