# Nodes tested in the model itself: what is left of its outputs through a dictionary, what outputs owe to a node, to a
# seqlet's sequence, and what variants do. Only with a section `model` in the config; `all` asks for what has a section.
#
# Reads:  the model's weights, the table of its tracks, the genome, a VCF; {run}/checkpoint/, top_activations.parquet,
#         selected_nodes.tsv, seqlets/; statistics.h5
# Writes: {run}/fidelity.tsv, fidelity_groups.tsv, {layer}/fidelity.tsv and figures/fidelity.{svg,png};
#         {run}/ablation.tsv, ablation_doses.tsv, ablation_tracks.tsv; perturbation.tsv;
#         variants.tsv, variant_nodes.tsv, variant_tracks.tsv
# GPU:    measure_fidelity, ablate_nodes, perturb_seqlets and score_variants use one where the job has one
# Parts:  ablation.chunks jobs share the nodes; results do not depend on their number
MODEL_INPUTS = {
    "weights": configuration.weights_path(CONFIG),
    "targets": [CONFIG["model"]["targets"]] if CONFIG["model"]["targets"] else [],
}
NETWORK = configuration.model_options(CONFIG) + configuration.layer_options(CONFIG)
NETWORK += causal_configuration.input_options(CONFIG)
ABLATION_PARTS = (CONFIG["ablation"] or {"chunks": 1})["chunks"]
ABLATION_PART = f"{RUN}/ablation/part_{{part}}_of_{ABLATION_PARTS}"


# seconds long
localrules:
    compare_fidelity,
    join_ablation,


rule measure_fidelity:
    input:
        **MODEL_INPUTS,
        checkpoint=f"{RUN}/checkpoint/model.safetensors",
        structure=f"{RUN}/checkpoint/config.json",
        top=f"{RUN}/top_activations.parquet",
        statistics=rules.compute_statistics.output.statistics,
        genome=CONFIG["genome"],
    output:
        tracks=f"{RUN}/fidelity.tsv",
        groups=f"{RUN}/fidelity_groups.tsv",
    log:
        f"{LOGS}/{{run}}/measure_fidelity.log",
    benchmark:
        f"{BENCHMARKS}/{{run}}/measure_fidelity.tsv"
    conda:
        "../../envs/borzoi.yaml"
    threads: 8
    resources:
        mem_mb=grow(16000),
        runtime=grow(240),
        gpu=1,
        nodes=1,
    params:
        run=subpath(output.tracks, parent=True),
        options=own_options("fidelity"),
        network=NETWORK,
        cache=KERNELS,
        program=f"{SCRIPTS}/measure_fidelity.py",
        code=code("measure_fidelity"),
    shell:
        "NUMBA_CACHE_DIR={params.cache:q} python {params.program:q} --run {params.run:q} --genome {input.genome:q} "
        "--statistics {input.statistics:q} {params.network:q} {params.options:q} --threads {threads} "
        "--output {params.run:q} > {log:q} 2>&1"


rule compare_fidelity:
    input:
        groups=[f"{LAYER_DIR}/{run}/fidelity_groups.tsv" for run in ON_GIVEN_DATA],
    output:
        table=f"{LAYER_DIR}/fidelity.tsv",
        figures=multiext(f"{LAYER_DIR}/figures/fidelity", ".svg", ".png"),
    log:
        f"{LOGS}/compare_fidelity.log",
    benchmark:
        f"{BENCHMARKS}/compare_fidelity.tsv"
    conda:
        "../../envs/atlas.yaml"
    threads: 1
    resources:
        mem_mb=grow(2000),
        runtime=grow(15),
    params:
        runs=[f"{LAYER_DIR}/{run}" for run in ON_GIVEN_DATA],
        program=f"{SCRIPTS}/compare_fidelity.py",
        code=code("compare_fidelity"),
    shell:
        "python {params.program:q} --runs {params.runs:q} --output {output.table:q} > {log:q} 2>&1"


rule ablate_nodes:
    input:
        **MODEL_INPUTS,
        checkpoint=f"{RUN}/checkpoint/model.safetensors",
        structure=f"{RUN}/checkpoint/config.json",
        top=f"{RUN}/top_activations.parquet",
        selected=rules.select_nodes.output.selected,
        manifest=rules.write_seqlets.output.manifest,
        bed=rules.write_seqlets.output.bed,
        genome=CONFIG["genome"],
    output:
        groups=temp(f"{ABLATION_PART}/groups.tsv"),
        doses=temp(f"{ABLATION_PART}/doses.tsv"),
        tracks=temp(f"{ABLATION_PART}/tracks.tsv"),
        notes=temp([f"{ABLATION_PART}/{name}.tsv.json" for name in ("groups", "doses", "tracks")]),
    log:
        f"{LOGS}/{{run}}/ablate_nodes/part_{{part}}.log",
    benchmark:
        f"{BENCHMARKS}/{{run}}/ablate_nodes/part_{{part}}.tsv"
    conda:
        "../../envs/borzoi.yaml"
    threads: 8
    resources:
        mem_mb=grow(16000),
        runtime=grow(1440),
        gpu=1,
        nodes=1,
    params:
        run=subpath(input.top, parent=True),
        folder=subpath(output.groups, parent=True),
        options=own_options("ablation", "chunks", "significance"),
        parts=ABLATION_PARTS,
        network=NETWORK,
        cache=KERNELS,
        program=f"{SCRIPTS}/ablate_nodes.py",
        code=code("ablate_nodes"),
    shell:
        "NUMBA_CACHE_DIR={params.cache:q} python {params.program:q} --run {params.run:q} --genome {input.genome:q} "
        "{params.network:q} {params.options:q} --part {wildcards.part} --of {params.parts} --threads {threads} "
        "--output {params.folder:q} > {log:q} 2>&1"


