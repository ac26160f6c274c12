# Activations -> statistics of each channel.
#
# Reads:  every file of the training store
# Writes: {layer}/statistics.h5


rule compute_statistics:
    input:
        store=store(CONFIG["activations"]["train"]),
    output:
        statistics=f"{LAYER_DIR}/statistics.h5",
    log:
        f"{LOGS}/statistics.log",
    benchmark:
        f"{BENCHMARKS}/statistics.tsv"
    conda:
        "../../envs/sae.yaml"
    threads: 1
    resources:
        mem_mb=4000,
        runtime=240,
    params:
        folder=folder_of("store"),
        options=section("statistics") + PAD + configuration.layer_options(CONFIG),
        program=f"{SCRIPTS}/compute_statistics.py",
        code=code("compute_statistics"),
    shell:
        "python {params.program:q} --activations {params.folder:q} {params.options:q} "
        "--output {output.statistics:q} > {log:q} 2>&1"
