#!/usr/bin/env python3
"""What the documents say about files must be so.

1. The Rust block of README.md is crates/vicar-os/examples/act_as.rs, letter by letter; cargo compiles that file.
2. Every path in backticks, in every document, exists.
3. The code map of ARCHITECTURE.md names every top-level module of every crate, and no other.
"""

import pathlib
import re
import sys

EXAMPLE = "crates/vicar-os/examples/act_as.rs"
DOCUMENTS = ["README.md", "ARCHITECTURE.md", "CONTRIBUTING.md", "SECURITY.md", "CHANGELOG.md"]
PATH = re.compile(r"`((?:crates|tools|vectors|golden|include)/[A-Za-z0-9_./-]*|(?:README|ARCHITECTURE|CONTRIBUTING|SECURITY|CHANGELOG)\.md|\./check)`")


def read(path):
    return pathlib.Path(path).read_text(encoding="utf-8")


def example():
    blocks = re.findall(r"^```rust\n(.*?)^```$", read("README.md"), re.M | re.S)
    if blocks != [read(EXAMPLE)]:
        yield f"README.md has {len(blocks)} Rust blocks; its only one must be the text of {EXAMPLE}"


def paths():
    for document in DOCUMENTS:
        for path in PATH.findall(read(document)):
            if not pathlib.Path(path).exists():
                yield f"{document} names {path}, which does not exist"


def code_map():
    sections = re.findall(r"^### `([a-z-]+)`\n(.*?)(?=^#)", read("ARCHITECTURE.md") + "\n#", re.M | re.S)
    crates = {path.parent.name for path in pathlib.Path("crates").glob("*/Cargo.toml")}
    for name in crates ^ {name for name, _ in sections}:
        yield f"ARCHITECTURE.md and crates/ disagree about {name}"
    for name, text in sections:
        source = pathlib.Path("crates", name, "src")
        there = {
            path.stem for path in source.glob("*")
            if path.is_dir() or (path.suffix == ".rs" and path.stem not in ("lib", "main") and not path.stem.endswith("tests"))
        }
        told = set(re.findall(r"^\| `([a-z0-9_]+)`", text, re.M))
        for module in sorted(there - told):
            yield f"ARCHITECTURE.md does not say what {name}::{module} is"
        for module in sorted(told - there):
            yield f"ARCHITECTURE.md tells of {name}::{module}, which does not exist"


def main():
    found = [*example(), *paths(), *code_map()]
    print("\n".join(found) if found else "example, paths and code map are so")
    return 1 if found else 0


if __name__ == "__main__":
    sys.exit(main())
