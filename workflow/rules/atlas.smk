# Tables -> one row a node, one row a run, one atlas a run.
#
# Reads:  every table of a run
# Writes: {run}/nodes.tsv, atlas/ (a folder that opens at index.html); scoreboard.{tsv,svg,png}, summary.{tsv,html}


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
    output:
        nodes=report(
            f"{RUN}/nodes.tsv",
            caption="../report/nodes.rst",
            category="Tables",
            subcategory="{run}",
            labels={"table": "nodes"},
        ),
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
        program=f"{SCRIPTS}/summarise_nodes.py",
        code=code("summarise_nodes"),
    shell:
        "python {params.program:q} --run {params.run:q} {params.options:q} {params.stability:q} "
        "{params.coactivation:q} --output {output.nodes:q} > {log:q} 2>&1"


rule build_atlas:
    input:
        nodes=rules.summarise_nodes.output.nodes,
        selected=rules.select_nodes.output.selected,
        statistics=f"{RUN}/node_stats.tsv",
        manifest=rules.write_seqlets.output.manifest,
        bed=rules.write_seqlets.output.bed,
        background=rules.write_seqlets.output.background,
        motifs=rules.collect_motifs.output.table,
        meme=rules.collect_motifs.output.meme,
        matches=rules.calibrate_nulls.output.matches,
        nulls=rules.calibrate_nulls.output.counts,
        database=CONFIG["matching"]["database"],
        examples=rules.collect_examples.output.examples,
        umap=rules.embed_nodes.output.umap,
        overlaps=rules.overlap_annotations.output.overlaps,
        jaccard=rules.compute_jaccard.output.jaccard,
        repeats=rules.measure_repeats.output.repeats,
        specificity=f"{RUN}/specificity.tsv",
        stability=stability_of,
        coactivation=coactivation_of,
        weights=f"{RUN}/checkpoint/model.safetensors",
        checkpoint=f"{RUN}/checkpoint/config.json",
        training=f"{RUN}/training_curve.tsv",
        evaluation=f"{RUN}/evaluation.json",
        recovery=[f"{RUN}/recovery.json"] if CONFIG["synthetic"] else [],
        scoreboard=scoreboard_of,
        genes=CONFIG["atlas"]["genes"] or [],
    output:
        atlas=report(
            directory(f"{RUN}/atlas"),
            caption="../report/atlas.rst",
            category="Atlas",
            labels={"run": "{run}"},
            htmlindex="index.html",
        ),
        page=f"{RUN}/atlas/index.html",  # of the same rule, so that it can be asked for by name
    log:
        f"{LOGS}/{{run}}/build_atlas.log",
    benchmark:
        f"{BENCHMARKS}/{{run}}/build_atlas.tsv"
    conda:
        "../../envs/atlas.yaml"
    threads: 1
    resources:
        mem_mb=grow(8000),
        runtime=grow(60),
    params:
        run=subpath(input.nodes, parent=True),
        options=section("atlas", "assembly", "genes", "shard_nodes", "max_mb"),
        scoreboard=scoreboard_option,
        program=f"{SCRIPTS}/build_atlas.py",
        code=code("build_atlas"),
    shell:
        "python {params.program:q} --run {params.run:q} --database {input.database:q} {params.options:q} "
        "{params.scoreboard:q} --output {output.atlas:q} > {log:q} 2>&1"


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
        scoreboard=report(
            f"{RESULTS}/scoreboard.tsv",
            caption="../report/scoreboard.rst",
            category="All runs",
            labels={"what": "scoreboard", "form": "table"},
        ),
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
        summary=report(
            f"{RESULTS}/summary.tsv",
            caption="../report/summary.rst",
            category="All runs",
            labels={"what": "runs", "form": "table"},
        ),
        page=report(
            f"{RESULTS}/summary.html",
            caption="../report/summary.rst",
            category="All runs",
            labels={"what": "runs and scoreboard", "form": "page"},
        ),
        figure=report(
            f"{RESULTS}/scoreboard.svg",
            caption="../report/scoreboard.rst",
            category="All runs",
            labels={"what": "scoreboard", "form": "picture"},
        ),
        bitmap=f"{RESULTS}/scoreboard.png",
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
