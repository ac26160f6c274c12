"""Cut the seqlets of the selected nodes, their BED table and a matched background."""

from __future__ import annotations

from pathlib import Path

from biosae import cli

DESCRIPTION = """Windows of the selected nodes' top activations -> FASTA files, one BED, a matched background.

Reads RUN/top_activations.parquet and RUN/selected_nodes.tsv. Writes into the output folder
{rank}_n{node}.fa per node, seqlets.bed.gz, background.fa and, last, manifest.tsv with the counts
of what was kept and dropped. Coordinates are 0-based, half-open; the case of the genome is kept.
"""


def main() -> None:
    """Parse, cut, draw the background, write."""
    parser = cli.program(DESCRIPTION)
    add = parser.add_argument
    add("--run", type=cli.existing_path, required=True, help="folder of the run")
    add("--genome", type=cli.existing_path, required=True, help="genome FASTA, plain or bgzip")
    add("--output", type=Path, help="folder to write into (left out: RUN/seqlets)")
    add("--per-node", type=int, default=1000, help="seqlets a node at most, strongest first")
    add("--window-bp", type=int, help="width in bp, centred (left out: the layer's receptive field)")
    add("--background-windows", type=int, default=20000, help="number of background windows")
    cli.add_seed(parser)
    arguments = parser.parse_args()

    from biosae import artefacts, backgrounds, genome, seqlets, top_activations
    from biosae.geometry import Layer

    inputs = [arguments.run / "top_activations.parquet", arguments.run / "selected_nodes.tsv"]
    top, metadata = top_activations.read_top_activations(inputs[0], columns=seqlets.TOP_COLUMNS)
    selected = artefacts.read_table(inputs[1], "selected_nodes")
    fasta = genome.Genome(arguments.genome)
    intervals = genome.interval_table(metadata["intervals"], fasta)
    settings = {name: getattr(arguments, name) for name in ("per_node", "window_bp", "background_windows")}
    made_by = artefacts.provenance("write_seqlets", settings, [*inputs, fasta.path], arguments.seed)
    kept = seqlets.collect_seqlets(
        top,
        selected,
        Layer.from_dict(metadata["layer"]),
        fasta,
        per_node=arguments.per_node,
        window_bp=arguments.window_bp,
    )
    background = backgrounds.draw_background(
        kept.letters, intervals, fasta, arguments.background_windows, arguments.seed
    )
    folder = arguments.output or arguments.run / "seqlets"
    seqlets.clear_folder(folder)
    backgrounds.write_background(background, folder, made_by)
    seqlets.write_seqlets(kept, folder, made_by)


if __name__ == "__main__":
    cli.run(main)
