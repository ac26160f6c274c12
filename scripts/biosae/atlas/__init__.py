"""The static page of a run: `builder` reads; `logos`, `plots` and `numbers` draw and word; `page` writes."""
