"""nodes.tsv as Parquet, with the types and descriptions of its schema."""

from __future__ import annotations

import json
from pathlib import Path

import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq

from biosae.artefacts import atomic_path, load_schema

_TYPES = {"integer": pa.int64(), "number": pa.float64(), "string": pa.string(), "boolean": pa.bool_()}


def write_parquet(path: Path, table: pd.DataFrame, schema_name: str, made_by: dict) -> None:
    """Write a table that was read with ``read_table``; missing values are nulls, never NaN.

    Each field carries its description (and unit), the file its provenance under the key ``biosae``.
    """
    fields = []
    for name, rule in load_schema(schema_name)["properties"].items():
        kinds = rule["type"] if isinstance(rule["type"], list) else [rule["type"]]
        kind = next(kind for kind in kinds if kind != "null")
        notes = {"description": rule["description"], **({"unit": rule["x-unit"]} if "x-unit" in rule else {})}
        fields.append(pa.field(name, _TYPES[kind], nullable="null" in kinds, metadata=notes))
    schema = pa.schema(fields, metadata={"biosae": json.dumps(made_by, sort_keys=True)})
    columns = [pa.array(table[field.name], field.type, from_pandas=True) for field in schema]
    with atomic_path(path) as temporary:
        pq.write_table(pa.Table.from_arrays(columns, schema=schema), temporary, compression="zstd")
