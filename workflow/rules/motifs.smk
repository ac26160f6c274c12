# Seqlets -> motifs -> matches.
#
# Reads:  {run}/seqlets/, the motif database
# Writes: {run}/motifs/chunk_{i}.{meme,tsv}, status_{i}.tsv (failed_{i}.tsv where nodes failed), held_out_{i}.tsv.gz,
#         meme/{rank}_n{node}/meme.txt, motifs.tsv, motifs.meme, held_out.tsv.gz,
#         motifs/matches.tsv (nulls.smk calibrates them),
#         tomtom/{rank}_n{node}/tomtom.tsv, motif_clusters.{tsv,meme}; kernels/: compiled code
# Chunks: nodes are dealt to a fixed number of jobs; a node's result does not depend on them.
#
# settings.json changes when the settings or the code do. A node's files are written by the chunk
# that holds it, so this is what tells Snakemake that a node's file, asked for by name, is stale.


rule compile_kernels:
    output:
        stamp=f"{KERNELS}/compiled.txt",
    log:
        f"{RESULTS}/logs/compile_kernels.log",
    priority: 100
    conda:
        "../../envs/motifs.yaml"
    threads: 1
    resources:
        mem_mb=grow(2000),
        runtime=grow(15),
    params:
        # no input of any rule, and no `code`: see compile_sae_kernels
        cache=subpath(output.stamp, parent=True),
        program=f"{SCRIPTS}/compile_kernels.py",
    shell:
        "NUMBA_CACHE_DIR={params.cache:q} python {params.program:q} --group motifs "
        "--output {output.stamp:q} > {log:q} 2>&1"


rule note_motif_settings:
    output:
        settings=f"{RUN}/{{stage}}/settings.json",
    log:
        f"{LOGS}/{{run}}/{{stage}}_settings.log",
    wildcard_constraints:
        stage="meme|tomtom",
    conda:
        "../../envs/motifs.yaml"
    threads: 1
    resources:
        mem_mb=grow(500),
        runtime=grow(5),
    params:
        settings=stage_settings,
    shell:
        "printf '%s\\n' {params.settings:q} > {output.settings:q}.part 2> {log:q} "
        "&& mv {output.settings:q}.part {output.settings:q} 2>> {log:q}"


rule discover_motifs:
    input:
        manifest=rules.write_seqlets.output.manifest,
        background=rules.write_seqlets.output.background,
        settings=f"{RUN}/meme/settings.json",
    output:
        meme=f"{RUN}/motifs/chunk_{{chunk}}.meme",
        motifs=f"{RUN}/motifs/chunk_{{chunk}}.tsv",
        status=f"{RUN}/motifs/status_{{chunk}}.tsv",
        held_out=f"{RUN}/motifs/held_out_{{chunk}}.tsv.gz",
    log:
        f"{LOGS}/{{run}}/discover_motifs/chunk_{{chunk}}.log",
    benchmark:
        f"{BENCHMARKS}/{{run}}/discover_motifs/chunk_{{chunk}}.tsv"
    conda:
        "../../envs/motifs.yaml"
    threads: 1
    resources:
        mem_mb=grow(4000),
        runtime=grow(720),
    params:
        fasta=subpath(input.manifest, parent=True),
        folder=subpath(output.meme, parent=True),
        nodes=subpath(input.settings, parent=True),
        options=MOTIF_OPTIONS,
        chunks=len(CHUNKS),
        cache=KERNELS,
        program=f"{SCRIPTS}/discover_motifs.py",
        code=code("discover_motifs"),
    shell:
        "NUMBA_CACHE_DIR={params.cache:q} python {params.program:q} --fasta {params.fasta:q} --manifest {input.manifest:q} "
        "--background {input.background:q} --chunk {wildcards.chunk} --chunks {params.chunks} "
        "{params.options:q} --threads {threads} --meme-dir {params.nodes:q} "
        "--output {params.folder:q} > {log:q} 2>&1"


rule discover_node_motifs:
    input:
        manifest=rules.write_seqlets.output.manifest,
        background=rules.write_seqlets.output.background,
        settings=f"{RUN}/meme/settings.json",
    output:
        meme=f"{RUN}/meme/{{rank}}_n{{node}}/meme.txt",
    log:
        f"{LOGS}/{{run}}/meme/{{rank}}_n{{node}}.log",
    benchmark:
        f"{BENCHMARKS}/{{run}}/meme/{{rank}}_n{{node}}.tsv"
    conda:
        "../../envs/motifs.yaml"
    threads: 1
    resources:
        mem_mb=grow(2000),
        runtime=grow(60),
    params:
        fasta=f"{RUN}/seqlets/{{rank}}_n{{node}}.fa",
        nodes=subpath(input.settings, parent=True),
        options=MOTIF_OPTIONS,
        cache=KERNELS,
        program=f"{SCRIPTS}/discover_motifs.py",
        code=code("discover_motifs"),
    shell:
        "NUMBA_CACHE_DIR={params.cache:q} python {params.program:q} --fasta {params.fasta:q} --background {input.background:q} "
        "{params.options:q} --threads {threads} --meme-dir {params.nodes:q} > {log:q} 2>&1"


