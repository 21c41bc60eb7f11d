#!/usr/bin/env python3
"""What the documents say about files must be so.

1. The Rust block of README.md is crates/vicar-os/examples/act_as.rs, letter by letter; cargo compiles that file.
2. Every path in backticks, in every document, exists.
3. The code map of ARCHITECTURE.md names every top-level module of every crate, and no other.
4. The manual for driver authors has the rules of the verifier, the fields of the structures and its first example as they are.
"""

import pathlib
import re
import sys

EXAMPLE = "crates/vicar-os/examples/act_as.rs"
MANUAL = "crates/vicar-ntifs/MANUAL.md"
DOCUMENTS = ["README.md", "ARCHITECTURE.md", "CONTRIBUTING.md", "SECURITY.md", "CHANGELOG.md", MANUAL]
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


def fields(body):
    """The names of a structure's fields; those of a nested one with its name before them."""
    names, open_at = [], []
    for line in re.sub(r"/\*.*?\*/", "", body).split("\n"):
        line = line.strip()
        if re.fullmatch(r"(?:struct|union) \{", line):
            open_at.append(len(names))
        elif closing := re.fullmatch(r"\} (\w+);", line):
            start = open_at.pop()
            names[start:] = [f"{closing[1]}.{name}" for name in names[start:]]
        elif field := re.fullmatch(r"[\w ]+?[ *]+(\w+)(?:\[[^\]]*\])?;", line):
            names.append(field[1])
    return names


def manual():
    text = read(MANUAL)
    rules = re.findall(r'/// (.*?)\n\s+\w+ = (\d+), "([^"]+)", "([^"]+)";', read("crates/vicar-ntifs/src/verifier/rule.rs"))
    told = re.findall(r"^\| (\d+) \| (.*?) \| (.*?) \| (.*?) \|$", text, re.M)
    there = [(number, name, doc, page) for doc, number, name, page in rules]
    for row in [*(row for row in there if row not in told), *(row for row in told if row not in there)]:
        yield f"{MANUAL} and rule.rs disagree about rule {row[0]}"
    header = read("crates/vicar-ntifs/include/ntifs.h")
    by_name = dict(re.findall(r"/\* By name\..*?\*/\ntypedef struct _(\w+) \{\n(.*?)\n\} \1", header, re.S))
    listed = {name: re.findall(r"`([\w.]+)`", row) for name, row in re.findall(r"^\| `([A-Z_]+)` \| (`.*) \|$", text, re.M)}
    for name in by_name.keys() | listed.keys():
        if name not in by_name or name not in listed or fields(by_name[name]) != listed[name]:
            yield f"{MANUAL} and ntifs.h disagree about the fields of {name}"
    drivers = [path.read_text(encoding="utf-8") for path in pathlib.Path("crates/vicar-ntifs/tests/drivers").glob("*.c")]
    faults = sum(len(re.findall(r'^  \{ "', text, re.M)) - 1 for text in drivers)
    if f"with each of {faults} faults" not in read("README.md").replace("\n", " "):
        yield f"README.md must say that there are {faults} faults of {len(drivers)} drivers"
    if f"```c\n{read('crates/vicar-ntifs/examples/drivers/page.c')}```" not in text:
        yield f"{MANUAL} must show examples/drivers/page.c as it is"


def main():
    found = [*example(), *paths(), *code_map(), *manual()]
    print("\n".join(found) if found else "example, paths and code map are so")
    return 1 if found else 0


if __name__ == "__main__":
    sys.exit(main())
