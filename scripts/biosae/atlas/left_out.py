"""What an atlas does not show, as counts and as sentences."""

from __future__ import annotations

from dataclasses import dataclass

from biosae.atlas.node_shards import Shards
from biosae.atlas.plan import Limits


@dataclass(frozen=True)
class LeftOut:
    """What did not fit.

    Args:
        limits: what was asked for.
        shard_nodes: nodes a shard.
        share: of each node's examples that is shown.
        files: of the run, that were too large to copy.
    """

    limits: Limits
    shard_nodes: int
    share: float
    files: list[str]

    def counts(self, shards: Shards) -> dict[str, int]:
        """How many of what, where there are any."""
        data, examples = shards.data, shards.examples
        found = {
            "nodes of the dictionary that were not kept": len(data.statistics) - len(data.nodes),
            "examples beyond the size of the folder": len(examples.band) - len(examples.kept),
            "files of the run too large to copy": len(self.files),
            **shards.rows.counts,
            **{f"examples: {what}": n for what, n in examples.dropped.items()},
        }
        return {what: n for what, n in found.items() if n}

    def notes(self, shards: Shards) -> list[str]:
        """Sentences of what a reader may miss."""
        data, size = shards.data, f"{self.limits.max_mb:g} MB (atlas.max_mb)"
        notes = []
        if data.nodes.empty:
            notes.append(
                "No node of this run passed the selection, so there is nothing to list: "
                "selected_nodes.tsv.json counts what each rule dropped, node_stats.tsv holds every node."
            )
        if shards.examples.reason is not None:
            notes.append(f"There are no examples: {shards.examples.reason}.")
        if self.share < 1:
            notes.append(
                f"Of the examples of each node {self.share:.0%} are shown: the folder keeps to {size}."
            )
        if self.shard_nodes != self.limits.shard_nodes:
            notes.append(
                f"A file of data holds {self.shard_nodes} nodes in place of {self.limits.shard_nodes} "
                "(atlas.shard_nodes), so that there are fewer than 1,000 files."
            )
        if self.files:
            notes.append(
                f"Not copied, since the folder keeps to {size}: {', '.join(self.files)}. They lie in the "
                "folder of the run."
            )
        return notes
