#!/usr/bin/env python3
"""Holds ntifs.h and vicar_test.h against the Rust that exports their routines, and against windows-sys.

Usage: header.py LIBRARY      compares headers, sources, the exports of LIBRARY and windows-sys, each both ways
       header.py coverage     every declared routine has a C test, an error test and its page in tests/golden/routines.txt, and
                              the fields of structures that are there by name are those the manual lists
       header.py names        prints what is declared, a name a line
       header.py --prove      plants one difference of each kind and fails unless each is found

A routine is the same on both sides if it has as many parameters, each of the same kind (integer of a width, pointer,
structure of a size), the same kind of result, and the same highest IRQL. A structure is the same if its fields have the
same names, offsets and sizes. The compiler says what a C type is, the aliases of `layout` what a Rust type is. The numbers of
the verifier's rules are compared too. Needs gcc or clang, nm and cargo.
"""

import json
import pathlib
import re
import shutil
import subprocess
import sys
import tempfile

CRATE = pathlib.Path(__file__).resolve().parent.parent / "crates/vicar-ntifs"
HEADERS = ["ntifs.h", "vicar_test.h"]
FLAGS = ["-std=c11", "-fshort-wchar", f"-I{CRATE / 'include'}"]
# windows-sys has numbers for opaque pointers, and its texts in another crate.
OPAQUE = {name: "*mut c_void" for name in ("PETHREAD", "PEPROCESS", "POBJECT_TYPE", "PIO_WORKITEM", "PCWSTR")}


def compiler():
    found = shutil.which("gcc") or shutil.which("clang")
    if not found:
        print("needs gcc or clang")
        sys.exit(77)
    return found


def headers():
    return [name for name in HEADERS if (CRATE / "include" / name).exists()]


# ---------------------------------------------------------------------------------------------------------------- C


def declarations(text):
    """Routines and data that preprocessed text declares: {name: (result, [parameters])} and {name: type}."""
    text = re.sub(r"__attribute__\s*\(\((?:[^()]|\((?:[^()]|\([^()]*\))*\))*\)\)", " ", text)
    text = re.sub(r"__extension__|\bextern\s+\"C\"", " ", text)
    functions, data, depth, statement = {}, {}, 0, ""
    for piece in re.split(r"([{};])", text):
        if piece == "{":
            depth += 1
            statement = "" if depth == 1 else statement
        elif piece == "}":
            depth -= 1
        elif piece == ";":
            if depth == 0:
                one = " ".join(statement.split())
                match = re.fullmatch(r"(?:extern )?((?:\w+[\s*]+)+)(\w+) ?\((.*)\)", one)
                if match and not one.startswith("typedef"):
                    inner = match.group(3).strip()
                    functions[match.group(2)] = (match.group(1).strip(), [] if inner in ("void", "") else split(inner))
                match = re.fullmatch(r"extern ((?:\w+[\s*]+)+)(\w+)", one)
                if match:
                    data[match.group(2)] = match.group(1).strip()
            statement = ""
        elif depth == 0:
            statement += piece
    return functions, data


def split(inner):
    """Parameters at commas outside parentheses and angle brackets."""
    parts, depth, part = [], 0, ""
    for character in re.sub(r"->", "\1", inner):
        depth += {"(": 1, "<": 1, "[": 1, ")": -1, ">": -1, "]": -1}.get(character, 0)
        if character == "," and depth == 0:
            parts.append(part.strip())
            part = ""
        else:
            part += character
    return [one.replace("\1", "->") for one in parts + [part.strip()] if one]


def c_type(parameter):
    """The type of a parameter without its name."""
    parameter = parameter.strip()
    if re.search(r"\(\s*\*", parameter):
        return "void *"
    return re.sub(r"(?<=[\s*])\w+$", "", parameter).strip() if re.search(r"[\s*]\w+$", parameter) else parameter


def own_text():
    """What the preprocessor makes of our headers, without what they include from elsewhere."""
    source = "".join(f'#include "{name}"\n' for name in headers())
    out = subprocess.run([compiler(), "-E", "-x", "c", *FLAGS, "-"], input=source, capture_output=True, text=True, check=True).stdout
    mine, lines = False, []
    for line in out.split("\n"):
        marker = re.match(r'# \d+ "(.*?)"', line)
        if marker:
            mine = str(CRATE) in marker.group(1)
        elif mine:
            lines.append(line)
    return "\n".join(lines)


