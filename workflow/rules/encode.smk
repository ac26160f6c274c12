# A checkpoint and a store -> top positions and statistics of each node.
#
# Reads:  {run}/checkpoint/, the encoded store
# Writes: {run}/top_activations.parquet, node_stats.tsv; {run}/encoded/part_{i}_of_{n}.h5 on the way
# GPU:    encode_activations and encode_part use one where the job has one
# Parts:  encode.encode_parts jobs share the sequences; results do not depend on their number. All must run on
#         one type of device, all with a GPU or all without: merge_encoded refuses a mixture.
ENCODE_PARTS = CONFIG["encode"]["encode_parts"]
ENCODE_OPTIONS = section("encode", "top_per_part", "parts_per_sequence") + PAD + DEVICE


if ENCODE_PARTS == 1:

    rule encode_activations:
        input:
            store=store_of("encode"),
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
            mem_mb=grow(16000),
            runtime=grow(720),
            gpu=1,
            nodes=1,
        params:
            store=folder_of("store"),
            checkpoint=subpath(input.weights, parent=True),
            folder=subpath(output.top, parent=True),
            options=ENCODE_OPTIONS,
            cache=KERNELS,
            program=f"{SCRIPTS}/encode_activations.py",
            code=code("encode_activations"),
        shell:
            "NUMBA_CACHE_DIR={params.cache:q} python {params.program:q} --checkpoint {params.checkpoint:q} "
            "--activations {params.store:q} {params.options:q} --threads {threads} "
            "--output {params.folder:q} > {log:q} 2>&1"

else:

    rule encode_part:
        input:
            store=store_of("encode"),
            weights=f"{RUN}/checkpoint/model.safetensors",
            config=f"{RUN}/checkpoint/config.json",
        output:
            part=temp(f"{RUN}/encoded/part_{{part}}_of_{ENCODE_PARTS}.h5"),
        log:
            f"{LOGS}/{{run}}/encode_part/part_{{part}}.log",
        benchmark:
            f"{BENCHMARKS}/{{run}}/encode_part/part_{{part}}.tsv"
        conda:
            "../../envs/sae.yaml"
        threads: 8
        resources:
            mem_mb=grow(16000),
            runtime=grow(720),
            gpu=1,
            nodes=1,
        params:
            store=folder_of("store"),
            checkpoint=subpath(input.weights, parent=True),
            folder=subpath(input.weights, ancestor=2),
            options=ENCODE_OPTIONS,
            parts=ENCODE_PARTS,
            cache=KERNELS,
            program=f"{SCRIPTS}/encode_activations.py",
            code=code("encode_activations"),
        shell:
            "NUMBA_CACHE_DIR={params.cache:q} python {params.program:q} --checkpoint {params.checkpoint:q} "
            "--activations {params.store:q} {params.options:q} --threads {threads} "
            "--part {wildcards.part} --of {params.parts} --output {params.folder:q} > {log:q} 2>&1"

    rule merge_encoded:
        input:
            parts=expand(
                f"{RUN}/encoded/part_{{part}}_of_{ENCODE_PARTS}.h5",
                part=range(ENCODE_PARTS),
                allow_missing=True,
            ),
        output:
            top=f"{RUN}/top_activations.parquet",
            stats=f"{RUN}/node_stats.tsv",
        log:
            f"{LOGS}/{{run}}/merge_encoded.log",
        benchmark:
            f"{BENCHMARKS}/{{run}}/merge_encoded.tsv"
        conda:
            "../../envs/sae.yaml"
        threads: 1
        resources:
            mem_mb=grow(4000),
            runtime=grow(120),
        params:
            folder=subpath(output.top, parent=True),
            cache=KERNELS,
            program=f"{SCRIPTS}/merge_encoded.py",
            code=code("merge_encoded"),
        shell:
            "NUMBA_CACHE_DIR={params.cache:q} python {params.program:q} --parts {input.parts:q} "
            "--output {params.folder:q} > {log:q} 2>&1"
