# The demo's world with planted truth, and the score of each run against it.
# Only with a `synthetic` section in the config.
#
# Writes: world/{genome.fa, activations/, truth/}; {run}/recovery.json, recovery_detectors.tsv,
#   recovery_loci.tsv

# the random twin's stores, for baseline random_model
RANDOM_STORES = [
    file
    for split in ("train", "validation")
    for file in synthetic_store(f"random_model/{split}")
    if CONFIG["synthetic"]["random_model"]
]


rule simulate_activations:
    input:
        database=CONFIG["matching"]["database"],
    output:
        genome=f"{SYNTHETIC}/genome.fa",
        train=synthetic_store("train"),
        validation=synthetic_store("validation"),
        random_model=RANDOM_STORES,
        truth=TRUTH,
    log:
        f"{RESULTS}/logs/world/simulate_activations.log",
    benchmark:
        f"{RESULTS}/benchmarks/world/simulate_activations.tsv"
    conda:
        "../../envs/sae.yaml"
    threads: 2
    resources:
        mem_mb=grow(4000),
        runtime=grow(30),
    params:
        folder=subpath(output.genome, parent=True),
        options=section("synthetic") + PAD + section("layer", "channels", "left_bp", "right_bp"),
        program=f"{SCRIPTS}/simulate_activations.py",
        code=code("simulate_activations"),
    shell:
        "python {params.program:q} --database {input.database:q} {params.options:q} "
        "--output {params.folder:q} > {log:q} 2>&1"


rule score_recovery:
    input:
        validation=store_of("validation"),
        truth=rules.simulate_activations.output.truth,
        weights=f"{RUN}/checkpoint/model.safetensors",
        selected=f"{RUN}/selected_nodes.tsv",
        bed=f"{RUN}/seqlets/seqlets.bed.gz",
        motifs=f"{RUN}/motifs.tsv",
        meme=f"{RUN}/motifs.meme",
    output:
        recovery=f"{RUN}/recovery.json",
        detectors=f"{RUN}/recovery_detectors.tsv",
        loci=f"{RUN}/recovery_loci.tsv",
    log:
        f"{LOGS}/{{run}}/score_recovery.log",
    benchmark:
        f"{BENCHMARKS}/{{run}}/score_recovery.tsv"
    conda:
        "../../envs/sae.yaml"
    threads: 1
    resources:
        mem_mb=grow(4000),
        runtime=grow(30),
    params:
        run=subpath(input.selected, parent=True),
        truth=folder_of("truth"),
        store=folder_of("validation"),
        options=PAD,
        cache=KERNELS,
        program=f"{SCRIPTS}/score_recovery.py",
        code=code("score_recovery"),
    shell:
        "NUMBA_CACHE_DIR={params.cache:q} python {params.program:q} --run {params.run:q} --truth {params.truth:q} "
        "--activations {params.store:q} {params.options:q} --output {output.recovery:q} > {log:q} 2>&1"
