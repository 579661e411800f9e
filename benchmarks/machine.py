"""The machine, in one line, to print beside every figure."""

import os
import platform
import resource


def describe():
    """Processor, cores, memory and the versions that matter."""
    import keras

    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count()
    memory = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 2**30
    backend = keras.backend.backend()
    version = __import__(backend).__version__
    cores = f"{cores} core" if cores == 1 else f"{cores} cores"
    return f"{_processor()}, {cores}, {memory:.0f} GiB, {backend} {version}, keras {keras.__version__}"


def peak_memory():
    """Peak resident memory of this process, GiB."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**20


def _processor():
    try:
        with open("/proc/cpuinfo") as file:
            return next(line.split(":")[1].strip() for line in file if line.startswith("model name"))
    except (OSError, StopIteration):
        return platform.processor() or platform.machine()
