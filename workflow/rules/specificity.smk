# A node and its motif in the stream: how specific it is, and which node reads the motif's other strand.
#
# Reads:  a sample of the encoded store, the genome; {run}/checkpoint/, selected_nodes.tsv, seqlets/,
#         motifs.{tsv,meme}
# Writes: {run}/specificity.tsv


rule measure_specificity:
    input:
        store=store_of("encode"),
        weights=f"{RUN}/checkpoint/model.safetensors",
        config=f"{RUN}/checkpoint/config.json",
        selected=rules.select_nodes.output.selected,
        manifest=rules.write_seqlets.output.manifest,
        motifs=rules.collect_motifs.output.table,
        meme=rules.collect_motifs.output.meme,
        genome=CONFIG["genome"],
    output:
        specificity=f"{RUN}/specificity.tsv",
    log:
        f"{LOGS}/{{run}}/measure_specificity.log",
    benchmark:
        f"{BENCHMARKS}/{{run}}/measure_specificity.tsv"
    conda:
        "../../envs/sae.yaml"
    threads: 2
    resources:
        mem_mb=grow(8000),
        runtime=grow(120),
    params:
        run=subpath(output.specificity, parent=True),
        store=folder_of("store"),
        options=section("specificity") + section("motifs", "strand") + PAD,
        cache=KERNELS,
        program=f"{SCRIPTS}/measure_specificity.py",
        code=code("measure_specificity"),
    shell:
        "NUMBA_CACHE_DIR={params.cache:q} python {params.program:q} --run {params.run:q} "
        "--activations {params.store:q} --genome {input.genome:q} {params.options:q} --device cpu "
        "--threads {threads} --output {output.specificity:q} > {log:q} 2>&1"
