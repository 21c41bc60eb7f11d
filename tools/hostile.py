#!/usr/bin/env python3
"""Calls every declared routine with one wrong argument at a time and compares what it came to with a golden file.

Usage: hostile.py DIRECTORY          against the library in DIRECTORY, under gcc and clang with the sanitizers
       hostile.py DIRECTORY --write  writes the golden file instead, for a reader to judge
       hostile.py --prove            plants one difference of each kind and fails unless each is found

The calls are made from the headers, so a routine or a pointer parameter that is new has no row in the golden file, and that is
a failure; so is a parameter for which nothing here knows a right argument. Each pointer is NULL, off by 1 to 7 bytes, with its last
byte at the end of a page that nothing follows, with its last byte behind that end, and wholly behind it; lengths and counts are
4,294,967,280. Each call is a process of its own: what it answers and which rules it is reported by, or that it faults, as it would stop
Windows. It may not hang, abort, or end otherwise.
"""

import os
import pathlib
import re
import shutil
import subprocess
import sys
import tempfile

import header

GOLDEN = header.CRATE / "tests/golden/hostile.txt"

# A right argument: what its pointer points to; a pair of an expression and a size when it is not an object with a size.
BY_NAME = {
    "ClientThread": "thread", "Thread": "thread", "ServerThread": "NULL", "Process": "process", "Primary": "=PsReferencePrimaryToken(process)",
    "Object": "token", "Function": '"f"', "CallbackRoutine": "=is_told", "StartRoutine": "=does_nothing", "StartContext": "NULL",
    "Context": "NULL", "HandleId": "NULL", "IoWorkItem": "=IoAllocateWorkItem(&device)", "P": "=ExAllocatePoolWithTag(PagedPool, 16, 1)",
    "AuxData": "&aux_room", "AceList": "&entry", "Buffer": "&room", "What": '"f"', "Routine": '"SeCreateClientSecurity"',
    "TokenInformation": "&room", "ThreadInformation": "&information_room[0]", "ProcessInformation": "&information_room",
    "PassedAccessState": "NULL", "ObjectType": "NULL", "Type": "NULL", "SourceString": "&letters", "PreviousState": "&room",
    "DestinationSid": "&room", "ServiceSid": "&room", "SelfRelativeSecurityDescriptor": "&room", "AbsoluteSecurityDescriptor": "&absolute",
    "PrivilegeSet": "&room", "IdentifierAuthority": "&name[0] 6", "LogonId": "&session", "PrincipalSelfSid": "NULL", "SourceSid": "&name",
    "PrimaryToken": "token", "ClientToken": "token", "ImpersonationToken": "=PsReferencePrimaryToken(process)", "Token": "token", "ExistingToken": "token",
}
OF = {  # routine.parameter
    **{f"RtlSet{part}SecurityDescriptor.SecurityDescriptor": "&absolute" for part in ("Dacl", "Sacl", "Owner", "Group")},
    **{f"{form}SetInformationToken.TokenInformation": "&owner_room" for form in ("Nt", "Zw")},
    "RtlSelfRelativeToAbsoluteSD.SelfRelativeSecurityDescriptor": "&descriptor", "SeAssignSecurity.ExplicitDescriptor": "NULL",
    "SeAssignSecurityEx.ExplicitDescriptor": "NULL", "RtlAddMandatoryAce.Sid": "&low",
    "SeFreePrivileges.Privileges": "NULL", "PsReferenceImpersonationToken.Thread": "acting", "PsReferenceEffectiveToken.Thread": "acting", "PsDisableImpersonation.Thread": "acting", "PsIsThreadImpersonating.Thread": "acting", "PsDereferencePrimaryToken.PrimaryToken": "=PsReferencePrimaryToken(process)",
    "RtlSelfRelativeToAbsoluteSD.Owner": "&room", "RtlSelfRelativeToAbsoluteSD.PrimaryGroup": "&room", "KeWaitForSingleObject.Object": "=&event",
    "RtlSelfRelativeToAbsoluteSD.AbsoluteSecurityDescriptor": "&room", "RtlInitializeSid.Sid": "&room", "SeAssignSecurityEx.ObjectType": "&guid",
    "SeFilterToken.FilteredToken": "&room[0] 8", "RtlCreateSecurityDescriptor.SecurityDescriptor": "&room[0] 40", "SeSetSecurityDescriptorInfo.Object": "NULL",
    "SeSetSecurityDescriptorInfoEx.Object": "NULL", "SeQuerySecurityDescriptorInfo.SecurityDescriptor": "&room", "RtlConvertSidToUnicodeString.UnicodeString": "&string",
    "RtlFreeUnicodeString.UnicodeString": "&no_string", "vicar_process_create.Process": "&room[0] 8", "vicar_thread_create.Thread": "&room[0] 8",
    "vicar_user_thread.Thread": "&room[0] 8", "vicar_token_create.Token": "&room[0] 8", "PsLookupThreadByThreadId.Thread": "&room[0] 8",
    "PsLookupProcessByProcessId.Process": "&room[0] 8", "ObReferenceObjectByHandle.Object": "&room[0] 8", "SeQueryInformationToken.TokenInformation": "&room[0] 8",
    "KeInitializeEvent.Event": "&event", "ExDeleteResourceLite.Resource": "&resource", "SeDeassignSecurity.SecurityDescriptor": "&stored",
    "vicar_fail_routine.Routine": '"SeCreateClientSecurity"', "RtlMapGenericMask.GenericMapping": "&file_mapping",
}
BY_TYPE = {
    "PSECURITY_QUALITY_OF_SERVICE": "&qos", "PSECURITY_CLIENT_CONTEXT": "&client", "PSECURITY_SUBJECT_CONTEXT": "&subject",
    "PSE_IMPERSONATION_STATE": "&state", "PSECURITY_DESCRIPTOR": "&descriptor", "PPRIVILEGE_SET": "&set", "PGENERIC_MAPPING": "&file_mapping",
    "const GENERIC_MAPPING *": "&file_mapping", "PTOKEN_ACCESS_INFORMATION": "&*access_information", "PACCESS_STATE": "&access_state",
    "PTOKEN_GROUPS": "&groups", "PTOKEN_PRIVILEGES": "&privileges", "PLUID": "&session", "PUNICODE_STRING": "&string", "PSID": "&name",
    "PACL": "&list", "POBJECT_ATTRIBUTES": "&attributes", "POBJECT_TYPE_LIST": "&types", "PRKEVENT": "=&event", "PKSPIN_LOCK": "&spin",
    "PFAST_MUTEX": "&mutex", "PERESOURCE": "&resource", "PIRP": "&irp", "PDEVICE_OBJECT": "&device", "PWORK_QUEUE_ITEM": "&item",
    "const VICAR_PERSON *": "&person", "const VICAR_WORLD *": "&made_world", "PULONG": "&room_length", "PLARGE_INTEGER": "&room[0] 8",
    "PBOOLEAN": "&room[0] 1", "PKIRQL": "&room[0] 1", "PACCESS_MASK": "&room[0] 4", "PNTSTATUS": "&room[0] 4", "PTOKEN_TYPE": "&room[0] 4",
    "PSECURITY_IMPERSONATION_LEVEL": "&room[0] 4", "PSECURITY_INFORMATION": "&dacl_information", "PCLIENT_ID": "&room[0] 16", "POBJECT_HANDLE_INFORMATION": "&room[0] 8",
    "PHANDLE": "&room[0] 8", "PPRIVILEGE_SET *": "&room[0] 8", "PVOID *": "&room[0] 8", "PACL *": "&room[0] 8", "PSID *": "&room[0] 8",
    "PSECURITY_DESCRIPTOR *": "&stored", "VICAR_FINDING *": "&room[0] 24", "PIO_WORKITEM_ROUTINE": "=does_nothing_for",
    "PIO_WORKITEM_ROUTINE_EX": "=does_nothing_with",
}
NUMBERS = {
    "ImpersonationLevel": "2", "AclRevision": "2", "AceRevision": "2", "Revision": "1", "AccessMask": "1", "TokenInformationClass": "1",
    "ThreadInformationClass": "5", "ProcessInformationClass": "9", "ThreadInformationLength": "8", "ProcessInformationLength": "16", "SecurityInformation": "4",
    "RequiredInformation": "0", "PoolType": "PagedPool", "NumberOfBytes": "16", "AclLength": "200", "DestinationSidLength": "68", "AceListLength": "36", "StartingAceIndex": "MAXULONG",
    "BufferLength": "200", "TokenInformationLength": "200", "Length": "200", "SecurityDescriptorLength": "96", "ObjectTypeListLength": "1", "SubAuthorityCount": "5",
    "AccessMode": "UserMode", "PreviousMode": "UserMode", "Nth": "0", "Status": "STATUS_NO_MEMORY", "QueueType": "DelayedWorkQueue", "AceType": "SYSTEM_MANDATORY_LABEL_ACE_TYPE",
    "ExitStatus": "0",
}
EXTRA = """static PVOID owner_room[1] = { name };
static UCHAR low[12] = { 1, 1, 0, 0, 0, 0, 0, 16, 0, 16 };
static UNICODE_STRING no_string;
static SECURITY_INFORMATION dacl_information = DACL_SECURITY_INFORMATION;
"""
SIZED = re.compile(r"(Length|Size|Count|NumberOfBytes)$")


