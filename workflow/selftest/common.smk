# Shared by the self-test's rules: the checked configuration, and where things lie.
#
# Defines: LADDER (complete), RESULTS, RUNGS, PLACES, and small functions that turn them into options.
import json
import os
import re
import sys
from pathlib import Path

LIBRARY = Path(workflow.basedir).parents[1] / "scripts"
sys.path.insert(0, str(LIBRARY))
# relative, since it goes into params: a checkout that is moved with its results re-runs nothing
SCRIPTS = os.path.relpath(LIBRARY)

from biosae.codehash import code_hash
from biosae.errors import BiosaeError
from biosae.ladder import config as ladder_config

try:
    schema = Path(workflow.basedir).parent / "schemas" / "ladder_config.schema.yaml"
    LADDER = ladder_config.load_ladder(config, schema)
except BiosaeError as error:
    raise WorkflowError(str(error)) from None

RESULTS = LADDER["results"].rstrip("/")
RUNG = f"{RESULTS}/rungs/{{world}}/s{{seed}}"
KERNELS = f"{RESULTS}/kernels"
RUNGS = [f"{RESULTS}/rungs/{world}/s{seed}" for seed in LADDER["seeds"] for world in LADDER["worlds"]]
PLACES = json.dumps(ladder_config.ladder_places(LADDER), sort_keys=True)


def code(program):
    """Hash of the code that a program uses: a changed module re-runs its users."""
    return code_hash(program, LIBRARY)


def rung_settings(wildcards):
    """What one rung depends on, as one line of JSON."""
    settings = ladder_config.rung_settings(LADDER, wildcards.world, int(wildcards.seed))
    return json.dumps(settings, sort_keys=True)


def of_rungs(name):
    """This file of every rung."""
    return [f"{rung}/{name}" for rung in RUNGS]
