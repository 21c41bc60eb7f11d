#!/usr/bin/env python3
"""The Rust block of README.md must be crates/vicar-os/examples/act_as.rs, letter by letter; cargo compiles that file."""

import pathlib
import re
import sys

EXAMPLE = "crates/vicar-os/examples/act_as.rs"


def main():
    blocks = re.findall(r"^```rust\n(.*?)^```$", pathlib.Path("README.md").read_text(encoding="utf-8"), re.M | re.S)
    if blocks == [pathlib.Path(EXAMPLE).read_text(encoding="utf-8")]:
        print(f"{len(blocks[0].splitlines())} lines")
        return 0
    print(f"README.md has {len(blocks)} Rust blocks; its only one must be the text of {EXAMPLE}")
    return 1


if __name__ == "__main__":
    sys.exit(main())
