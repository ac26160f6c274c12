# Genome and intervals -> activation stores, through the model up to one layer.
# Only with a section `extract` in the config.
#
# Reads:  the genome, BED files of intervals, the model's weights
# Writes: {extract.folder}/{store}/activations_{i}.h5, intervals.tsv, store.json
# GPU:    extract_activations uses one where the job has one
# Files:  one job each. A job that is killed leaves no file, and the others stay.

EXTRACT = configuration.extraction_folder(CONFIG)


rule plan_extraction:
    input:
        intervals=lambda wildcards: MADE[wildcards.store].intervals,
        genome=CONFIG["genome"],
        weights=weights_of_store,
    output:
        table=f"{EXTRACT}/{{store}}/intervals.tsv",
        description=f"{EXTRACT}/{{store}}/store.json",
    log:
        f"{LOGS}/plan_extraction/{{store}}.log",
    benchmark:
        f"{BENCHMARKS}/plan_extraction/{{store}}.tsv"
    wildcard_constraints:
        store="|".join(map(re.escape, MADE)),
    conda:
        "../../envs/borzoi.yaml"
    threads: 1
    resources:
        mem_mb=grow(8000),
        runtime=grow(60),
    params:
        folder=subpath(output.table, parent=True),
        options=lambda wildcards: configuration.plan_options(CONFIG, MADE[wildcards.store]),
        model=model_of_store,
        program=f"{SCRIPTS}/plan_extraction.py",
        code=code("plan_extraction"),
    shell:
        "python {params.program:q} --intervals {input.intervals:q} --genome {input.genome:q} {params.options:q} "
        "{params.model:q} --output {params.folder:q} > {log:q} 2>&1"


rule extract_activations:
    input:
        table=rules.plan_extraction.output.table,
        description=rules.plan_extraction.output.description,
        genome=CONFIG["genome"],
        weights=weights_of_store,
    output:
        data=f"{EXTRACT}/{{store}}/activations_{{file}}.h5",
    log:
        f"{LOGS}/extract_activations/{{store}}/activations_{{file}}.log",
    benchmark:
        f"{BENCHMARKS}/extract_activations/{{store}}/activations_{{file}}.tsv"
    wildcard_constraints:
        store="|".join(map(re.escape, MADE)),
        file="[0-9]+",
    conda:
        "../../envs/borzoi.yaml"
    threads: 8
    resources:
        mem_mb=grow(8000),
        runtime=grow(720),
        gpu=1,
        nodes=1,
    params:
        folder=subpath(output.data, parent=True),
        options=section("extract", "piece_bp"),
        model=model_of_store,
        program=f"{SCRIPTS}/extract_activations.py",
        code=code("extract_activations"),
    shell:
        "python {params.program:q} --genome {input.genome:q} --file {wildcards.file} {params.options:q} "
        "{params.model:q} --threads {threads} --output {params.folder:q} > {log:q} 2>&1"
