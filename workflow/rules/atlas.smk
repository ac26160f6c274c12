# Tables -> one row a node, one row a run, one page a run.
#
# Reads:  every table of a run
# Writes: {run}/nodes.tsv, atlas/index.html; scoreboard.{tsv,svg,png}, summary.{tsv,html}


rule summarise_nodes:
    input:
        selected=rules.select_nodes.output.selected,
        manifest=rules.write_seqlets.output.manifest,
        motifs=rules.collect_motifs.output.table,
        matches=rules.calibrate_nulls.output.matches,
        calibration=rules.calibrate_nulls.output.calibration,
        clusters=rules.cluster_motifs.output.table,
        repeats=rules.measure_repeats.output.repeats,
        specificity=f"{RUN}/specificity.tsv",
        stability=stability_of,
        coactivation=coactivation_of,
        ablation=ablation_of,
    output:
        nodes=f"{RUN}/nodes.tsv",
    log:
        f"{LOGS}/{{run}}/summarise_nodes.log",
    benchmark:
        f"{BENCHMARKS}/{{run}}/summarise_nodes.tsv"
    conda:
        "../../envs/atlas.yaml"
    threads: 1
    resources:
        mem_mb=grow(2000),
        runtime=grow(15),
    params:
        run=subpath(output.nodes, parent=True),
        options=section("motifs", "significance"),
        stability=stability_option,
        coactivation=coactivation_option,
        ablation=ablation_option,
        program=f"{SCRIPTS}/summarise_nodes.py",
        code=code("summarise_nodes"),
    shell:
        "python {params.program:q} --run {params.run:q} {params.options:q} {params.stability:q} "
        "{params.coactivation:q} {params.ablation:q} --output {output.nodes:q} > {log:q} 2>&1"


rule build_page:
    input:
        nodes=rules.summarise_nodes.output.nodes,
        motifs=rules.collect_motifs.output.meme,
        matches=rules.calibrate_nulls.output.matches,
        evaluation=f"{RUN}/evaluation.json",
        checkpoint=f"{RUN}/checkpoint/config.json",
        training=f"{RUN}/training_curve.tsv",
        umap=rules.embed_nodes.output.umap,
        overlaps=rules.overlap_annotations.output.overlaps,
        jaccard=rules.compute_jaccard.output.jaccard,
        curve=rules.plot_training.output.figures,
        recovery=[f"{RUN}/recovery.json"] if CONFIG["synthetic"] else [],
    output:
        page=f"{RUN}/atlas/index.html",
    log:
        f"{LOGS}/{{run}}/build_page.log",
    benchmark:
        f"{BENCHMARKS}/{{run}}/build_page.tsv"
    conda:
        "../../envs/atlas.yaml"
    threads: 1
    resources:
        mem_mb=grow(4000),
        runtime=grow(30),
    params:
        run=subpath(input.nodes, parent=True),
        program=f"{SCRIPTS}/build_page.py",
        code=code("build_page"),
    shell:
        "python {params.program:q} --run {params.run:q} --output {output.page:q} > {log:q} 2>&1"


rule score_runs:
    input:
        manifests=per_run("seqlets/manifest.tsv"),
        motifs=per_run("motifs.tsv"),
        held_out=per_run("held_out.tsv.gz"),
        matches=per_run("matches.tsv"),
        clusters=per_run("motif_clusters.tsv"),
        nulls=per_run(
            *(
                f"nulls/{kind}/{name}.tsv"
                for kind in CONFIG["nulls"]["kinds"]
                for name in ("status", "motifs")
            )
        ),
        recovery=per_run("recovery.json", "recovery_loci.tsv") if CONFIG["synthetic"] else [],
    output:
        scoreboard=f"{RESULTS}/scoreboard.tsv",
    log:
        f"{LOGS}/score_runs.log",
    benchmark:
        f"{BENCHMARKS}/score_runs.tsv"
    conda:
        "../../envs/motifs.yaml"
    threads: 1
    resources:
        mem_mb=grow(8000),
        runtime=grow(240),
    params:
        runs=per_run("")[: len(RUNS)],
        compare=COMPARISONS,
        kinds=["--kinds", *CONFIG["nulls"]["kinds"]],
        options=section("scoreboard") + section("motifs", "significance"),
        cache=KERNELS,
        program=f"{SCRIPTS}/score_runs.py",
        code=code("score_runs"),
    shell:
        "NUMBA_CACHE_DIR={params.cache:q} python {params.program:q} --runs {params.runs:q} {params.compare:q} "
        "{params.kinds:q} {params.options:q} "
        "--output {output.scoreboard:q} > {log:q} 2>&1"


rule summarise_runs:
    input:
        nodes=per_run("nodes.tsv"),
        nulls=per_run("null_counts.tsv"),
        evaluations=per_run("evaluation.json"),
        checkpoints=per_run("checkpoint/config.json"),
        recovery=per_run("recovery.json") if CONFIG["synthetic"] else [],
        stability=[f"{LAYER_DIR}/{run}/stability.tsv" for run in SEEDED],
        scoreboard=rules.score_runs.output.scoreboard,
    output:
        summary=f"{RESULTS}/summary.tsv",
        page=f"{RESULTS}/summary.html",
        figures=multiext(f"{RESULTS}/scoreboard", ".svg", ".png"),
    log:
        f"{LOGS}/summarise_runs.log",
    benchmark:
        f"{BENCHMARKS}/summarise_runs.tsv"
    conda:
        "../../envs/atlas.yaml"
    threads: 1
    resources:
        mem_mb=grow(2000),
        runtime=grow(15),
    params:
        runs=per_run("")[: len(RUNS)],
        stability=stability_option,
        folder=subpath(output.summary, parent=True),
        program=f"{SCRIPTS}/summarise_runs.py",
        code=code("summarise_runs"),
    shell:
        "python {params.program:q} --runs {params.runs:q} {params.stability:q} --scoreboard {input.scoreboard:q} "
        "--output {params.folder:q} > {log:q} 2>&1"
