#!/usr/bin/env python3
"""Which identity-changing C functions a program imports.

Usage: imports.py PROGRAM

The C library's wrappers change every thread of the process by signalling it, so `vicar` may not call them. Three names
appear in every Rust program that can start a command: std uses them in the child between fork and exec when a caller asks
`Command` for another user or group. So this also fails if a source asks for that.
"""

import re
import subprocess
import sys

IDENTITY = re.compile(r"^(set(e|re|res|fs)?[ug]id|setgroups|initgroups|setlogin|capset|cap_set_.*|seteuid|setegid)(@.*)?$")
# std::sys::process::unix::do_exec, reached only through CommandExt::{uid, gid, groups}.
FROM_STD = {"setuid", "setgid", "setgroups"}
ASKS_STD = re.compile(r"CommandExt::(uid|gid|groups)\b")


def main():
    symbols = subprocess.run(["nm", "-D", "--undefined-only", sys.argv[1]], check=True, capture_output=True, text=True).stdout
    names = {line.split()[-1] for line in symbols.splitlines() if line.split()}
    identity = {name.split("@")[0] for name in names if IDENTITY.match(name)}
    found = [f"imports {name}" for name in sorted(identity - FROM_STD)]
    sources = subprocess.run(["git", "ls-files", "-co", "--exclude-standard", "crates/*/src/*.rs"], check=True,
                             capture_output=True, text=True).stdout.split()
    for source in sources:
        text = open(source, encoding="utf-8").read()
        if ASKS_STD.search(text) or ("CommandExt" in text and re.search(r"\.(uid|gid|groups)\([^)\s]", text)):
            found.append(f"{source}: asks std to change identity in a child")
    print("\n".join(found) if found else f"{len(names)} imports; of identity only std's own: {', '.join(sorted(identity)) or 'none'}")
    return 1 if found else 0


if __name__ == "__main__":
    sys.exit(main())
