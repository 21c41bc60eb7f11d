#!/usr/bin/env python3
"""Builds every test program of the workspace once, with one set of features, and lists them.

Prints a line per program: package, TAB, what it is (lib, bin or the name of an integration test), TAB, the program, TAB,
the package's directory. Compiler messages go to standard error.
"""

import json
import os
import subprocess
import sys


def main():
    build = subprocess.Popen(
        ["cargo", "test", "--workspace", "--locked", "--no-run", "--message-format=json-render-diagnostics"],
        stdout=subprocess.PIPE, text=True)
    for line in build.stdout:
        message = json.loads(line)
        if message.get("reason") != "compiler-artifact" or not message.get("executable"):
            continue
        if not message["profile"]["test"]:
            continue
        target = message["target"]
        kind = target["name"] if "test" in target["kind"] else target["kind"][0]
        directory = os.path.dirname(message["manifest_path"])
        package = os.path.basename(directory)
        print(package, kind, message["executable"], directory, sep="\t")
    return build.wait()


if __name__ == "__main__":
    sys.exit(main())
