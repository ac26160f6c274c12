# Activations -> statistics of each channel.
#
# Reads:  every file of the training store
# Writes: {layer}/statistics.h5; kernels/: compiled code of statistics, training and encoding


rule compile_sae_kernels:
    output:
        stamp=f"{KERNELS}/sae.txt",
    log:
        f"{RESULTS}/logs/compile_sae_kernels.log",
    conda:
        "../../envs/sae.yaml"
    threads: 1
    resources:
        mem_mb=2000,
        runtime=15,
    params:
        cache=subpath(output.stamp, parent=True),
        program=f"{SCRIPTS}/compile_kernels.py",
        code=code("compile_kernels"),
    shell:
        "NUMBA_CACHE_DIR={params.cache:q} python {params.program:q} --group sae --output {output.stamp:q} "
        "> {log:q} 2>&1"


rule compute_statistics:
    input:
        store=store(CONFIG["activations"]["train"]),
        # ancient: compiled again, the kernels give the same results
        kernels=ancient(rules.compile_sae_kernels.output.stamp),
    output:
        statistics=f"{LAYER_DIR}/statistics.h5",
    log:
        f"{LOGS}/statistics.log",
    benchmark:
        f"{BENCHMARKS}/statistics.tsv"
    conda:
        "../../envs/sae.yaml"
    threads: 2
    resources:
        mem_mb=4000,
        runtime=240,
    params:
        folder=folder_of("store"),
        options=section("statistics") + PAD + configuration.layer_options(CONFIG),
        cache=subpath(input.kernels, parent=True),
        program=f"{SCRIPTS}/compute_statistics.py",
        code=code("compute_statistics"),
    shell:
        "NUMBA_CACHE_DIR={params.cache:q} python {params.program:q} --activations {params.folder:q} "
        "{params.options:q} --threads {threads} --output {output.statistics:q} > {log:q} 2>&1"
