"""Waiting, for tests in Python."""
import time


def until(what, look, timeout=60):
    """Looks again until it is true; returns what it saw. `what` is said if it never is: a text, or a function that makes one."""
    end = time.monotonic() + timeout
    while not (seen := look()):
        if time.monotonic() > end:
            raise AssertionError(f"waited {timeout} s in vain for {what() if callable(what) else what}")
        time.sleep(0.01)
    return seen