def split_parameter(one):
    match = re.fullmatch(r"(.*?[\s*])(\w+)", one.strip())
    return " ".join(match[1].replace("*", " * ").split()), match[2]


def is_pointer(kinds, one):
    return kinds[header.c_type(one)][0] == "ptr"


def right(routine, one_type, name):
    """The C of a right pointer: (expression, size); size 0 for what is not followed."""
    found = OF.get(f"{routine}.{name}") or (BY_NAME.get(name) if f"{routine}.{name}" not in OF else None)
    if one_type in BY_TYPE and f"{routine}.{name}" not in OF and (name not in BY_NAME or one_type not in ("PVOID", "PSID", "PSECURITY_DESCRIPTOR", "PPRIVILEGE_SET", "PTOKEN_PRIVILEGES", "PTOKEN_GROUPS", "PLUID", "PVOID *")):
        found = BY_TYPE[one_type]
    if found is None:
        return None
    if found.startswith("&"):
        match = re.fullmatch(r"(&.*?) (\d+)", found)
        expression = match[1] if match else found
        return f"(void *)({expression})", match[2] if match else f"sizeof({expression[1:]})"
    if found.startswith('"'):
        return f"(void *)(ULONG_PTR){found}", str(len(found) - 1)
    return f"(void *)({found.lstrip('=')})", "0"


