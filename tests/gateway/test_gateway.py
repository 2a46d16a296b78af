#!/usr/bin/env python3
"""The gateway as its clients see it: a real broker, a real process, clients that share no code with it."""
import os

import kit

if "PAWL_GATEWAY_GO" in os.environ:
    MODULES = ("test_go",)
else:
    MODULES = ("test_publishing", "test_services", "test_ending", "test_hostile")
for module in MODULES:  # so that a test's name is Class.test
    globals().update({name: item for name, item in vars(__import__(module)).items() if isinstance(item, type)})
del globals()["Case"]


if __name__ == "__main__":
    kit.main()
