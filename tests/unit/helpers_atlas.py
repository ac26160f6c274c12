"""A made-up run, its atlas, and the atlas read back."""

from __future__ import annotations

import sys
from pathlib import Path

import build_atlas as program
from biosae.artefacts import read_table, write_table
from biosae.atlas.builder import Sources, build_atlas
from biosae.atlas.payload import decode
from biosae.atlas.plan import Limits

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "benchmarks"))

from atlas_synthetic import write_run
from atlas_synthetic_examples import write_examples

__all__ = ["Limits", "write_examples"]


def made_run(folder: Path, n_nodes: int = 12, examples: int = 20, seqlets: int = 8, seed: int = 0) -> Path:
    """The folder of a run of ``n_nodes``; database, genes and scoreboard lie two folders above it."""
    return write_run(folder, n_nodes, examples, (22, 4), seqlets, seed)


def sources_of(run: Path, **changes) -> Sources:
    """What an atlas of ``made_run`` is made from."""
    folder = run.parents[1]
    given = {"database": folder / "database.meme", "genes": folder / "genes.bed"}
    given |= {"scoreboard": folder / "scoreboard.tsv", "assembly": "hg38", "run": run}
    return Sources(**(given | changes))


def build(run: Path, **changes) -> Path:
    """Build the atlas of ``made_run``; returns its folder."""
    build_atlas(sources_of(run, **changes), run / "atlas")
    return run / "atlas"


def command_of(run: Path, output: Path) -> list[str]:
    """The command that builds the same atlas into ``output``."""
    folder = run.parents[1]
    given = ["--run", run, "--database", folder / "database.meme", "--genes", folder / "genes.bed"]
    given += ["--scoreboard", folder / "scoreboard.tsv", "--assembly", "hg38", "--output", output]
    return [str(word) for word in (sys.executable, program.__file__, *given)]


def read(atlas: Path, name: str) -> dict:
    """One payload."""
    return decode((atlas / "data" / f"{name}.js").read_text())


def index_of(atlas: Path) -> dict:
    """The index."""
    return read(atlas, "index")


def nodes_of(atlas: Path) -> list[dict]:
    """The nodes of all shards, in the order of the index."""
    return [node for name in index_of(atlas)["shards"] for node in read(atlas, name)["nodes"]]


def files_of(folder: Path) -> dict[str, bytes]:
    """Bytes of every file below a folder, by its path in it."""
    return {str(p.relative_to(folder)): p.read_bytes() for p in sorted(folder.rglob("*")) if p.is_file()}


def rewrite(path: Path, schema: str, **columns) -> None:
    """Change columns of a table."""
    write_table(read_table(path, schema).assign(**columns), path, schema)
