"""Which folders become which packages; everything else is in pyproject.toml.

export/, serving/ and configs/ stay at the top of the repository and are installed inside keras_ddpm, so that no generic
name reaches site-packages.
"""

from setuptools import find_packages, setup

INSIDE = ("export", "serving", "configs")

setup(
    packages=[
        *find_packages(include=["keras_ddpm", "keras_ddpm.*"]),
        *(f"keras_ddpm.{name}" for top in INSIDE for name in find_packages(include=[top, f"{top}.*"])),
    ],
    package_dir={f"keras_ddpm.{top}": top for top in INSIDE},
)
