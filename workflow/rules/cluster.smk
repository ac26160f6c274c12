# What SLURM would refuse, or let wait for ever, is said before anything is submitted to it.
#
# Snakemake calls no hook in a dry run and has not chosen its executor while it parses. So a real run looks at the
# jobs of its plan in `onstart` (which runs in the process that the user started, after the plan and before
# the first job), and a dry run, if rules name a SLURM partition, at rules, which ask the same of SLURM.
#
# Relies on Snakemake 9: workflow.is_main_process, output_settings.dryrun, rules, is_local, Rule.expand_resources;
# in onstart also executor_plugin.name, executor_settings (of the slurm plugin), dag.needrun_jobs.


def paths_that_jobs_need():
    """What compute nodes must see, by what it is to the user; the workflow's own raw files are in the results."""
    paths = {
        "working folder": os.getcwd(),
        "checkout": str(LIBRARY.parent),
        "results": RESULTS,
        "genome": CONFIG["genome"],
        "matching.database": CONFIG["matching"]["database"],
    }
    splits = ("train", "validation", "encode")
    paths |= {f"activations.{split}": configuration.data_store(CONFIG, split) for split in splits}
    if not sys.prefix.startswith(("/usr", "/opt")):
        paths["Python environment"] = sys.prefix
    return paths


def rules_as_requests():
    """What each rule would ask SLURM for, without those whose resources depend on the job."""
    requests = []
    for rule in workflow.rules:
        try:
            resources = rule.expand_resources(None, None, 1)
        except WorkflowError:
            continue
        # a dry run counts one core, to which it cuts threads
        cores = rule.resources["_cores"]
        threads = resources["_cores"] if cores.is_evaluable() else cores.value
        requests.append(cluster_requests.request_of(rule.name, dict(resources.items()), threads))
    return requests


def jobs_as_requests():
    """What each sort of job in the plan asks SLURM for; and the last attempt's number, and what they ask for then."""
    settings = workflow.executor_settings
    sorts = {}
    for job in workflow.dag.needrun_jobs():
        if not job.is_local:
            request = cluster_requests.request_of(
                job.rule.name, dict(job.resources.items()), job.threads, settings.qos or ""
            )
            if settings.partition_config and not request.partitions:
                continue  # the executor plugin chooses a partition itself
            sorts.setdefault(request, job)
    last = max((job.restart_times + 1 for job in sorts.values()), default=1)
    later = []
    for request, job in sorts.items():
        resources = job.rule.expand_resources(job.wildcards_dict, job.input, job.restart_times + 1)
        later.append(
            cluster_requests.request_of(
                job.rule.name, dict(resources.items()), resources["_cores"], settings.qos or ""
            )
        )
    return list(sorts), (last, later)


if workflow.is_main_process:

    from snakemake.logging import logger
    from biosae import cluster_requests, submission

    if workflow.output_settings.dryrun and any(
        "slurm_partition" in rule.resources for rule in workflow.rules
    ):
        try:
            submission.check_dry_run(rules_as_requests(), paths_that_jobs_need(), logger.warning)
        except BiosaeError as error:
            raise WorkflowError(str(error)) from None


onstart:
    if workflow.executor_plugin.name == "slurm":
        try:
            requests, later = jobs_as_requests()
            submission.check_submission(
                requests,
                paths_that_jobs_need(),
                logger.warning,
                later=later,
                status_command=workflow.executor_settings.status_command,
            )
        except BiosaeError as error:
            raise WorkflowError(str(error)) from None
