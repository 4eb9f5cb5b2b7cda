"""Numbered traffic through a real app whose processes are killed, stopped, reloaded and restarted at random.

``python -m tests.chaos --minutes N [--seed S]`` accounts for every message afterwards: what was sent is what arrived,
and what was counted as lost and why. `records` keeps what clients saw and `accounts` judges it, both without I/O.
"""
