# Nodes seen together: UMAP and clusters, Jaccard similarity over loci, overlaps with annotations, repeats.
#
# Reads:  {run}/checkpoint/, selected_nodes.tsv, top_activations.parquet, seqlets/, the genome, the BED files of
#         annotations and of repeats
# Writes: {run}/umap.tsv, jaccard.tsv, overlaps.tsv, repeats.tsv, figures/{umap,jaccard,overlaps}.{svg,png}


rule embed_nodes:
    input:
        weights=f"{RUN}/checkpoint/model.safetensors",
        config=f"{RUN}/checkpoint/config.json",
        manifest=rules.write_seqlets.output.manifest,
        bed=rules.write_seqlets.output.bed,
    output:
        umap=f"{RUN}/umap.tsv",
    log:
        f"{LOGS}/{{run}}/embed_nodes.log",
    benchmark:
        f"{BENCHMARKS}/{{run}}/embed_nodes.tsv"
    conda:
        "../../envs/analysis.yaml"
    threads: 1
    resources:
        mem_mb=grow(8000),
        runtime=grow(60),
    params:
        run=subpath(output.umap, parent=True),
        options=section("landscape", "n_neighbors", "min_dist", "n_clusters", "seed"),
        program=f"{SCRIPTS}/embed_nodes.py",
        code=code("embed_nodes"),
    shell:
        "python {params.program:q} --run {params.run:q} {params.options:q} "
        "--output {output.umap:q} > {log:q} 2>&1"


rule compute_jaccard:
    input:
        manifest=rules.write_seqlets.output.manifest,
        bed=rules.write_seqlets.output.bed,
    output:
        jaccard=f"{RUN}/jaccard.tsv",
    log:
        f"{LOGS}/{{run}}/compute_jaccard.log",
    benchmark:
        f"{BENCHMARKS}/{{run}}/compute_jaccard.tsv"
    conda:
        "../../envs/analysis.yaml"
    threads: 1
    resources:
        mem_mb=grow(8000),
        runtime=grow(60),
    params:
        run=subpath(output.jaccard, parent=True),
        options=section("landscape", "min_jaccard"),
        program=f"{SCRIPTS}/compute_jaccard.py",
        code=code("compute_jaccard"),
    shell:
        "python {params.program:q} --run {params.run:q} {params.options:q} "
        "--output {output.jaccard:q} > {log:q} 2>&1"


rule overlap_annotations:
    input:
        manifest=rules.write_seqlets.output.manifest,
        bed=rules.write_seqlets.output.bed,
        background=rules.write_seqlets.output.background,
        annotations=[entry["path"] for entry in CONFIG["landscape"]["annotations"]],
    output:
        overlaps=f"{RUN}/overlaps.tsv",
    log:
        f"{LOGS}/{{run}}/overlap_annotations.log",
    benchmark:
        f"{BENCHMARKS}/{{run}}/overlap_annotations.tsv"
    conda:
        "../../envs/analysis.yaml"
    threads: 1
    resources:
        mem_mb=grow(8000),
        runtime=grow(60),
    params:
        run=subpath(output.overlaps, parent=True),
        options=configuration.annotation_options(CONFIG),
        program=f"{SCRIPTS}/overlap_annotations.py",
        code=code("overlap_annotations"),
    shell:
        "python {params.program:q} --run {params.run:q} {params.options:q} "
        "--output {output.overlaps:q} > {log:q} 2>&1"


rule measure_repeats:
    input:
        top=f"{RUN}/top_activations.parquet",
        manifest=rules.write_seqlets.output.manifest,
        bed=rules.write_seqlets.output.bed,
        genome=CONFIG["genome"],
        repeats=CONFIG["repeats"]["path"] or [],
    output:
        repeats=f"{RUN}/repeats.tsv",
    log:
        f"{LOGS}/{{run}}/measure_repeats.log",
    benchmark:
        f"{BENCHMARKS}/{{run}}/measure_repeats.tsv"
    conda:
        "../../envs/analysis.yaml"
    threads: 1
    resources:
        mem_mb=grow(8000),
        runtime=grow(60),
    params:
        run=subpath(output.repeats, parent=True),
        options=section("repeats"),
        program=f"{SCRIPTS}/measure_repeats.py",
        code=code("measure_repeats"),
    shell:
        "python {params.program:q} --run {params.run:q} --genome {input.genome:q} {params.options:q} "
        "--output {output.repeats:q} > {log:q} 2>&1"


rule plot_landscape:
    input:
        umap=rules.embed_nodes.output.umap,
        jaccard=rules.compute_jaccard.output.jaccard,
        overlaps=rules.overlap_annotations.output.overlaps,
    output:
        umap=report(
            f"{RUN}/figures/umap.svg",
            caption="../report/umap.rst",
            category="Figures",
            subcategory="{run}",
            labels={"figure": "map of the nodes"},
        ),
        jaccard=report(
            f"{RUN}/figures/jaccard.svg",
            caption="../report/jaccard.rst",
            category="Figures",
            subcategory="{run}",
            labels={"figure": "shared loci"},
        ),
        overlaps=report(
            f"{RUN}/figures/overlaps.svg",
            caption="../report/overlaps.rst",
            category="Figures",
            subcategory="{run}",
            labels={"figure": "overlaps with annotations"},
        ),
        bitmaps=expand(
            f"{RUN}/figures/{{figure}}.png", figure=["umap", "jaccard", "overlaps"], allow_missing=True
        ),
    log:
        f"{LOGS}/{{run}}/plot_landscape.log",
    benchmark:
        f"{BENCHMARKS}/{{run}}/plot_landscape.tsv"
    conda:
        "../../envs/analysis.yaml"
    threads: 1
    resources:
        mem_mb=grow(4000),
        runtime=grow(30),
    params:
        run=subpath(input.umap, parent=True),
        folder=f"{RUN}/figures",
        program=f"{SCRIPTS}/plot_landscape.py",
        code=code("plot_landscape"),
    shell:
        "python {params.program:q} --run {params.run:q} --output {params.folder:q} > {log:q} 2>&1"