def kinds_of(types):
    """What the compiler says of C types: {type: ("int", 4, signed) | ("ptr", 8, 0) | ("struct", size, 0)}."""
    types = sorted(set(types) - {"void", "VOID"})
    rows = "".join(
        f'  {{ __extension__ __typeof__({one}) *p = 0; (void)p; printf("%d %zu %d\\n", __builtin_classify_type(*p), sizeof *p, SIGN(*p)); }}\n'
        for one in types
    )
    program = "".join(f'#include "{name}"\n' for name in headers()) + (
        "#include <stdio.h>\n"
        "#define SIGN(x) _Generic((x), signed char: 1, char: (char)-1 < 0, short: 1, int: 1, long: 1, long long: 1, default: 0)\n"
        f"int main(void) {{\n{rows}  return 0;\n}}\n"
    )
    with tempfile.TemporaryDirectory() as where:
        binary = pathlib.Path(where) / "kinds"
        subprocess.run([compiler(), "-w", *FLAGS, "-x", "c", "-", "-o", binary], input=program, text=True, check=True)
        out = subprocess.run([binary], capture_output=True, text=True, check=True).stdout.split("\n")
    found = {"void": ("void", 0, 0), "VOID": ("void", 0, 0)}
    for one, line in zip(types, out):
        kind, size, sign = map(int, line.split())
        # A structure is no integer, enumeration, boolean or pointer.
        name = "ptr" if kind == 5 else "int" if kind in (1, 2, 3, 4) else "struct"
        found[one] = (name, size, sign if name == "int" else 0)
    return found


def c_side():
    functions, data = declarations(own_text())
    types = [c_type(one) for result, parameters in functions.values() for one in parameters]
    kinds = kinds_of(types + [result for result, _ in functions.values()] + list(data.values()))
    routines = {name: [kinds[result], *(kinds[c_type(one)] for one in parameters)] for name, (result, parameters) in functions.items()}
    return routines, {name: kinds[one] for name, one in data.items()}


# ------------------------------------------------------------------------------------------------------------- Rust