rule collect_motifs:
    input:
        manifest=rules.write_seqlets.output.manifest,
        motifs=expand(f"{RUN}/motifs/chunk_{{chunk}}.tsv", chunk=CHUNKS, allow_missing=True),
        memes=expand(f"{RUN}/motifs/chunk_{{chunk}}.meme", chunk=CHUNKS, allow_missing=True),
        statuses=expand(f"{RUN}/motifs/status_{{chunk}}.tsv", chunk=CHUNKS, allow_missing=True),
        held_out=expand(f"{RUN}/motifs/held_out_{{chunk}}.tsv.gz", chunk=CHUNKS, allow_missing=True),
    output:
        table=f"{RUN}/motifs.tsv",
        meme=f"{RUN}/motifs.meme",
        held_out=f"{RUN}/held_out.tsv.gz",
    log:
        f"{LOGS}/{{run}}/collect_motifs.log",
    benchmark:
        f"{BENCHMARKS}/{{run}}/collect_motifs.tsv"
    conda:
        "../../envs/motifs.yaml"
    threads: 1
    resources:
        mem_mb=grow(8000),
        runtime=grow(15),
    params:
        nodes=f"{RUN}/meme",
        options=section("motifs", "significance", "strand"),
        program=f"{SCRIPTS}/collect_motifs.py",
        code=code("collect_motifs"),
    shell:
        "python {params.program:q} --manifest {input.manifest:q} --chunks {input.motifs:q} "
        "--memes {input.memes:q} --statuses {input.statuses:q} {params.options:q} --meme-dir {params.nodes:q} --output-table {output.table:q} "
        "--held-out {input.held_out:q} --output-held-out {output.held_out:q} --output-meme {output.meme:q} > {log:q} 2>&1"


rule match_motifs:
    input:
        motifs=rules.collect_motifs.output.meme,
        manifest=rules.write_seqlets.output.manifest,
        database=CONFIG["matching"]["database"],
        settings=f"{RUN}/tomtom/settings.json",
    output:
        matches=f"{RUN}/motifs/matches.tsv",
    log:
        f"{LOGS}/{{run}}/match_motifs.log",
    benchmark:
        f"{BENCHMARKS}/{{run}}/match_motifs.tsv"
    conda:
        "../../envs/motifs.yaml"
    threads: 1
    resources:
        mem_mb=grow(8000),
        runtime=grow(120),
    params:
        nodes=subpath(input.settings, parent=True),
        options=MATCH_OPTIONS,
        cache=KERNELS,
        program=f"{SCRIPTS}/match_motifs.py",
        code=code("match_motifs"),
    shell:
        "NUMBA_CACHE_DIR={params.cache:q} python {params.program:q} --motifs {input.motifs:q} --database {input.database:q} "
        "{params.options:q} --manifest {input.manifest:q} --threads {threads} --tomtom-dir {params.nodes:q} "
        "--output {output.matches:q} > {log:q} 2>&1"


rule match_node_motifs:
    input:
        motifs=rules.discover_node_motifs.output.meme,
        database=CONFIG["matching"]["database"],
        settings=f"{RUN}/tomtom/settings.json",
    output:
        tomtom=f"{RUN}/tomtom/{{rank}}_n{{node}}/tomtom.tsv",
    log:
        f"{LOGS}/{{run}}/tomtom/{{rank}}_n{{node}}.log",
    benchmark:
        f"{BENCHMARKS}/{{run}}/tomtom/{{rank}}_n{{node}}.tsv"
    conda:
        "../../envs/motifs.yaml"
    threads: 1
    resources:
        mem_mb=grow(2000),
        runtime=grow(30),
    params:
        nodes=subpath(input.settings, parent=True),
        options=MATCH_OPTIONS,
        cache=KERNELS,
        program=f"{SCRIPTS}/match_motifs.py",
        code=code("match_motifs"),
    shell:
        "NUMBA_CACHE_DIR={params.cache:q} python {params.program:q} --motifs {input.motifs:q} --database {input.database:q} "
        "{params.options:q} --threads {threads} --tomtom-dir {params.nodes:q} > {log:q} 2>&1"


rule cluster_motifs:
    input:
        motifs=rules.collect_motifs.output.meme,
        table=rules.collect_motifs.output.table,
    output:
        table=f"{RUN}/motif_clusters.tsv",
        meme=f"{RUN}/motif_clusters.meme",
    log:
        f"{LOGS}/{{run}}/cluster_motifs.log",
    benchmark:
        f"{BENCHMARKS}/{{run}}/cluster_motifs.tsv"
    conda:
        "../../envs/motifs.yaml"
    threads: 1
    resources:
        mem_mb=grow(8000),
        runtime=grow(60),
    params:
        options=section("clusters"),
        cache=KERNELS,
        program=f"{SCRIPTS}/cluster_motifs.py",
        code=code("cluster_motifs"),
    shell:
        "NUMBA_CACHE_DIR={params.cache:q} python {params.program:q} --motifs {input.motifs:q} "
        "--table {input.table:q} {params.options:q} --threads {threads} --output-table {output.table:q} "
        "--output-meme {output.meme:q} > {log:q} 2>&1"