def handle(routine, name):
    if "Thread" in name:
        return "thread_handle" if name != "ThreadId" else "PsGetThreadId(thread)"
    if "Process" in name:
        return "process_handle" if name != "ProcessId" else "PsGetProcessId(process)"
    return "token_handle"


def number(routine, name, kind):
    if name == "DesiredAccess":
        return "TOKEN_QUERY" if "Token" in routine and "Check" not in routine else "THREAD_ALL_ACCESS" if "Thread" in routine else "FILE_READ_DATA"
    if name == "HandleAttributes":
        return "0" if routine.startswith("Nt") else "OBJ_KERNEL_HANDLE"
    if name == "Type":
        return "2" if "Token" in routine else "0"
    if name == "Flags":
        return "POOL_FLAG_PAGED" if routine == "ExAllocatePool2" else "0"
    if name == "AccessMask" and routine == "RtlAddMandatoryAce":
        return "1"
    if name == "AccessMode" and routine.startswith("Ob"):
        return "KernelMode"
    if name == "Tag":
        return "1"
    if routine.endswith("SetInformationToken"):
        return {"TokenInformationClass": "TokenOwner", "TokenInformationLength": "8"}[name]
    if name == "Wait":
        return "0"
    if name == "AllocateDestinationString":
        return "1"
    return "RtlConvertUlongToLuid(23)" if kind[0] == "struct" else NUMBERS.get(name, "0")


