# Statistics -> SAE (or a baseline) -> top activations -> kept nodes, for each run.
#
# Reads:  statistics.h5, the training, validation and encoded stores
# Writes: {run}/checkpoint/, training_curve.tsv, evaluation.json,
#         top_activations.parquet, node_stats.tsv, selected_nodes.tsv
# GPU:    train_sae and encode_activations use one where the job has one; other rules never do


rule train_sae:
    input:
        train=store(CONFIG["activations"]["train"]),
        validation=store(CONFIG["activations"]["validation"]),
        statistics=rules.compute_statistics.output.statistics,
    output:
        weights=f"{RUN}/checkpoint/model.safetensors",
        config=f"{RUN}/checkpoint/config.json",
        curve=f"{RUN}/training_curve.tsv",
        evaluation=f"{RUN}/evaluation.json",
    log:
        f"{LOGS}/{{run}}/train_sae.log",
    benchmark:
        f"{BENCHMARKS}/{{run}}/train_sae.tsv"
    wildcard_constraints:
        run="|".join(map(re.escape, TRAINED)) or "no-trained-run",
    conda:
        "../../envs/sae.yaml"
    threads: 8
    resources:
        mem_mb=16000,
        runtime=1440,
        gpu=1,
    params:
        train=folder_of("train"),
        validation=folder_of("validation"),
        folder=subpath(output.curve, parent=True),
        options=training_options,
        program=f"{SCRIPTS}/train_sae.py",
        code=code("train_sae"),
    shell:
        "python {params.program:q} --activations {params.train:q} --validation {params.validation:q} "
        "--statistics {input.statistics:q} {params.options:q} --threads {threads} "
        "--output {params.folder:q} > {log:q} 2>&1"


rule build_baseline:
    input:
        validation=store(CONFIG["activations"]["validation"]),
        statistics=rules.compute_statistics.output.statistics,
    output:
        weights=f"{RUN}/checkpoint/model.safetensors",
        config=f"{RUN}/checkpoint/config.json",
        curve=f"{RUN}/training_curve.tsv",
        evaluation=f"{RUN}/evaluation.json",
    log:
        f"{LOGS}/{{run}}/build_baseline.log",
    benchmark:
        f"{BENCHMARKS}/{{run}}/build_baseline.tsv"
    wildcard_constraints:
        run="|".join(BASELINES) or "no-baseline",
    conda:
        "../../envs/sae.yaml"
    threads: 2
    resources:
        mem_mb=8000,
        runtime=120,
    params:
        validation=folder_of("validation"),
        folder=subpath(output.curve, parent=True),
        options=baseline_options,
        program=f"{SCRIPTS}/build_baseline.py",
        code=code("build_baseline"),
    shell:
        "python {params.program:q} --validation {params.validation:q} "
        "--statistics {input.statistics:q} {params.options:q} --threads {threads} "
        "--output {params.folder:q} > {log:q} 2>&1"


rule encode_activations:
    input:
        store=store(ENCODED),
        weights=f"{RUN}/checkpoint/model.safetensors",
        config=f"{RUN}/checkpoint/config.json",
    output:
        top=f"{RUN}/top_activations.parquet",
        stats=f"{RUN}/node_stats.tsv",
    log:
        f"{LOGS}/{{run}}/encode_activations.log",
    benchmark:
        f"{BENCHMARKS}/{{run}}/encode_activations.tsv"
    conda:
        "../../envs/sae.yaml"
    threads: 8
    resources:
        mem_mb=16000,
        runtime=720,
        gpu=1,
    params:
        store=folder_of("store"),
        checkpoint=subpath(input.weights, parent=True),
        folder=subpath(output.top, parent=True),
        options=section("encode") + PAD + DEVICE,
        program=f"{SCRIPTS}/encode_activations.py",
        code=code("encode_activations"),
    shell:
        "python {params.program:q} --checkpoint {params.checkpoint:q} --activations {params.store:q} "
        "{params.options:q} --threads {threads} --output {params.folder:q} > {log:q} 2>&1"


rule select_nodes:
    input:
        stats=rules.encode_activations.output.stats,
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
        mem_mb=2000,
        runtime=15,
    params:
        options=section("select"),
        program=f"{SCRIPTS}/select_nodes.py",
        code=code("select_nodes"),
    shell:
        "python {params.program:q} --node-stats {input.stats:q} {params.options:q} "
        "--output {output.selected:q} > {log:q} 2>&1"
