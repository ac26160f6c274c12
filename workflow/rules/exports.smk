# A finished run -> the same in other programs' formats.
#
# Reads:  the tables of a run, its checkpoint and its seqlets; the genome, for the lengths of its chromosomes
# Writes: {run}/exports/: motifs.h5 (modisco), nodes.parquet, nodes.h5ad, *_mqc.tsv (MultiQC), exports.tsv (last);
#         and seqlets.bb (bigBed) where the run has seqlets, which is why no rule promises it


rule export_run:
    input:
        nodes=rules.summarise_nodes.output.nodes,
        umap=rules.embed_nodes.output.umap,
        manifest=rules.write_seqlets.output.manifest,
        bed=rules.write_seqlets.output.bed,
        background=rules.write_seqlets.output.background,
        motifs=rules.collect_motifs.output.table,
        meme=rules.collect_motifs.output.meme,
        nulls=rules.calibrate_nulls.output.counts,
        weights=f"{RUN}/checkpoint/model.safetensors",
        checkpoint=f"{RUN}/checkpoint/config.json",
        training=f"{RUN}/training_curve.tsv",
        evaluation=f"{RUN}/evaluation.json",
        genome=CONFIG["genome"],
    output:
        exports=[f"{RUN}/exports/{name}" for name in EXPORTS],
    log:
        f"{LOGS}/{{run}}/export_run.log",
    benchmark:
        f"{BENCHMARKS}/{{run}}/export_run.tsv"
    conda:
        "../../envs/exports.yaml"
    threads: 1
    resources:
        mem_mb=grow(8000),
        runtime=grow(60),
    params:
        run=subpath(input.nodes, parent=True),
        folder=f"{RUN}/exports",
        options=section("exports")
        + section("motifs", "strand")
        + section("specificity", "hit_p", "site_share"),
        cache=KERNELS,
        program=f"{SCRIPTS}/export_run.py",
        code=code("export_run"),
    shell:
        "NUMBA_CACHE_DIR={params.cache:q} python {params.program:q} --run {params.run:q} --genome {input.genome:q} "
        "{params.options:q} --output {params.folder:q} > {log:q} 2>&1"