def program():
    """The C of all calls, and what is missing."""
    functions, _ = header.declarations(header.own_text())
    types = [header.c_type(one) for _, parameters in functions.values() for one in parameters]
    kinds = header.kinds_of(types + [result for result, _ in functions.values()])
    lines, cases, missing = ['#include "sweep.h"', EXTRA], [], []
    for routine, (result, parameters) in functions.items():
        arguments, rows = [], [("-1", "", "NULL", "0", 1)]
        for index, one in enumerate(parameters):
            one_type, name = split_parameter(one)
            kind = kinds[header.c_type(one)]
            if one_type == "HANDLE":
                value = "NULL" if routine == "PsCreateSystemThread" or routine == "ObReferenceObjectByHandle" and False else handle(routine, name)
                arguments.append(f"index == {index} ? ({one_type})hostile : ({one_type})({value})")
                rows.append((str(index), name, f"(void *)({value})", "0", 0b1000010))
            elif kind[0] == "ptr":
                found = right(routine, one_type, name)
                if found is None:
                    missing.append(f"{routine}.{name}: nothing is known about a right {one_type}")
                    continue
                cast = "void *" if "(" in one else one_type
                arguments.append(f"index == {index} ? ({cast})hostile : ({cast}){found[0]}")
                variants = 0b0000010 if found[0].find("does_nothing") >= 0 or found[0].find("is_told") >= 0 else 0b0100110 if found[1] == "0" else 0b0111110
                rows.append((str(index), name, *found, variants))
            elif kind[0] == "int" and SIZED.search(name) and routine not in ("ExAllocatePoolWithTag", "ExAllocatePool2"):
                arguments.append(f"index == {index} ? ({one_type})(ULONG_PTR)hostile : ({one_type}){number(routine, name, kind)}")
                rows.append((str(index), name, "NULL", "0", 0b1000000))
            else:
                arguments.append(f"({number(routine, name, kind)})" if kind[0] == "struct" else f"({one_type})({number(routine, name, kind)})")
        call = f"{routine}({', '.join(arguments)})"
        kind = kinds[result]
        lines.append(f"static long long call_{routine}(int index, void *hostile) {{")
        lines.append("  (void)index, (void)hostile;")
        lines.append(f"  {call};\n  return 0;" if kind[0] == "void" else f"  return (long long)(ULONG_PTR){call};" if kind[0] == "ptr" else f"  return (long long){call};")
        lines.append("}")
        shown = {"void": "v", "ptr": "p"}.get(kind[0], str(kind[1]))
        mode = "u" if routine.startswith("Nt") else "k"
        if len(rows) == 1:
            # No argument that could be wrong: a line all the same.
            rows = [("-1", "", "NULL", "0", 0)]
        for index, name, expression, size, variants in rows:
            function = "NULL"
            if expression != "NULL":
                function = f"right_{routine}_{index}"
                lines.append(f"static void *{function}(void) {{ return {expression}; }}")
            cases.append(f'  {{ "{routine}", "{name}", {index}, {variants}, {function}, {size}, call_{routine}, \'{shown}\', \'{mode}\' }},')
    lines += ["static const CASE cases[] = {", *cases, "};"]
    lines += ["int main(int argc, char **argv) {", "  size_t count = sizeof cases / sizeof cases[0], parts = argc > 2 ? strtoul(argv[2], NULL, 10) : 1;",
              "  size_t part = argc > 1 ? strtoul(argv[1], NULL, 10) : 0, from = count * part / parts;",
              "  sweep(cases + from, count * (part + 1) / parts - from);", "  return 0;", "}"]
    return "\n".join(lines) + "\n", missing


