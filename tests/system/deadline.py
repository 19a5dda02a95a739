# SPDX-License-Identifier: LGPL-2.1-or-later
"""Deadlines instead of sleeps."""

import time

# Generous: a sanitized build on two cores that guests keep busy must not fail for slowness, and a
# scheduler may leave a process waiting for half a minute there.
TIMEOUT = 60.0
STEP = 0.005


def wait_for(what, predicate, timeout=TIMEOUT):
    """Return predicate()'s first true value; past the deadline fail with the sentence `what`,
    which may be a function, so that it can tell what was there instead."""
    end = time.monotonic() + timeout
    while True:
        value = predicate()
        if value:
            return value
        if time.monotonic() > end:
            sentence = what() if callable(what) else what
            raise AssertionError(f"not within {timeout:g} s: {sentence}")
        time.sleep(STEP)
