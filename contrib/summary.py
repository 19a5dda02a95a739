#!/usr/bin/env python3
# SPDX-License-Identifier: LGPL-2.1-or-later
"""summary.py TESTLOG.json...: add up what meson's test logs say.

Prints the tests that did not pass, then, alone on the last line, 'N passed, N failed, N skipped'.
Exits 0 if none failed; with CI in the environment a skipped test counts as a failure.
"""

import json
import os
import sys

PASSED = {"OK", "EXPECTEDFAIL"}
SKIPPED = {"SKIP"}


def results(path):
    with open(path, encoding="utf-8") as log:
        for line in log:
            test = json.loads(line)
            yield test["name"], test["result"]


def main():
    count = {"passed": 0, "failed": 0, "skipped": 0}
    for path in sys.argv[1:]:
        for name, result in results(path):
            kind = "passed" if result in PASSED else "skipped" if result in SKIPPED else "failed"
            count[kind] += 1
            if kind != "passed":
                print(f"{result}: {name}")
    bad = count["failed"] + (count["skipped"] if os.environ.get("CI") else 0)
    print("{passed} passed, {failed} failed, {skipped} skipped".format(**count))
    return 1 if bad or not count["passed"] else 0


if __name__ == "__main__":
    sys.exit(main())
