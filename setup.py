"""What `pyproject.toml` can't say: the compiled inner loops, which are left out where there is no compiler."""

from setuptools import Extension, setup

setup(ext_modules=[Extension("tidegate._speedups", ["src/tidegate/_speedups.c"], optional=True)])
