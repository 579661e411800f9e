"""The machine, in one line to print beside every figure."""

import os
import resource


def describe() -> str:
    """Processor, cores, memory, and the versions that matter."""
    import keras

    from keras_ddpm.evaluation.provenance import processor

    memory = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 2**30
    backend = keras.backend.backend()
    version = __import__(backend).__version__
    counted = f"{cores()} core" if cores() == 1 else f"{cores()} cores"
    return f"{processor()}, {counted}, {memory:.0f} GiB, {backend} {version}, keras {keras.__version__}"


def cores() -> int:
    """Cores that this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def peak_memory() -> float:
    """Peak resident memory of this process, GiB."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**20
