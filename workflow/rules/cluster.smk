# What SLURM would refuse, or let wait for ever, is said before anything is submitted to it.
#
# Snakemake calls no hook in a dry run, and has not chosen its executor while it parses. So a real run looks at the
# jobs of its plan in `onstart` (which runs in the process that the user started, after the plan is made and
# before the first job), and a dry run, where rules name a SLURM partition, at all rules.
#
# Relies on Snakemake 9: workflow.is_main_process, output_settings.dryrun, rules, _localrules (is_local waits for the
# executor), Rule.expand_resources; in onstart also executor_plugin.name, executor_settings, dag.needrun_jobs.


def paths_that_jobs_need():
    """What compute nodes must see, by what it is to the user."""
    stores = {split: configuration.data_store(CONFIG, split) for split in ("train", "validation", "encode")}
    return {
        "working folder": os.getcwd(),
        "checkout": str(LIBRARY.parent),
        "results": RESULTS,
        "genome": CONFIG["genome"],
        "matching.database": CONFIG["matching"]["database"],
        **configuration.needed_files(CONFIG),
        **({"model.weights": CONFIG["model"]["weights"]} if configuration.weights_path(CONFIG) else {}),
        **{f"activations.{split}": folder for split, folder in stores.items()},
    }


def requests_of_rules():
    """What jobs of each kind would ask SLURM for, without those whose resources depend on wildcards or input."""
    requests = []
    for kind in workflow.rules:
        if kind.name in workflow._localrules:
            continue
        try:
            resources = kind.expand_resources(None, None, 1)
        except WorkflowError:
            continue
        # a dry run counts one core, to which it cuts threads
        cores = kind.resources["_cores"]
        threads = resources["_cores"] if cores.is_evaluable() else cores.value
        requests.append(cluster_requests.request_of(kind.name, dict(resources.items()), threads))
    return requests


def requests_of_jobs():
    """What jobs of the plan ask SLURM for, once each; the last attempt's number, and what they ask for then."""
    settings = workflow.executor_settings

    def request(job, resources):
        return cluster_requests.request_of(
            job.rule.name, dict(resources.items()), resources["_cores"], settings.qos or ""
        )

    jobs = {}
    for job in workflow.dag.needrun_jobs():
        if not job.is_local:
            jobs.setdefault(request(job, job.resources), job)
    if settings.partition_config:  # the executor plugin chooses a partition itself
        jobs = {wanted: job for wanted, job in jobs.items() if wanted.partitions}
    last = max((job.restart_times + 1 for job in jobs.values()), default=1)
    later = [
        request(job, job.rule.expand_resources(job.wildcards_dict, job.input, job.restart_times + 1))
        for job in jobs.values()
    ]
    return list(jobs), (last, later)


if workflow.is_main_process:

    from snakemake.logging import logger
    from biosae import cluster_requests, earlier_jobs, submission

    if workflow.output_settings.dryrun and any(
        "slurm_partition" in kind.resources for kind in workflow.rules
    ):
        try:
            submission.check_dry_run(requests_of_rules(), paths_that_jobs_need(), logger.warning)
        except BiosaeError as error:
            raise WorkflowError(str(error)) from None


onstart:
    if workflow.executor_plugin.name == "slurm":
        try:
            requests, later = requests_of_jobs()
            submission.check_submission(
                requests,
                paths_that_jobs_need(),
                logger.warning,
                later=later,
                status_command=workflow.executor_settings.status_command,
            )
            earlier_jobs.check_no_earlier_jobs(os.getcwd())
        except BiosaeError as error:
            raise WorkflowError(str(error)) from None
