"""The static page of a run: `builder` reads, `page` and `node_rows` write, the others draw and word."""
