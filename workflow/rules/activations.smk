# Activations -> statistics of each channel; stores of permuted positions for the null that is trained on them.
#
# Reads:  every file of the training store (and of the random model's); sequences of each store
# Writes: {layer}/statistics.h5, random_model/statistics.h5, permuted/{split}/;
#         kernels/: compiled code of statistics, training and encoding


# No rule names this as an input: it is a cache, made first where it is missing. As an input, even an `ancient`
# one, it would hide from Snakemake that jobs behind it are stale themselves (update_needrun, 9.27).
rule compile_sae_kernels:
    output:
        stamp=f"{KERNELS}/sae.txt",
    log:
        f"{RESULTS}/logs/compile_sae_kernels.log",
    priority: 100
    conda:
        "../../envs/sae.yaml"
    threads: 1
    resources:
        mem_mb=grow(2000),
        runtime=grow(15),
    params:
        # no `code`: jobs of newer code do not use an older cache, they compile for themselves
        cache=subpath(output.stamp, parent=True),
        program=f"{SCRIPTS}/compile_kernels.py",
    shell:
        "NUMBA_CACHE_DIR={params.cache:q} python {params.program:q} --group sae --output {output.stamp:q} "
        "> {log:q} 2>&1"


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
    threads: 2
    resources:
        mem_mb=grow(4000),
        runtime=grow(240),
    params:
        folder=folder_of("store"),
        options=section("statistics") + PAD + configuration.layer_options(CONFIG),
        cache=KERNELS,
        program=f"{SCRIPTS}/compute_statistics.py",
        code=code("compute_statistics"),
    shell:
        "NUMBA_CACHE_DIR={params.cache:q} python {params.program:q} --activations {params.folder:q} "
        "{params.options:q} --threads {threads} --output {output.statistics:q} > {log:q} 2>&1"


if "random_model" in CONFIG["baselines"]:

    use rule compute_statistics as compute_statistics_of_random_model with:
        input:
            store=store(CONFIG["activations"]["random_model"]["train"]),
        output:
            statistics=f"{LAYER_DIR}/random_model/statistics.h5",
        log:
            f"{LOGS}/random_model/statistics.log",
        benchmark:
            f"{BENCHMARKS}/random_model/statistics.tsv"


rule permute_activations:
    input:
        store=given_store,
    output:
        data=f"{PERMUTED}/{{split}}/activations_0.h5",
        table=f"{PERMUTED}/{{split}}/intervals.tsv",
    log:
        f"{LOGS}/permuted/{{split}}.log",
    benchmark:
        f"{BENCHMARKS}/permuted/{{split}}.tsv"
    wildcard_constraints:
        split="train|validation|encode",
    conda:
        "../../envs/sae.yaml"
    threads: 1
    resources:
        mem_mb=grow(8000),
        runtime=grow(240),
    params:
        source=folder_of("store"),
        folder=subpath(output.table, parent=True),
        options=permuting_options,
        program=f"{SCRIPTS}/permute_activations.py",
        code=code("permute_activations"),
    shell:
        "python {params.program:q} --activations {params.source:q} {params.options:q} "
        "--output {params.folder:q} > {log:q} 2>&1"