INTEGERS = {f"{sign}{bits}": ("int", bits // 8, int(sign == "i")) for sign in "iu" for bits in (8, 16, 32, 64)}
INTEGERS |= {"usize": ("int", 8, 0), "isize": ("int", 8, 1), "bool": ("int", 1, 0), "c_char": ("int", 1, 1), "c_int": ("int", 4, 1)}
EXPORT = re.compile(
    r"#\[unsafe\(no_mangle\)\]\s*(?:#\[[^\]]*\]\s*)*pub\s+(?:unsafe\s+)?extern\s+\"(?:system|C)(?:-unwind)?\"\s+fn\s+(\w+)\s*\(((?:[^()]|\((?:[^()]|\([^()]*\))*\))*)\)\s*(?:->\s*([^{]+?))?\s*\{"
)
STATIC = re.compile(r"#\[unsafe\(no_mangle\)\]\s*(?:#\[[^\]]*\]\s*)*pub\s+static\s+(?:mut\s+)?(\w+)\s*:\s*([^=]+?)\s*=")


def rust_kind(type_name, aliases, sizes):
    one = " ".join(type_name.split())
    for _ in range(20):
        if one in ("()", "!"):
            return ("void", 0, 0)
        # A pointer that may be null, a pointer behind a type that only makes it shareable.
        inner = re.fullmatch(r"(?:Option|\w*Export)\s*<\s*(.*?)\s*>", one)
        if inner:
            one = inner.group(1)
            continue
        if one.startswith("*") or re.match(r"(Option\s*<\s*)?(unsafe )?extern|&|Option\s*<\s*(&|NonNull)|AtomicPtr", one):
            return ("ptr", 8, 0)
        one = one.rsplit("::", 1)[-1]
        if one in INTEGERS:
            return INTEGERS[one]
        if one in aliases:
            one = aliases[one]
            continue
        return ("struct", sizes.get(one, -1), 0)
    return ("struct", -1, 0)


def rust_side(sources, sizes):
    aliases = aliases_of(sources)
    routines, data = {}, {}
    for text in sources:
        text = re.sub(r"^\s*//.*$", "", text, flags=re.M)
        for name, inner, result in EXPORT.findall(text):
            parameters = [one.split(":", 1)[1].strip() for one in split(" ".join(inner.split()))]
            routines[name] = [rust_kind(one, aliases, sizes) for one in [result or "()", *parameters]]
        for name, what in STATIC.findall(text):
            data[name] = rust_kind(what, aliases, sizes)
    return routines, data


def rust_sources():
    return [path.read_text() for path in sorted((CRATE / "src").rglob("*.rs"))]


def exports(library):
    out = subprocess.run(["nm", "-D", "--defined-only", library], capture_output=True, text=True, check=True).stdout
    return {line.split()[-1] for line in out.splitlines() if line.split()[-2] in "TBDRV"} - {"_init", "_fini"}


# ---------------------------------------------------------------------------------------------------------- witness


def witness_sources():
    out = subprocess.run(["cargo", "metadata", "--format-version", "1", "--locked", "--offline"], capture_output=True, text=True, check=True, cwd=CRATE)
    package = [one for one in json.loads(out.stdout)["packages"] if one["name"] == "windows-sys" and one["version"].startswith("0.61.")]
    root = pathlib.Path(package[0]["manifest_path"]).parent / "src/Windows"
    return [path.read_text() for path in root.rglob("*.rs")]


def witness_side(sources, names, sizes):
    """What windows-sys says of routines, BOOLEAN being a byte."""
    aliases = {}
    for text in sources:
        aliases |= dict(re.findall(r"pub type (\w+)\s*=\s*([^;]+);", text))
    aliases |= OPAQUE
    routines = {}
    for text in sources:
        for name, inner, result in re.findall(r'link!\("[^"]*" "(?:system|C)" fn (\w+)\((.*?)\)(?: -> ([^)]*?))?\);', text):
            if name in names and name not in routines:
                inner = re.sub(r"\s*::\s*", "::", inner).replace("r#", "")
                parameters = [one.split(":", 1)[1].strip() for one in split(re.sub(r"(\w) : ", r"\1:", inner))]
                result = re.sub(r"\s*::\s*", "::", result or "()").strip()
                routines[name] = [rust_kind(one, aliases, sizes) for one in [result, *parameters]]
    return routines


# ----------------------------------------------------------------------------------------------------------- compare


def show(kinds):
    names = [f"{'i' if kind[2] else 'u'}{kind[1] * 8}" if kind[0] == "int" else kind[0] if kind[0] != "struct" else f"struct{kind[1]}" for kind in kinds]
    return f"({', '.join(names[1:])}) -> {names[0]}"


def loose(kinds):
    """Without signs: an enumeration of C is signed or not as its compiler likes."""
    return [kind[:2] for kind in kinds]


def compare(c, rust, exported, witness, c_data=None, rust_data=None):
    c_data, rust_data, found = c_data or {}, rust_data or {}, []
    for name in sorted(set(c) - set(rust)):
        found.append(f"{name}: declared, and no Rust function of this name is exported")
    for name in sorted(set(rust) - set(c)):
        found.append(f"{name}: exported by Rust, and declared in no header")
    for name in sorted(set(c) & set(rust)):
        if loose(c[name]) != loose(rust[name]):
            found.append(f"{name}: the header says {show(c[name])}, Rust {show(rust[name])}")
    for name in sorted(set(c_data) ^ set(rust_data)):
        found.append(f"{name}: data that only {'the header' if name in c_data else 'Rust'} has")
    for name in sorted(set(c_data) & set(rust_data)):
        if c_data[name][:2] != rust_data[name][:2]:
            found.append(f"{name}: the header says {c_data[name]}, Rust {rust_data[name]}")
    if exported is not None:
        declared = set(c) | set(c_data)
        found += [f"{name}: declared, and not in the library" for name in sorted(declared - exported)]
        found += [f"{name}: in the library, and declared in no header" for name in sorted(exported - declared)]
    for name in sorted(set(witness) & set(c)):
        if loose(witness[name]) != loose(c[name]):
            found.append(f"{name}: the header says {show(c[name])}, windows-sys {show(witness[name])}")
    return found


def sizes_of_structures():
    names = sorted(set(re.findall(r"^} (\w+)[,;]", own_text(), re.M)))
    return {name: kind[1] for name, kind in kinds_of(names).items() if kind[0] == "struct"}


# -------------------------------------------------------------------------------------------- structures, levels, rules

STRUCTURE = re.compile(r"#\[repr\(C\)\]\s*(?:#\[[^\]]*\]\s*|///[^\n]*\n\s*)*pub struct (\w+) \{(.*?)\n\s*\}", re.S)


def rust_structures(sources):
    """{name: [(field, type)]}"""
    found = {}
    for text in sources:
        for name, body in STRUCTURE.findall(text):
            found[name] = re.findall(r"^\s*pub (\w+): ([^\n]+?),?$", body, re.M)
            if "$member" in body:
                # Made by a macro, whose `order` says the fields.
                order = re.search(r"^    order \{(.*?)^    \}", text, re.M | re.S)
                found[name] = re.findall(r"^\s*(\w+): (\w+) = \w+,$", order.group(1) if order else "", re.M)
            elif "$" in name:
                del found[name]
    return found


def c_structures(wanted):
    """What the compiler says: {name: (size, alignment, {field: (offset, size)})}, and what it does not know."""
    names = set(re.findall(r"\b(\w+)\s*(?:,[^;{}]*)?;", own_text()))
    present = {name: fields for name, fields in wanted.items() if name in names}
    rows = []
    for name, fields in sorted(present.items()):
        rows.append(f'printf("{name} %zu %zu\\n", sizeof({name}), _Alignof({name}));')
        rows += [f'printf("{name}.{field} %zu %zu\\n", offsetof({name}, {field}), sizeof((({name} *)0)->{field}));' for field, _ in fields]
    program = "".join(f'#include "{name}"\n' for name in headers()) + "#include <stdio.h>\nint main(void) {\n" + "\n".join(rows) + "\nreturn 0; }\n"
    with tempfile.TemporaryDirectory() as where:
        binary = pathlib.Path(where) / "structures"
        made = subprocess.run([compiler(), "-w", *FLAGS, "-x", "c", "-", "-o", binary], input=program, text=True, capture_output=True)
        if made.returncode != 0:
            return {}, [f"a field that only Rust has: {line}" for line in made.stderr.splitlines() if "error" in line]
        out = subprocess.run([binary], capture_output=True, text=True, check=True).stdout
    found = {}
    for line in out.splitlines():
        name, one, other = line.split()
        if "." in name:
            name, field = name.split(".")
            found[name][2][field] = (int(one), int(other))
        else:
            found[name] = (int(one), int(other), {})
    return found, []


def rust_layout(fields, aliases, known):
    """Sizes and offsets as `repr(C)` lays fields out; None when a type is not known."""
    at, most, places = 0, 1, {}
    for field, one in fields:
        count = 1
        array = re.fullmatch(r"\[(.+); (\w+)\]", one)
        if array:
            one, count = array.group(1), int(array.group(2)) if array.group(2).isdigit() else None
        if count is None:
            return None
        kind = rust_kind(one, aliases, {})
        if kind[0] == "struct":
            name = one.rsplit("::", 1)[-1]
            if name not in known:
                return None
            size, align = known[name][:2]
        else:
            size = align = kind[1]
        at = -(-at // align) * align
        places[field] = (at, size * count)
        at, most = at + size * count, max(most, align)
    return (-(-at // most) * most, most, places)


def compare_structures(c, rust, aliases):
    found = []
    for name, (size, align, fields) in sorted(c.items()):
        layout = rust_layout(rust[name], aliases, c)
        if layout is None:
            continue
        if layout != (size, align, fields):
            found.append(f"{name}: the header has size {size}, alignment {align}, fields {fields}; Rust {layout}")
    return found


def aliases_of(sources):
    found = {}
    for text in sources:
        found |= {name: " ".join(what.split()) for name, what in re.findall(r"pub(?:\(crate\))? type (\w+)\s*=\s*([^;]+);", text)}
    return found


def levels_in_headers(texts):
    """The highest IRQL of each routine whose declaration names one."""
    found = {}
    for text in texts:
        text = re.sub(r"/\*.*?\*/", " ", text, flags=re.S)
        text = re.sub(r"^\s*#.*$", " ", text, flags=re.M)
        for statement in re.split(r"[;{}]", text):
            level = re.search(r"_IRQL_requires_max_\((\w+)\)", statement)
            name = re.search(r"(?:NTAPI|FASTCALL)\s+(\w+)\s*\(", statement)
            if level and name:
                found[name.group(1)] = level.group(1)
    return found


def compare_levels(declared, sources):
    found = []
    for text in sources:
        for name, level in re.findall(r"routine!\(\s*(\w+),\s*(\w+),", text):
            if name in declared and declared[name] != level:
                found.append(f"{name}: the header says {declared[name]}, Rust {level}")
            if name not in declared and level != "HIGH_LEVEL" and not name.startswith("vicar_"):
                found.append(f"{name}: Rust says {level}, the header no level")
    return found


def compare_rules(header, source):
    declared = {name.lower().replace("_", "-"): int(number) for name, number in re.findall(r"VICAR_RULE_(\w+) = (\d+)", header)}
    rules = {text: int(number) for number, text in re.findall(r'^\s*\w+ = (\d+), "([^"]+)",', source, re.M)}
    return [f"rule {name}: the header says {declared.get(name)}, Rust {rules.get(name)}"
            for name in sorted(declared.keys() | rules.keys()) if declared.get(name) != rules.get(name)]


# ---------------------------------------------------------------------------------------------------------- coverage


def compare_lists(manual, header):
    """The fields of the structures that the manual lists, against the header; both ways."""
    block = re.search(r"```by-name\n(.*?)```", manual, re.S)
    listed = dict(line.split(": ", 1) for line in block.group(1).splitlines()) if block else {}
    header = re.sub(r"/\*.*?\*/", "", header, flags=re.S)
    found = [] if listed else ["the manual has no list of fields"]
    for name, fields in listed.items():
        body = re.search(rf"typedef struct _{name} \{{\n(.*?)\n\}} {name}\b", header, re.S)
        inner = re.findall(r"^  (?:\w[\w *]*?[ *]|\} )(\w+)(?:\[[^;]*\])?;", body.group(1), re.M) if body else []
        if inner != fields.split():
            found.append(f"{name}: the manual lists {fields}; the header has {' '.join(inner)}")
    return found


def read_coverage(text):
    rows = {}
    for number, line in enumerate(text.splitlines(), 1):
        line = line.split("#", 1)[0].strip()
        if line:
            cells = [cell.strip() for cell in line.split("|")]
            rows[cells[0]] = (number, cells[1:])
    return rows


def coverage(declared, rows, sources):
    """Each declared routine has a row: test | error test | page; the tests exist and call it."""
    found = []
    tests = {}
    for text in sources:
        for match in re.finditer(r"^(?:TEST|[A-Z_]*TEST)\((\w+)\)\s*\{(.*?)^\}", text, re.M | re.S):
            tests[match.group(1)] = match.group(2)
    helpers = "\n".join(sources)
    for name in sorted(set(declared) - set(rows)):
        found.append(f"{name}: declared, and not in routines.txt")
    for name in sorted(set(rows) - set(declared)):
        found.append(f"{name}: in routines.txt, and not declared")
    for name in sorted(set(rows) & set(declared)):
        number, cells = rows[name]
        if len(cells) != 3 or not all(cells):
            found.append(f"routines.txt:{number}: {name} needs test | error test | page")
            continue
        for what, test in zip(("test", "error test"), cells):
            if what == "error test" and test.startswith("cannot fail"):
                continue
            if test not in tests:
                found.append(f"{name}: its {what} {test} does not exist")
            elif not re.search(rf"\b{name}\b", tests[test]) and not called_by_helper(name, tests[test], helpers):
                found.append(f"{name}: its {what} {test} does not call it")
    return found


def called_by_helper(name, body, text):
    """Whether the test uses a function of the test sources that calls the routine, itself or through another, or a macro."""
    seen, left = set(), {body}
    while left:
        for helper in set(re.findall(r"\b([a-z]\w+)\b", left.pop())) - seen:
            seen.add(helper)
            match = re.search(rf"^(?:static |inline |__attribute__\(\(unused\)\) )*[\w *]+\b{helper}\([^;{{]*\)\s*\{{(.*?)^\}}", text, re.M | re.S)
            if match:
                if re.search(rf"\b{name}\b", match.group(1)):
                    return True
                left.add(match.group(1))
    macros = {"vicar_query_subject_context_token": "SeQuerySubjectContextToken", "vicar_paged_code": "PAGED_CODE",
              "ObfReferenceObject": "ObReferenceObject", "ObfDereferenceObject": "ObDereferenceObject"}
    return name in macros and re.search(rf"\b{macros[name]}\b", body) is not None


# ------------------------------------------------------------------------------------------------------------- prove


def prove():
    text = "int32_t F(void *Sid, uint32_t Length, uint8_t Flag);\nvoid G(void);\nextern void *D;\n"
    functions, data = declarations(text)
    kind = {"void": ("void", 0, 0), "int32_t": INTEGERS["i32"], "void *": ("ptr", 8, 0), "uint32_t": INTEGERS["u32"], "uint8_t": INTEGERS["u8"]}
    c = {name: [kind[result], *(kind[c_type(one)] for one in parameters)] for name, (result, parameters) in functions.items()}
    c_data = {name: kind[one] for name, one in data.items()}
    head = '#[unsafe(no_mangle)]\npub unsafe extern "system" fn '
    base = [
        f"pub type NTSTATUS = i32;\n{head}F(\n    sid: *mut c_void,\n    length: u32,\n    flag: u8,\n) -> NTSTATUS {{\n0 }}",
        f"{head}G() {{\n}}\n#[unsafe(no_mangle)]\npub static D: *mut c_void = core::ptr::null_mut();",
    ]
    witness = ['link!("x" "system" fn F(sid : *const core::ffi:: c_void, length : u32, flag : bool) -> NTSTATUS);']

    def run(c=c, sources=base, exported=frozenset({"F", "G", "D"}), says=witness, c_data=c_data):
        rust, rust_data = rust_side(sources, {})
        return compare(c, rust, exported, witness_side(["pub type NTSTATUS = i32;", *says], set(c), {}), c_data, rust_data)

    missed = [f"found in what is right: {one}" for one in run()]
    planted = {
        "declared only": run(c=c | {"H": [("void", 0, 0)]}, exported={"F", "G", "D", "H"}),
        "exported only": run(sources=base + [head + "H() {\n}"]),
        "a parameter fewer": run(sources=[base[0].replace("    flag: u8,\n", ""), base[1]]),
        "a narrower parameter": run(sources=[base[0].replace("length: u32", "length: u16"), base[1]]),
        "a pointer for an integer": run(sources=[base[0].replace("length: u32", "length: *mut u32"), base[1]]),
        "another result": run(sources=[base[0].replace("-> NTSTATUS", "-> u8"), base[1]]),
        "no result": run(sources=[base[0].replace("-> NTSTATUS ", ""), base[1]]),
        "another alias": run(sources=[base[0].replace("NTSTATUS = i32", "NTSTATUS = i64"), base[1]]),
        "not in the library": run(exported={"F", "D"}),
        "more in the library": run(exported={"F", "G", "D", "X"}),
        "data only in Rust": run(c_data={}),
        "windows-sys": run(says=[witness[0].replace("length : u32", "length : u64")]),
        "windows-sys, another count": run(says=[witness[0].replace(", flag : bool", "")]),
    }
    structure = '#[repr(C)]\n#[derive(Clone)]\npub struct S {\n    /// A.\n    pub A: u8,\n    pub B: [u32; 2],\n}'
    fields = rust_structures([structure])
    said = {"S": (12, 4, {"A": (0, 1), "B": (4, 8)})}
    missed += compare_structures(said, fields, {})
    level = "_IRQL_requires_max_(APC_LEVEL) VOID NTAPI F(VOID);"
    missed += compare_levels(levels_in_headers([level]), ["routine!(F, APC_LEVEL, \"x\")"])
    rule = '    Irql = 1, "wrong-irql", "page";'
    missed += compare_rules("VICAR_RULE_WRONG_IRQL = 1", rule)
    planted |= {
        "a field that moved": compare_structures({"S": (12, 4, {"A": (0, 1), "B": (1, 8)})}, fields, {}),
        "a structure that grew": compare_structures({"S": (16, 4, said["S"][2])}, fields, {}),
        "a field fewer": compare_structures({"S": (12, 4, {"A": (0, 1)})}, fields, {}),
        "another level": compare_levels(levels_in_headers([level]), ["routine!(F, PASSIVE_LEVEL, \"x\")"]),
        "a level only in Rust": compare_levels({}, ["routine!(F, PASSIVE_LEVEL, \"x\")"]),
        "another number of a rule": compare_rules("VICAR_RULE_WRONG_IRQL = 2", rule),
        "a rule only in Rust": compare_rules("", rule),
        "a field the manual does not list": compare_lists("```by-name\nX: A\n```", "typedef struct _X {\n  ULONG A;\n  ULONG B;\n} X, *PX;"),
        "a field only the manual lists": compare_lists("```by-name\nX: A B\n```", "typedef struct _X {\n  ULONG A;\n} X, *PX;"),
    }
    test = 'TEST(one) {\n  F(1);\n}\nTEST(two) {\n  F(0);\n}\n'
    rows = "F | one | two | page\nG | one | cannot fail | page\n"
    called = test.replace("F(1)", "F(1); G()")
    missed += [f"found in coverage that is right: {one}" for one in coverage(c, read_coverage(rows), [called])]
    planted |= {
        "routine without a row": coverage(c, read_coverage("F | one | two | page\n"), [called]),
        "row without a routine": coverage(c, read_coverage(rows + "H | one | two | page\n"), [called]),
        "row without a page": coverage(c, read_coverage("F | one | two |\nG | one | cannot fail | page\n"), [called]),
        "test that is gone": coverage(c, read_coverage(rows), [called.replace("two", "three")]),
        "test that does not call it": coverage(c, read_coverage(rows), [test]),
    }
    return missed + [f"not found: {name}" for name, found in planted.items() if not found], len(planted)


def main():
    arguments = sys.argv[1:]
    if arguments == ["--prove"]:
        found, count = prove()
        print("\n".join(found) if found else f"= {count} planted differences, each found")
        return 1 if found else 0
    if len(arguments) != 1:
        print(__doc__)
        return 2
    c, c_data = c_side()
    if arguments == ["names"]:
        print("\n".join([*c, *c_data]))
        return 0
    if arguments == ["coverage"]:
        rows = read_coverage((CRATE / "tests/golden/routines.txt").read_text())
        sources = [path.read_text() for path in sorted((CRATE / "tests/c").glob("*.[ch]"))]
        found = coverage(c, rows, sources)
        found += compare_lists((CRATE / "README.md").read_text(), (CRATE / "include/ntifs.h").read_text())
        print("\n".join(found) if found else f"= {len(c)} routines, each with a test, an error test and its page")
        return 1 if found else 0
    sizes = sizes_of_structures()
    rust, rust_data = rust_side(rust_sources(), sizes)
    witness = witness_side(witness_sources(), set(c), sizes)
    found = compare(c, rust, exports(arguments[0]), witness, c_data, rust_data)
    sources = rust_sources()
    structures = rust_structures(sources)
    measured, unknown = c_structures(structures)
    found += unknown + compare_structures(measured, structures, aliases_of(sources))
    texts = [(CRATE / "include" / name).read_text() for name in headers()]
    found += compare_levels(levels_in_headers(texts), sources)
    found += compare_rules("\n".join(texts), (CRATE / "src/verifier/rule.rs").read_text())
    print("\n".join(found) if found else f"= {len(c)} routines and {len(c_data)} data, both ways, {len(measured)} structures; windows-sys has {len(witness)} of the routines")
    return 1 if found else 0


if __name__ == "__main__":
    sys.exit(main())
