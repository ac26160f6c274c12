# Null sets -> their motifs -> their matches -> null-calibrated p and q of the run.
#
# Reads:  {run}/seqlets/, top_activations.parquet (its intervals), the genome, the motif database,
#         {run}/motifs.tsv and motifs/matches.tsv
# Writes: {run}/nulls/{kind}/{status,motifs,matches}.tsv, motifs.meme;
#         {run}/matches.tsv, calibration.tsv, null_counts.tsv, null_targets.tsv
# The sequences of the sets are temporary: they follow from the config's seed.


rule write_null_sets:
    input:
        manifest=rules.write_seqlets.output.manifest,
        background=rules.write_seqlets.output.background,
        top=f"{RUN}/top_activations.parquet",
        genome=CONFIG["genome"],
    output:
        sets=temp(directory(f"{RUN}/nulls/{{null}}/sets")),
    log:
        f"{LOGS}/{{run}}/nulls/{{null}}_sets.log",
    benchmark:
        f"{BENCHMARKS}/{{run}}/nulls/{{null}}_sets.tsv"
    conda:
        "../../envs/motifs.yaml"
    threads: 1
    resources:
        mem_mb=grow(4000),
        runtime=grow(60),
    params:
        run=subpath(input.top, parent=True),
        options=section("nulls", "sets", "pool_windows", "filter_bp", "seed"),
        cache=KERNELS,
        program=f"{SCRIPTS}/write_null_sets.py",
        code=code("write_null_sets"),
    shell:
        "NUMBA_CACHE_DIR={params.cache:q} python {params.program:q} --run {params.run:q} "
        "--genome {input.genome:q} --kind {wildcards.null} {params.options:q} --output {output.sets:q} > {log:q} 2>&1"


rule discover_null_motifs:
    input:
        sets=rules.write_null_sets.output.sets,
        background=rules.write_seqlets.output.background,
    output:
        motifs=f"{RUN}/nulls/{{null}}/motifs.tsv",
        meme=f"{RUN}/nulls/{{null}}/motifs.meme",
        status=f"{RUN}/nulls/{{null}}/status.tsv",
    log:
        f"{LOGS}/{{run}}/nulls/{{null}}_motifs.log",
    benchmark:
        f"{BENCHMARKS}/{{run}}/nulls/{{null}}_motifs.tsv"
    conda:
        "../../envs/motifs.yaml"
    # the batched engine needs minutes of one core, MEME hours
    threads: 1 if CONFIG["motifs"]["engine"] == "batched" else 4
    resources:
        mem_mb=grow(4000),
        runtime=grow(1440),
    params:
        folder=subpath(output.motifs, parent=True),
        options=MOTIF_OPTIONS + section("motifs", "significance"),
        cache=KERNELS,
        program=f"{SCRIPTS}/discover_motifs.py",
        code=code("discover_motifs"),
    shell:
        "NUMBA_CACHE_DIR={params.cache:q} python {params.program:q} --fasta {input.sets:q} "
        "--background {input.background:q} {params.options:q} --threads {threads} --tables-only "
        "--output {params.folder:q} > {log:q} 2>&1"


rule match_null_motifs:
    input:
        motifs=rules.discover_null_motifs.output.meme,
        database=CONFIG["matching"]["database"],
    output:
        matches=f"{RUN}/nulls/{{null}}/matches.tsv",
    log:
        f"{LOGS}/{{run}}/nulls/{{null}}_matches.log",
    benchmark:
        f"{BENCHMARKS}/{{run}}/nulls/{{null}}_matches.tsv"
    conda:
        "../../envs/motifs.yaml"
    threads: 1
    resources:
        mem_mb=grow(4000),
        runtime=grow(120),
    params:
        options=MATCH_OPTIONS,
        cache=KERNELS,
        program=f"{SCRIPTS}/match_motifs.py",
        code=code("match_motifs"),
    shell:
        "NUMBA_CACHE_DIR={params.cache:q} python {params.program:q} --motifs {input.motifs:q} "
        "--database {input.database:q} {params.options:q} --threads {threads} --output {output.matches:q} > {log:q} 2>&1"


rule calibrate_nulls:
    input:
        manifest=rules.write_seqlets.output.manifest,
        motifs=rules.collect_motifs.output.table,
        matches=rules.match_motifs.output.matches,
        nulls=expand(
            f"{RUN}/nulls/{{null}}/{{table}}.tsv",
            null=CONFIG["nulls"]["kinds"],
            table=["status", "motifs", "matches"],
            allow_missing=True,
        ),
    output:
        matches=f"{RUN}/matches.tsv",
        calibration=f"{RUN}/calibration.tsv",
        counts=f"{RUN}/null_counts.tsv",
        targets=f"{RUN}/null_targets.tsv",
    log:
        f"{LOGS}/{{run}}/calibrate_nulls.log",
    benchmark:
        f"{BENCHMARKS}/{{run}}/calibrate_nulls.tsv"
    conda:
        "../../envs/motifs.yaml"
    threads: 1
    resources:
        mem_mb=grow(4000),
        runtime=grow(30),
    params:
        run=subpath(output.matches, parent=True),
        nulls=[f"{RUN}/nulls/{kind}" for kind in CONFIG["nulls"]["kinds"]],
        options=section("motifs", "significance"),
        program=f"{SCRIPTS}/calibrate_nulls.py",
        code=code("calibrate_nulls"),
    shell:
        "python {params.program:q} --manifest {input.manifest:q} --motifs {input.motifs:q} "
        "--matches {input.matches:q} {params.options:q} --nulls {params.nulls:q} --output {params.run:q} > {log:q} 2>&1"
