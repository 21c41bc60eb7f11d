#!/usr/bin/env python3
"""Rules about the text of the sources that no lint states.

Usage: text_rules.py        checks every tracked or new file of the repository
       text_rules.py --prove    plants one violation of each rule and fails unless each is found
"""

import pathlib
import re
import subprocess
import sys

LENGTH_LIMIT = 500

UNSAFE_HOMES = re.compile(
    r"(?:^crates/(vicar-os/src/sys/[a-z0-9_]+\.rs|vicar-ntifs/src/ptr(\.rs|/[a-z0-9_]+\.rs)|vicar-ntifs/tests/it/call\.rs|vicar-bench/src/peers\.rs)$)"
    r"|tools/bare/src/lib\.rs$"
)
# The C interface: its routines are unsafe to call by nature and exported by name; what they do is in safe words.
EXPORTS = re.compile(r"^crates/vicar-ntifs/src/.+\.rs$")
EXPORTED = re.compile(r'^\s*(#\[unsafe\(no_mangle\)\]|pub unsafe extern "system" fn \w+\(.*)$')
UNSAFE_FORBIDDEN_ROOTS = [
    "crates/vicar-nt/src/lib.rs",
    "crates/vicar-kernel/src/lib.rs",
    "crates/vicar-gateway/src/lib.rs",
    "crates/vicar/src/main.rs",
]
UNFINISHED = re.compile(r"todo!|unimplemented!|\b(TODO|FIXME|XXX|HACK|stub|placeholder|for now|not (yet )?(implemented|supported yet|wired|built))\b")
BANNED_MODULES = {"common", "util", "utils", "helpers", "misc", "types", "prelude", "manager", "base"}
UNSAFE = re.compile(r"\bunsafe\s*(\{|fn\b|impl\b|extern\b|trait\b)|\bunsafe\s*\(|expect\(\s*unsafe_code")
ATTRIBUTE = re.compile(r"#!?\[\s*(?:cfg_attr\([^\]]*?,\s*)?(allow|expect)\(")
WORKPLACE = re.compile("(?<![A-Za-z0-9_.])/" + "work/")


def is_test(path):
    return "/tests/" in path or re.search(r"(/|_)tests\.rs$", path) or "/benches/" in path


def code(line):
    """The line without a trailing line comment; good enough for these rules."""
    return re.sub(r"//.*$", "", line)


def without_strings(line):
    return re.sub(r'"(\\.|[^"\\])*"', '""', line)


def rust_rules(path, text):
    found = []
    lines = text.split("\n")
    shipped = path.startswith("crates/") and not is_test(path)
    count = len(lines) - (1 if lines and lines[-1] == "" else 0)
    if shipped and "/src/" in path and count > LENGTH_LIMIT:
        found.append(f"{path}: {count} lines, limit {LENGTH_LIMIT}")
    stem = pathlib.PurePath(path).stem
    if stem == "mod":
        stem = pathlib.PurePath(path).parent.name
    if path.startswith("crates/") and stem in BANNED_MODULES:
        found.append(f"{path}: a module may not be called {stem}")
    for number, line in enumerate(lines, 1):
        where = f"{path}:{number}"
        if shipped and UNFINISHED.search(line):
            found.append(f"{where}: unfinished word: {line.strip()}")
        if re.match(r"\s*(pub(\([a-z]+\))?\s+)?mod\s+(%s)\b" % "|".join(sorted(BANNED_MODULES)), line):
            found.append(f"{where}: banned module name: {line.strip()}")
        if shipped and re.search(r"\bfn\s+process_(?!ids?\b)", line):
            found.append(f"{where}: process_ is no verb: {line.strip()}")
        exported = EXPORTS.match(path) and (EXPORTED.match(line) or path.endswith("/lib.rs") and "expect(" in line)
        if not UNSAFE_HOMES.match(path) and not exported and UNSAFE.search(without_strings(code(line))):
            found.append(f"{where}: unsafe outside its home: {line.strip()}")
    for match in ATTRIBUTE.finditer(text):
        depth, end = 0, match.end()
        start = text.index("[", match.start())
        for end in range(start, len(text)):
            depth += {"[": 1, "]": -1}.get(text[end], 0)
            if depth == 0:
                break
        number = text.count("\n", 0, match.start()) + 1
        attribute = text[match.start() : end + 1]
        if match.group(1) == "allow":
            found.append(f"{path}:{number}: allow; use expect, which fails when it is no longer needed")
        if "reason" not in attribute:
            found.append(f"{path}:{number}: a lint exception without a reason")
    if path in UNSAFE_FORBIDDEN_ROOTS and not re.search(r"^#!\[forbid\(unsafe_code\)\]", text, re.M):
        found.append(f"{path}: lacks #![forbid(unsafe_code)]")
    return found


def any_rules(path, text):
    return [
        f"{path}:{number}: a path of the machine it was written on"
        for number, line in enumerate(text.split("\n"), 1)
        if WORKPLACE.search(line)
    ]


def check(files):
    found = []
    for path, text in files:
        if path.endswith(".rs"):
            found += rust_rules(path, text)
        found += any_rules(path, text)
    return found


def tracked():
    names = subprocess.run(
        ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard"], check=True, capture_output=True
    ).stdout.decode()
    for name in filter(None, names.split("\0")):
        try:
            yield name, pathlib.Path(name).read_text(encoding="utf-8")
        except (UnicodeDecodeError, FileNotFoundError, IsADirectoryError):
            continue


def prove():
    source = "crates/vicar-kernel/src/"
    planted = {
        "too long": (source + "a.rs", "//\n" * (LENGTH_LIMIT + 1)),
        "unfinished word": (source + "a.rs", "// we do it like this " + "for" + " now\n"),
        "unfinished macro": (source + "a.rs", "fn f() { " + "to" + "do!() }\n"),
        "module file": (source + "utils.rs", "\n"),
        "module folder": (source + "helpers/mod.rs", "\n"),
        "module line": (source + "a.rs", "pub(crate) mod misc;\n"),
        "verb": (source + "a.rs", "fn process_request() {}\n"),
        "block": (source + "a.rs", "let x = " + "unsafe" + " { y };\n"),
        "block in the C interface": ("crates/vicar-ntifs/src/ob.rs", "let x = " + "unsafe" + " { y };\n"),
        "function in the C interface": ("crates/vicar-ntifs/src/ob.rs", "pub(crate) " + "unsafe" + " fn f() {}\n"),
        "function": ("crates/vicar/tests/a.rs", "unsafe" + " fn f() {}\n"),
        "allow": (source + "a.rs", '#[allow(dead_code, reason = "x")]\n'),
        "no reason": (source + "a.rs", "#[expect(\n    dead_code,\n)]\n"),
        "root": (source + "lib.rs", "//! Nothing.\n"),
        "path": ("README.md", "see /" + "work/main\n"),
    }
    missed = [name for name, file in planted.items() if not check([file])]
    clean = ("crates/vicar-os/src/sys/cred.rs", "// SAFETY: 1. x\nlet x = " + "unsafe" + ' { y };\n#[expect(dead_code, reason = "x")]\n')
    export = "#[" + 'unsafe(no_mangle)]\npub ' + 'unsafe' + ' extern "system" fn SeF() {}\n'
    spared = check([clean, ("crates/vicar-ntifs/src/ob.rs", export)])
    return [f"not found: {name}" for name in missed] + spared


def main():
    found = prove() if sys.argv[1:] == ["--prove"] else check(tracked())
    print("\n".join(found) if found else "as it should be")
    return 1 if found else 0


if __name__ == "__main__":
    sys.exit(main())
