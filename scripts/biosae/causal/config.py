"""What the sections that test nodes in the model ask for: fidelity, ablation, perturbation, variants.

Read while Snakemake parses, in every job anew: this module imports nothing heavy.
"""

from __future__ import annotations

from biosae.errors import ConfigError

SECTIONS = ("fidelity", "ablation", "perturbation", "variants")
OF_RUN = {  # section -> files in the folder of a run
    "fidelity": ("fidelity.tsv", "fidelity_groups.tsv"),
    "ablation": ("ablation.tsv", "ablation_doses.tsv", "ablation_tracks.tsv"),
    "perturbation": ("perturbation.tsv",),
    "variants": ("variants.tsv", "variant_nodes.tsv", "variant_tracks.tsv"),
}


def asked_for(config: dict) -> list[str]:
    """The sections that the config has."""
    return [name for name in SECTIONS if config[name] is not None]


def check_causal(config: dict) -> None:
    """Refuse sections that need a model without one.

    Raises:
        ConfigError: there is no section ``model``, or the input is shorter than the layer reads.
    """
    asked = asked_for(config)
    if asked and config["model"] is None:
        raise ConfigError(
            "Nodes cannot be tested in the model: the config has no section model",
            got=f"section(s) {', '.join(asked)}",
            expected="model: {weights: ...}",
            mend="give the section model, or take these sections out",
        )


def needed_files(config: dict) -> dict[str, str]:
    """Raw inputs that the sections name, by key."""
    found = {}
    if asked_for(config) and config["model"] is not None and config["model"]["targets"] is not None:
        found["model.targets"] = config["model"]["targets"]
    if config["variants"] is not None:
        found["variants.vcf"] = config["variants"]["vcf"]
    return found


def input_options(config: dict) -> list[str]:
    """Command-line options that say how long the windows are and what the tracks are called."""
    model, extract = config["model"], config["extract"]
    words = ["--targets", model["targets"]] if model["targets"] is not None else []
    if model["input_bp"] is not None:
        return [*words, "--input-bp", str(model["input_bp"])]
    context = extract["context_bp"] if extract is not None and extract["keep"] == "core" else 0
    return [*words, "--context-bp", str(context)]
