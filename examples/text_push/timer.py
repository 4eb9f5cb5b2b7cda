"""Push the time every so many seconds, until Ctrl-C: `python timer.py 5`."""

import contextlib
import sys
import time

from push import push

try:
    seconds = float(sys.argv[1])
except (IndexError, ValueError):
    seconds = 0
if not 0 < seconds <= 86_400:
    sys.exit("usage: python timer.py SECONDS")

with contextlib.suppress(KeyboardInterrupt):
    while True:
        try:
            print(push(time.strftime("It is %H:%M:%S.")), flush=True)
        except OSError as error:  # nobody is there: perhaps the next time
            print(f"nothing was pushed: {error}", file=sys.stderr, flush=True)
        time.sleep(seconds)