def run(compiler, directory, text, scratch):
    source, binary = scratch / "hostile.c", scratch / f"hostile-{compiler}"
    source.write_text(text)
    command = [compiler, "-std=c11", "-w", "-O1", "-g", "-fshort-wchar", "-fsanitize=address,undefined", "-fno-sanitize-recover=all", f"-I{header.CRATE / 'include'}",
               f"-I{header.CRATE / 'tests/hostile'}", str(source), "-o", str(binary), f"-L{directory}", "-lvicar_ntifs", "-lpthread", f"-Wl,-rpath,{directory}"]
    subprocess.run(command, check=True)
    parts = os.cpu_count() or 2
    running = [subprocess.Popen([binary, str(part), str(parts)], stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True) for part in range(parts)]
    lines = []
    for one in running:
        lines += one.communicate(timeout=560)[0].splitlines()
        if one.returncode != 0:
            lines.append(f"the program under {compiler} ended with {one.returncode}")
    return lines


def compare(compiler, lines, golden):
    found = [f"{compiler}: {line}" for line in lines if re.search(r"HANGS|ABORTS|ENDS|the program", line)]
    found += [f"{compiler}, not in the golden file: {line}" for line in lines if line not in golden]
    return found + [f"{compiler}, only in the golden file: {line}" for line in golden if line not in lines]


def prove():
    lines = ["F | right: 0", "F.P | null: c000000d"]
    planted = {
        "a parameter without a row": compare("c", lines, lines[:1]),
        "a row without a parameter": compare("c", lines[:1], lines),
        "another answer": compare("c", lines, [lines[0], "F.P | null: 0"]),
        "a call that hangs": compare("c", ["F | right: HANGS"], ["F | right: HANGS"]),
        "a call that aborts": compare("c", ["F | right: ABORTS"], ["F | right: ABORTS"]),
        "a type of which nothing is known": right("F", "PUNKNOWN", "Unknown") is None,
    }
    missed = [name for name, found in planted.items() if not found] + compare("c", lines, lines)
    print("\n".join(f"not found: {name}" for name in missed) if missed else f"= {len(planted)} planted differences, each found")
    return 1 if missed else 0


def main():
    arguments = sys.argv[1:]
    if not arguments:
        print(__doc__)
        return 2
    if arguments == ["--prove"]:
        return prove()
    directory = pathlib.Path(arguments[0]).resolve()
    text, missing = program()
    if missing:
        print("\n".join(missing))
        return 1
    compilers = [one for one in ("gcc", "clang") if shutil.which(one)]
    if not compilers:
        print("needs gcc or clang")
        return 77
    found, golden, calls = [], [], 0
    if "--write" not in arguments:
        golden = [line for line in GOLDEN.read_text().splitlines() if line and not line.startswith("#")]
    with tempfile.TemporaryDirectory() as where:
        for compiler in compilers[:1] if "--write" in arguments else compilers:
            lines = run(compiler, directory, text, pathlib.Path(where))
            calls += sum(line.count(" | ") + 6 * line.count("misaligned") for line in lines)
            if "--write" in arguments:
                head = [line for line in (GOLDEN.read_text().splitlines() if GOLDEN.exists() else []) if line.startswith("#")]
                GOLDEN.write_text("\n".join(head + lines) + "\n")
                golden = lines
            found += compare(compiler, lines, golden)
    print("\n".join(found) if found else f"= {len(golden)} rows, {calls} calls under {' '.join(compilers)}")
    return 1 if found else 0


if __name__ == "__main__":
    sys.exit(main())
