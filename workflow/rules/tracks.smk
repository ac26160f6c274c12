# Chosen nodes of a run along the genome.
#
# Reads:  {run}/nodes.tsv, checkpoint/, the encoded store, the genome
# Writes: {run}/tracks/: hub.txt, genomes.txt, {assembly}/trackDb.txt, {assembly}/{rank}_n{node}.bw, igv_session.xml,
#         tracks.tsv (last)
# GPU:    write_tracks uses one where the job has one


rule write_tracks:
    input:
        nodes=rules.summarise_nodes.output.nodes,
        store=store_of("encode"),
        weights=f"{RUN}/checkpoint/model.safetensors",
        config=f"{RUN}/checkpoint/config.json",
        genome=CONFIG["genome"],
    output:
        hub=f"{RUN}/tracks/hub.txt",
        session=f"{RUN}/tracks/igv_session.xml",
        table=f"{RUN}/tracks/tracks.tsv",
    log:
        f"{LOGS}/{{run}}/write_tracks.log",
    benchmark:
        f"{BENCHMARKS}/{{run}}/write_tracks.tsv"
    conda:
        "../../envs/tracks.yaml"
    threads: 8
    resources:
        mem_mb=grow(8000),
        runtime=grow(720),
        gpu=1,
        nodes=1,
    params:
        run=subpath(input.nodes, parent=True),
        store=folder_of("store"),
        folder=subpath(output.hub, parent=True),
        options=section("tracks") + PAD + DEVICE,
        cache=KERNELS,
        program=f"{SCRIPTS}/write_tracks.py",
        code=code("write_tracks"),
    shell:
        "NUMBA_CACHE_DIR={params.cache:q} python {params.program:q} --run {params.run:q} --activations {params.store:q} "
        "--genome {input.genome:q} {params.options:q} --threads {threads} --output {params.folder:q} > {log:q} 2>&1"