rule join_ablation:
    input:
        parts=expand(
            [
                f"{ABLATION_PART}/{name}.tsv{end}"
                for name in ("groups", "doses", "tracks")
                for end in ("", ".json")
            ],
            part=range(ABLATION_PARTS),
            allow_missing=True,
        ),
    output:
        groups=f"{RUN}/ablation.tsv",
        doses=f"{RUN}/ablation_doses.tsv",
        tracks=f"{RUN}/ablation_tracks.tsv",
    log:
        f"{LOGS}/{{run}}/join_ablation.log",
    benchmark:
        f"{BENCHMARKS}/{{run}}/join_ablation.tsv"
    conda:
        "../../envs/borzoi.yaml"
    threads: 1
    resources:
        mem_mb=grow(4000),
        runtime=grow(30),
    params:
        parts=lambda wildcards: [
            ABLATION_PART.format(run=wildcards.run, part=part) for part in range(ABLATION_PARTS)
        ],
        folder=subpath(output.groups, parent=True),
        options=configuration.options(CONFIG["ablation"] or {}, ("significance",)),
        program=f"{SCRIPTS}/join_ablation.py",
        code=code("join_ablation"),
    shell:
        "python {params.program:q} --parts {params.parts:q} {params.options:q} --output {params.folder:q} "
        "> {log:q} 2>&1"


rule perturb_seqlets:
    input:
        **MODEL_INPUTS,
        checkpoint=f"{RUN}/checkpoint/model.safetensors",
        structure=f"{RUN}/checkpoint/config.json",
        top=f"{RUN}/top_activations.parquet",
        selected=rules.select_nodes.output.selected,
        manifest=rules.write_seqlets.output.manifest,
        bed=rules.write_seqlets.output.bed,
        genome=CONFIG["genome"],
    output:
        table=f"{RUN}/perturbation.tsv",
    log:
        f"{LOGS}/{{run}}/perturb_seqlets.log",
    benchmark:
        f"{BENCHMARKS}/{{run}}/perturb_seqlets.tsv"
    conda:
        "../../envs/borzoi.yaml"
    threads: 8
    resources:
        mem_mb=grow(16000),
        runtime=grow(1440),
        gpu=1,
        nodes=1,
    params:
        run=subpath(output.table, parent=True),
        options=own_options("perturbation"),
        network=NETWORK,
        cache=KERNELS,
        program=f"{SCRIPTS}/perturb_seqlets.py",
        code=code("perturb_seqlets"),
    shell:
        "NUMBA_CACHE_DIR={params.cache:q} python {params.program:q} --run {params.run:q} --genome {input.genome:q} "
        "{params.network:q} {params.options:q} --threads {threads} --output {output.table:q} > {log:q} 2>&1"


if CONFIG["variants"]:

    rule score_variants:
        input:
            **MODEL_INPUTS,
            checkpoint=f"{RUN}/checkpoint/model.safetensors",
            structure=f"{RUN}/checkpoint/config.json",
            top=f"{RUN}/top_activations.parquet",
            selected=rules.select_nodes.output.selected,
            vcf=CONFIG["variants"]["vcf"],
            genome=CONFIG["genome"],
        output:
            table=f"{RUN}/variants.tsv",
            nodes=f"{RUN}/variant_nodes.tsv",
            tracks=f"{RUN}/variant_tracks.tsv",
        log:
            f"{LOGS}/{{run}}/score_variants.log",
        benchmark:
            f"{BENCHMARKS}/{{run}}/score_variants.tsv"
        conda:
            "../../envs/borzoi.yaml"
        threads: 8
        resources:
            mem_mb=grow(16000),
            runtime=grow(1440),
            gpu=1,
            nodes=1,
        params:
            run=subpath(output.table, parent=True),
            options=own_options("variants", "vcf"),
            network=NETWORK,
            cache=KERNELS,
            program=f"{SCRIPTS}/score_variants.py",
            code=code("score_variants"),
        shell:
            "NUMBA_CACHE_DIR={params.cache:q} python {params.program:q} --run {params.run:q} "
            "--genome {input.genome:q} --vcf {input.vcf:q} {params.network:q} {params.options:q} "
            "--threads {threads} --output {params.run:q} > {log:q} 2>&1"
