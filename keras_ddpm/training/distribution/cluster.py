"""Which process this is, of how many, and where they meet: from options, Slurm, or an indexed Job of Kubernetes.

Slurm       srun sets SLURM_STEP_NODELIST, SLURM_STEP_NUM_TASKS, SLURM_PROCID and SLURM_JOB_ID
Kubernetes  an indexed Job sets JOB_COMPLETION_INDEX; how many there are and where they meet, its manifest says
"""

import dataclasses
import re
from collections.abc import Mapping

from keras_ddpm.config import Devices

PORTS = range(61440, 65536)  # one of these for each Slurm job, as JAX chooses it too


def resolve(devices: Devices, environment: Mapping[str, str]) -> Devices:
    """Fill in what the environment knows, and check the whole.

    The environment counts only if more than one device was asked for: a job of one task is no cluster.

    Args:
        devices: What was asked for.
        environment: The process's environment variables.

    Returns:
        `Devices` whose `processes` and `process` are numbers; `coordinator` is None for one process.

    Raises:
        ValueError: if the parts do not fit each other.

    Example:
        >>> resolve(Devices("all"), {}).processes
        1
    """
    named = (devices.coordinator, devices.processes, devices.process)
    if devices.devices == "all" or named != (None, None, None):
        devices = _with_defaults(devices, _of_slurm(environment))
        if devices.coordinator is not None:  # without one, each pod of an indexed Job trains a model of its own
            devices = _with_defaults(devices, _of_kubernetes(environment))
    if devices.coordinator is None and (devices.processes or 1) == 1 and not devices.process:
        return dataclasses.replace(devices, processes=1, process=0)
    _check(devices)
    if devices.processes == 1:
        return dataclasses.replace(devices, coordinator=None)
    return dataclasses.replace(devices, devices="all")


def _check(devices):
    if None in (devices.coordinator, devices.processes, devices.process):
        raise ValueError(
            "Several processes need `coordinator`, `processes` and `process`. "
            f"Received: {devices.coordinator!r}, {devices.processes}, {devices.process}"
        )
    if devices.process >= devices.processes:
        raise ValueError(
            f"`process` must be in 0..{devices.processes - 1}, below `processes`. Received: {devices.process}"
        )
    if not re.fullmatch(r".+:\d{1,5}", devices.coordinator) or int(devices.coordinator.rpartition(":")[2]) > 65_535:
        raise ValueError(f"`coordinator` must be host:port. Received: {devices.coordinator!r}")
    if devices.processes > 1 and devices.devices not in (None, "all"):
        raise ValueError(
            "With several processes `devices` must be 'all': each takes the devices that it sees. "
            f"Received: {devices.devices}"
        )


def _with_defaults(devices, found):
    missing = {name: value for name, value in found.items() if getattr(devices, name) is None}
    return dataclasses.replace(devices, **missing)


def _of_kubernetes(environment):
    index = environment.get("JOB_COMPLETION_INDEX", "")
    return {"process": int(index)} if index.isdigit() else {}


def _of_slurm(environment):
    """The three of a step with several tasks. The batch script itself is no step, though a job surrounds it."""
    names = ("SLURM_STEP_NODELIST", "SLURM_STEP_NUM_TASKS", "SLURM_PROCID", "SLURM_JOB_ID")
    if not all(name in environment for name in names):
        return {}
    nodes, tasks, process, job = (environment[name] for name in names)
    port = PORTS[int(job) % len(PORTS)]
    return {"coordinator": f"{first_node(nodes)}:{port}", "processes": int(tasks), "process": int(process)}


def first_node(nodes: str) -> str:
    """The first host of a Slurm node list.

    Example:
        >>> first_node("gpu[007-009,12],login")
        'gpu007'
    """
    start, bracket, rest = nodes.partition("[")
    if not bracket or "," in start:
        return nodes.partition(",")[0]
    return start + re.split(r"[-,\]]", rest)[0]
