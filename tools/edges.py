#!/usr/bin/env python3
"""Which crate may depend on which, and what may come from outside.

The table is exact: an edge that is not in it fails, and so does an edge in it that nobody uses any more.
Everything is read from `cargo metadata`; development dependencies count.
"""

import json
import re
import subprocess
import sys

EDGES = {
    "vicar-nt": set(),
    "vicar-kernel": {"vicar-nt"},
    "vicar-os": {"vicar-kernel", "vicar-nt"},
    "vicar-ntifs": {"vicar-kernel", "vicar-nt"},
    "vicar-gateway": {"vicar-os"},
    "vicar": {"vicar-gateway", "vicar-os", "vicar-kernel", "vicar-nt"},
    "vicar-bench": {"vicar-os", "vicar-kernel", "vicar-nt"},
}
# Crates that must stay small enough to read: everything they may take from outside, tests apart.
OUTSIDE = {
    "vicar-nt": {"bitflags", "sha1", "sha2"},
    "vicar-kernel": set(),
    "vicar-os": {"io-uring", "libc", "rustix", "smallvec", "zeroize"},
    "vicar-ntifs": {"backtrace"},
}
# What an adapter brings, each behind a feature that is off by default.
OPTIONAL = {
    "vicar-os": {
        "axum-core", "http", "libgssapi", "libgssapi-sys", "pin-project-lite", "tokio", "tower-layer", "tower-service",
    },
}
# What links or needs a C library, and the only feature that may bring it. No other crate, and no other feature, may.
FOREIGN = {"libgssapi", "libgssapi-sys"}
FOREIGN_FEATURE = ("vicar-os", "kerberos")
# Builds that try interleavings out; nothing that is shipped is built so.
TRIALS = {"cfg(loom)", "cfg(shuttle)"}
# Crates with code that is not Rust. `ring` compiles its own C and assembly and needs nothing installed but a C compiler.
# `clang-sys` loads libclang while libgssapi-sys is built; whether it is in a build is looked at below.
LINKS = {"ring", "clang-sys"}
PERMISSIVE = {
    "MIT", "MIT-0", "Apache-2.0", "Apache-2.0 WITH LLVM-exception", "BSD-2-Clause", "BSD-3-Clause", "ISC", "Zlib",
    "Unicode-3.0", "Unlicense", "0BSD", "BSL-1.0", "CC0-1.0", "CDLA-Permissive-2.0",
}


def permissive(expression):
    """Whether some choice within an SPDX expression needs permissive licences only."""
    tokens = re.findall(r"\(|\)|\bAND\b|\bOR\b|[^()\s/]+(?:\s+WITH\s+[^()\s]+)?|/", expression)

    def either(at):
        value, at = both(at)
        while at < len(tokens) and tokens[at] in ("OR", "/"):
            other, at = both(at + 1)
            value = value or other
        return value, at

    def both(at):
        value, at = one(at)
        while at < len(tokens) and tokens[at] == "AND":
            other, at = one(at + 1)
            value = value and other
        return value, at

    def one(at):
        if tokens[at] == "(":
            value, at = either(at + 1)
            return value, at + 1
        return tokens[at] in PERMISSIVE, at + 1

    return bool(tokens) and either(0)[0]


def foreign(ours, packages):
    """Who could bring a C library, other than the one feature for it; and whether the default build has it none the less."""
    found = []
    for name, package in ours.items():
        brings = {d["name"] for d in package["dependencies"] if d["name"] in FOREIGN}
        if brings and name != FOREIGN_FEATURE[0]:
            found.append(f"{name} -> {sorted(brings)}: a C library")
        for feature, parts in package["features"].items():
            own = (name, feature) == FOREIGN_FEATURE
            brought = {part.removeprefix("dep:").split("/")[0].rstrip("?") for part in parts} & FOREIGN
            asked = any(part.split("/")[-1] == FOREIGN_FEATURE[1] for part in parts)
            if (brought and not own) or asked:
                found.append(f"{name}: feature {feature} brings a C library")
        for dependency in package["dependencies"]:
            if dependency["name"] == FOREIGN_FEATURE[0] and FOREIGN_FEATURE[1] in dependency["features"]:
                found.append(f"{name} -> {dependency['name']}: asks for the feature {FOREIGN_FEATURE[1]}")
    users = {p["name"] for p in packages.values() for d in p["dependencies"] if d["name"] in FOREIGN and d["kind"] != "dev"}
    found += [f"{user}: uses a C library" for user in sorted(users - FOREIGN - {FOREIGN_FEATURE[0]})]
    tree = subprocess.run(
        ["cargo", "tree", "--workspace", "--locked", "--prefix", "none", "--format", "{p}", "-e", "normal,build,dev"],
        check=True, capture_output=True, text=True).stdout
    built = {line.split()[0] for line in tree.splitlines() if line.strip()}
    found += [f"{name}: in the default build" for name in sorted(built & (FOREIGN | {"clang-sys", "bindgen"}))]
    return found


def main():
    found = []
    assert permissive("(MIT OR GPL-3.0) AND ISC") and not permissive("GPL-3.0-or-later") and not permissive("MIT AND GPL-2.0")
    data = json.loads(subprocess.run(
        ["cargo", "metadata", "--format-version", "1", "--locked"], check=True, capture_output=True).stdout)
    members = set(data["workspace_members"])
    packages = {package["id"]: package for package in data["packages"]}
    ours = {packages[member]["name"]: packages[member] for member in members}
    if set(ours) != set(EDGES):
        found.append(f"the table knows {sorted(EDGES)}, the workspace has {sorted(ours)}")
    for name, package in ours.items():
        # A crate that names itself does so for its tests, with features on.
        inner = {d["name"] for d in package["dependencies"] if d["name"] in ours and (d["name"], d["kind"]) != (name, "dev")}
        allowed = EDGES.get(name, set())
        found += [f"{name} -> {other}: not an edge of the design" for other in sorted(inner - allowed)]
        found += [f"{name} -> {other}: in the table, used by nobody" for other in sorted(allowed - inner)]
        if name in OUTSIDE:
            # A model checker replaces std's primitives in builds made for it (`--cfg loom`, `--cfg shuttle`), and in no other.
            shipped = [d for d in package["dependencies"] if d["kind"] != "dev" and d["target"] not in ("cfg(loom)", "cfg(shuttle)")]
            outside = {d["name"] for d in shipped if d["name"] not in ours and not d["optional"]}
            found += [f"{name} -> {other}: an outside crate this one may not need" for other in sorted(outside - OUTSIDE[name])]
            optional = {d["name"] for d in shipped if d["optional"]}
            found += [f"{name} -> {other}: no adapter of the design" for other in sorted(optional - OPTIONAL.get(name, set()))]
            found += [f"{name}: the default features bring an adapter" for _ in package["features"].get("default", [])[:1]]
    for package in packages.values():
        if package["id"] in members:
            continue
        title = f"{package['name']} {package['version']}"
        if not permissive(package["license"] or ""):
            found.append(f"{title}: licence {package['license']}")
        if package["links"] and package["name"] not in LINKS:
            found.append(f"{title}: links {package['links']}, a library that is not Rust")
    found += foreign(ours, packages)
    print("\n".join(found) if found else f"{sum(map(len, EDGES.values()))} edges, {len(packages)} packages")
    return 1 if found else 0


if __name__ == "__main__":
    sys.exit(main())
