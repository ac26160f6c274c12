# Top activations of kept nodes -> one FASTA file a node, one BED, one matched background.
#
# Reads:  top_activations.parquet, selected_nodes.tsv, the genome
# Writes: {run}/seqlets/manifest.tsv (last, one row a node), seqlets.bed.gz, background.fa and,
#         listed in the manifest, {rank}_n{node}.fa for each kept node


rule write_seqlets:
    input:
        top=f"{RUN}/top_activations.parquet",
        selected=rules.select_nodes.output.selected,
        genome=CONFIG["genome"],
    output:
        manifest=f"{RUN}/seqlets/manifest.tsv",
        bed=f"{RUN}/seqlets/seqlets.bed.gz",
        background=f"{RUN}/seqlets/background.fa",
    log:
        f"{LOGS}/{{run}}/write_seqlets.log",
    benchmark:
        f"{BENCHMARKS}/{{run}}/write_seqlets.tsv"
    conda:
        "../../envs/analysis.yaml"
    threads: 1
    resources:
        mem_mb=grow(8000),
        runtime=grow(60),
    params:
        run=subpath(input.selected, parent=True),
        folder=subpath(output.manifest, parent=True),
        options=section("seqlets"),
        program=f"{SCRIPTS}/write_seqlets.py",
        code=code("write_seqlets"),
    shell:
        "python {params.program:q} --run {params.run:q} --genome {input.genome:q} {params.options:q} "
        "--output {params.folder:q} > {log:q} 2>&1"


# A node's FASTA file is written by write_seqlets beside the manifest; asked for by name, it is
# checked to be there. `update` keeps it in place.
rule find_seqlets:
    input:
        manifest=rules.write_seqlets.output.manifest,
    output:
        fasta=update(f"{RUN}/seqlets/{{rank}}_n{{node}}.fa"),
    log:
        f"{LOGS}/{{run}}/seqlets/{{rank}}_n{{node}}.log",
    conda:
        "../../envs/analysis.yaml"
    threads: 1
    resources:
        mem_mb=grow(500),
        runtime=grow(5),
    shell:
        "if [ -e {output.fasta:q} ]; then touch {output.fasta:q}; else "
        'echo "node {wildcards.node} with rank {wildcards.rank} is not a kept node of this run: see" '
        "{input.manifest:q} | tee {log:q} >&2; exit 1; fi"
