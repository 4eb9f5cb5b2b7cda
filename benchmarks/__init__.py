"""What Tidegate costs, each figure beside a reference taken in the same run.

    python -m benchmarks NAME       burst, memory, echo, handshake, or all of them

It starts the real thing, `tidegate start` with the apps of `servers.py`, next to a bare server without features
(`bare.py`), and puts load on both from a process of its own (`load.py`), which has the other core where there are
two. A machine is noisy: what counts is the ratio. Linux only, since the load uses epoll.
"""
