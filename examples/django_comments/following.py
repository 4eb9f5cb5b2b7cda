"""A process that ends when the one that started it does, also where that was killed and could say nothing.

As a program it is tidegate's command line, made to follow: `python following.py start cluster.py`.
"""

import os
import signal
import threading
import time

LEADER = "FOLLOW_PID"  # in the environment of who follows; `live` puts its own pid there
SECONDS = 0.5


def follow() -> None:
    """End with the process named in the environment, if there is one."""
    leader = os.environ.pop(LEADER, None)
    if leader is not None:
        threading.Thread(target=watch, args=(int(leader),), daemon=True).start()


def watch(leader: int) -> None:
    while os.getppid() == leader:  # who has lost its parent is given another one
        time.sleep(SECONDS)
    os.kill(os.getpid(), signal.SIGTERM)


if __name__ == "__main__":
    from tidegate.cli import main

    follow()
    main()
