"""What `pyproject.toml` can't say: the compiled inner loops, which are left out where there is no compiler."""

from setuptools import Extension, setup

SOURCES = [f"src/tidegate/{name}.c" for name in ("_speedups", "_frames", "_packets", "_sockets")]

setup(
    ext_modules=[Extension("tidegate._speedups", SOURCES, depends=["src/tidegate/_speedups.h"], optional=True)],
)
