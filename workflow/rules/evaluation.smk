# How good a run is: its curve, its quality by channel and node, and whether other runs find its nodes.
#
# Reads:  training_curve.tsv, evaluation.json, channel_fvu.tsv; checkpoint/ and node_stats.tsv of the
#         runs that differ in the seed alone; statistics.h5; top_activations.parquet and seqlets/ of these
#         runs and of those that stability.other_runs names
# Writes: {run}/figures/{training_curve,quality}.{svg,png}; with several seeds stability.tsv, stability_pairs.tsv;
#         with any run to compare with coactivation.tsv


rule compare_seeds:
    input:
        weights=f"{RUN}/checkpoint/model.safetensors",
        config=f"{RUN}/checkpoint/config.json",
        stats=f"{RUN}/node_stats.tsv",
        sibling_weights=of_siblings("checkpoint/model.safetensors"),
        sibling_configs=of_siblings("checkpoint/config.json"),
        sibling_stats=of_siblings("node_stats.tsv"),
        statistics=rules.compute_statistics.output.statistics,
    output:
        nodes=f"{RUN}/stability.tsv",
        pairs=f"{RUN}/stability_pairs.tsv",
    log:
        f"{LOGS}/{{run}}/compare_seeds.log",
    benchmark:
        f"{BENCHMARKS}/{{run}}/compare_seeds.tsv"
    wildcard_constraints:
        run="|".join(map(re.escape, SEEDED)) or "no-run-has-siblings",
    conda:
        "../../envs/sae.yaml"
    threads: 2
    resources:
        mem_mb=grow(8000),
        runtime=grow(120),
    params:
        run=subpath(output.nodes, parent=True),
        siblings=lambda wildcards: [f"{LAYER_DIR}/{run}" for run in SIBLINGS[wildcards.run]],
        options=section("stability", "found_again_cosine", "max_dense_nodes", "seed"),
        program=f"{SCRIPTS}/compare_seeds.py",
        code=code("compare_seeds"),
    shell:
        "python {params.program:q} --run {params.run:q} --siblings {params.siblings:q} "
        "--statistics {input.statistics:q} {params.options:q} --output {params.run:q} > {log:q} 2>&1"


rule compare_layers:
    input:
        top=f"{RUN}/top_activations.parquet",
        manifest=f"{RUN}/seqlets/manifest.tsv",
        bed=f"{RUN}/seqlets/seqlets.bed.gz",
        others=of_compared,
    output:
        coactivation=f"{RUN}/coactivation.tsv",
    log:
        f"{LOGS}/{{run}}/compare_layers.log",
    benchmark:
        f"{BENCHMARKS}/{{run}}/compare_layers.tsv"
    wildcard_constraints:
        run="|".join(map(re.escape, COMPARED)) or "no-run-to-compare-with",
    conda:
        "../../envs/analysis.yaml"
    threads: 1
    resources:
        mem_mb=grow(8000),
        runtime=grow(120),
    params:
        run=subpath(output.coactivation, parent=True),
        others=lambda wildcards: compared_with(wildcards.run),
        options=section("stability", "permutations", "max_dense_nodes", "seed"),
        program=f"{SCRIPTS}/compare_layers.py",
        code=code("compare_layers"),
    shell:
        "python {params.program:q} --run {params.run:q} --others {params.others:q} {params.options:q} "
        "--output {output.coactivation:q} > {log:q} 2>&1"


rule plot_training:
    input:
        curve=f"{RUN}/training_curve.tsv",
    output:
        figures=[
            report(
                f"{RUN}/figures/training_curve.svg",
                caption="../report/training_curve.rst",
                category="Figures",
                subcategory="{run}",
                labels={"figure": "training curve"},
            ),
            f"{RUN}/figures/training_curve.png",
        ],
    log:
        f"{LOGS}/{{run}}/plot_training.log",
    benchmark:
        f"{BENCHMARKS}/{{run}}/plot_training.tsv"
    conda:
        "../../envs/atlas.yaml"
    threads: 1
    resources:
        mem_mb=grow(2000),
        runtime=grow(15),
    params:
        run=subpath(input.curve, parent=True),
        folder=f"{RUN}/figures",
        program=f"{SCRIPTS}/plot_training.py",
        code=code("plot_training"),
    shell:
        "python {params.program:q} --run {params.run:q} --output {params.folder:q} > {log:q} 2>&1"


rule plot_quality:
    input:
        evaluation=f"{RUN}/evaluation.json",
        channels=f"{RUN}/channel_fvu.tsv",
        stability=stability_of,
    output:
        figures=[
            report(
                f"{RUN}/figures/quality.svg",
                caption="../report/quality.rst",
                category="Figures",
                subcategory="{run}",
                labels={"figure": "quality"},
            ),
            f"{RUN}/figures/quality.png",
        ],
    log:
        f"{LOGS}/{{run}}/plot_quality.log",
    benchmark:
        f"{BENCHMARKS}/{{run}}/plot_quality.tsv"
    conda:
        "../../envs/atlas.yaml"
    threads: 1
    resources:
        mem_mb=grow(2000),
        runtime=grow(15),
    params:
        run=subpath(input.evaluation, parent=True),
        folder=f"{RUN}/figures",
        stability=stability_option,
        program=f"{SCRIPTS}/plot_quality.py",
        code=code("plot_quality"),
    shell:
        "python {params.program:q} --run {params.run:q} {params.stability:q} "
        "--output {params.folder:q} > {log:q} 2>&1"
