"""Fuzzing: bytes that nobody thought of, fed to every codec (``python -m tests.fuzz``).

A target is a function of bytes that asserts what must hold whatever they are. The coverage-guided fuzzer (atheris) runs
them for a time, and the ordinary tests run each briefly, without it.
"""
