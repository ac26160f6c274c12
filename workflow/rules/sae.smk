# Statistics -> SAE (or a baseline) for each run; node statistics (encode.smk) -> kept nodes.
#
# Reads:  statistics.h5, the training and validation stores; node_stats.tsv
# Writes: {run}/checkpoint/, training_curve.tsv, evaluation.json, channel_fvu.tsv, selected_nodes.tsv
# GPU:    train_sae (train_together) uses one, or sae.gpus, where the job has one; other rules here never do


rule train_sae:
    input:
        train=store_of("train"),
        validation=store_of("validation"),
        statistics=statistics_of,
    output:
        weights=f"{RUN}/checkpoint/model.safetensors",
        config=f"{RUN}/checkpoint/config.json",
        curve=f"{RUN}/training_curve.tsv",
        evaluation=f"{RUN}/evaluation.json",
        channels=f"{RUN}/channel_fvu.tsv",
    log:
        f"{LOGS}/{{run}}/train_sae.log",
    benchmark:
        f"{BENCHMARKS}/{{run}}/train_sae.tsv"
    wildcard_constraints:
        run="|".join(map(re.escape, ALONE)) or "no-run",
    conda:
        "../../envs/sae.yaml"
    threads: 8
    resources:
        mem_mb=grow(16000),
        runtime=grow(1440),
        gpu=CONFIG["sae"]["gpus"],
        nodes=1,
    params:
        launcher=LAUNCHER,
        train=folder_of("train"),
        validation=folder_of("validation"),
        folder=subpath(output.curve, parent=True),
        options=training_options,
        cache=KERNELS,
        program=f"{SCRIPTS}/train_sae.py",
        code=code("train_sae"),
    shell:
        "NUMBA_CACHE_DIR={params.cache:q} {params.launcher:q} {params.program:q} --activations {params.train:q} "
        "--validation {params.validation:q} --statistics {input.statistics:q} {params.options:q} "
        "--threads {threads} --output {params.folder:q} > {log:q} 2>&1"


if TOGETHER:

    # all runs that are trained on the given store in one job, which reads it once
    use rule train_sae as train_together with:
        input:
            train=store(CONFIG["activations"]["train"]),
            validation=store(CONFIG["activations"]["validation"]),
            statistics=rules.compute_statistics.output.statistics,
        output:
            weights=per_run_together("checkpoint/model.safetensors"),
            config=per_run_together("checkpoint/config.json"),
            curve=per_run_together("training_curve.tsv"),
            evaluation=per_run_together("evaluation.json"),
            channels=per_run_together("channel_fvu.tsv"),
        log:
            f"{LOGS}/train_together.log",
        benchmark:
            f"{BENCHMARKS}/train_together.tsv"
        params:
            folder=together_folder,
            options=configuration.together_options(CONFIG) + PAD + configuration.layer_options(CONFIG),


rule build_baseline:
    input:
        train=store(CONFIG["activations"]["train"]),
        validation=store(CONFIG["activations"]["validation"]),
        statistics=rules.compute_statistics.output.statistics,
    output:
        weights=f"{RUN}/checkpoint/model.safetensors",
        config=f"{RUN}/checkpoint/config.json",
        curve=f"{RUN}/training_curve.tsv",
        evaluation=f"{RUN}/evaluation.json",
        channels=f"{RUN}/channel_fvu.tsv",
    log:
        f"{LOGS}/{{run}}/build_baseline.log",
    benchmark:
        f"{BENCHMARKS}/{{run}}/build_baseline.tsv"
    wildcard_constraints:
        run="|".join(map(re.escape, BUILT)) or "no-baseline",
    conda:
        "../../envs/sae.yaml"
    threads: 2
    resources:
        mem_mb=grow(16000),
        runtime=grow(480),
    params:
        train=folder_of("train"),
        validation=folder_of("validation"),
        folder=subpath(output.curve, parent=True),
        options=baseline_options,
        cache=KERNELS,
        program=f"{SCRIPTS}/build_baseline.py",
        code=code("build_baseline"),
    shell:
        "NUMBA_CACHE_DIR={params.cache:q} python {params.program:q} --activations {params.train:q} "
        "--validation {params.validation:q} --statistics {input.statistics:q} {params.options:q} "
        "--threads {threads} --output {params.folder:q} > {log:q} 2>&1"


rule select_nodes:
    input:
        stats=f"{RUN}/node_stats.tsv",
    output:
        selected=f"{RUN}/selected_nodes.tsv",
    log:
        f"{LOGS}/{{run}}/select_nodes.log",
    benchmark:
        f"{BENCHMARKS}/{{run}}/select_nodes.tsv"
    conda:
        "../../envs/analysis.yaml"
    threads: 1
    resources:
        mem_mb=grow(2000),
        runtime=grow(15),
    params:
        options=section("select"),
        program=f"{SCRIPTS}/select_nodes.py",
        code=code("select_nodes"),
    shell:
        "python {params.program:q} --node-stats {input.stats:q} {params.options:q} "
        "--output {output.selected:q} > {log:q} 2>&1"
