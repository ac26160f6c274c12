"""The atlas of a run, a folder that opens without a server: its data (docs/atlas_format.md) and its page."""
