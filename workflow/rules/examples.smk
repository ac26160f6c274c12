# A finished run and the store -> the windows that the atlas shows of each kept node.
#
# Reads:  the encoded store (a sample, and the rows below the windows), the genome; {run}/checkpoint/,
#         top_activations.parquet, selected_nodes.tsv, seqlets/, motifs.{tsv,meme}, specificity.tsv
# Writes: {run}/examples.h5
# GPU:    uses one where the job has one


rule collect_examples:
    input:
        store=store_of("encode"),
        weights=f"{RUN}/checkpoint/model.safetensors",
        config=f"{RUN}/checkpoint/config.json",
        top=f"{RUN}/top_activations.parquet",
        selected=rules.select_nodes.output.selected,
        manifest=rules.write_seqlets.output.manifest,
        bed=rules.write_seqlets.output.bed,
        motifs=rules.collect_motifs.output.table,
        meme=rules.collect_motifs.output.meme,
        specificity=rules.measure_specificity.output.specificity,
        genome=CONFIG["genome"],
    output:
        examples=f"{RUN}/examples.h5",
    log:
        f"{LOGS}/{{run}}/collect_examples.log",
    benchmark:
        f"{BENCHMARKS}/{{run}}/collect_examples.tsv"
    conda:
        "../../envs/sae.yaml"
    threads: 8
    resources:
        mem_mb=grow(8000),
        runtime=grow(240),
        gpu=1,
        nodes=1,
    params:
        run=subpath(output.examples, parent=True),
        store=folder_of("store"),
        options=section("atlas", "top_examples", "band_examples")
        + section("specificity", "sample_positions", "hit_p", "site_share")
        + section("motifs", "strand")
        + PAD
        + DEVICE,
        cache=KERNELS,
        program=f"{SCRIPTS}/collect_examples.py",
        code=code("collect_examples"),
    shell:
        "NUMBA_CACHE_DIR={params.cache:q} python {params.program:q} --run {params.run:q} "
        "--activations {params.store:q} --genome {input.genome:q} {params.options:q} --threads {threads} "
        "--output {output.examples:q} > {log:q} 2>&1"
