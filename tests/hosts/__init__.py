"""A cluster on NATS over three hosts, which are network namespaces, and a fourth from where is pushed.

`python -m tests.hosts` does the same as the tests, for longer, with each host cut off once, and says how long it took.
"""
