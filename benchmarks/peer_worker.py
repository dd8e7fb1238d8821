"""What an engine's side of `peer.py` does: requests in, a JSON line each, numbers out.

["prompt", 512]   ->   0.91        the method's result, or the seconds that it took
"""

import json
import sys
import time


def serve(worker):  # type: ignore[no-untyped-def]
    """Call the methods that standard input names, until it ends."""
    for line in sys.stdin:
        name, *given = json.loads(line)
        start = time.perf_counter()
        found = getattr(worker, name)(*given)
        seconds = time.perf_counter() - start
        print(json.dumps(seconds if found is None else found), flush=True)


def peak_memory():  # type: ignore[no-untyped-def]
    """MB of this process that were resident at once."""
    with open("/proc/self/status") as status:
        return int(status.read().split("VmHWM:")[1].split()[0]) / 1024
