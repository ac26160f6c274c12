"""The static page of a run: `builder` reads; `node_rows`, `logos`, `plots` and `numbers` draw and word; `page` writes."""
