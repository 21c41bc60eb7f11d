"""Times how others read descriptors and their text: Samba's library, winacl, impacket; whichever is installed.

Reads {"text": SDDL, "parsed": its bytes in hex, "bytes": a long descriptor in hex} from standard input, and prints
{"took": {"PEER_WHAT": [nanoseconds, ...]}, "skipped": {"PEER": why}}.
"""

import json
import sys
import time

asked = json.load(sys.stdin)
text, parsed, long = asked["text"], bytes.fromhex(asked["parsed"]), bytes.fromhex(asked["bytes"])


def samba():
    from samba.dcerpc import security
    from samba.ndr import ndr_unpack

    domain = security.dom_sid("S-1-5-21-1-2-3")
    read = ndr_unpack(security.descriptor, parsed)
    return {
        "validate": lambda: ndr_unpack(security.descriptor, long),
        "sddl_parse": lambda: security.descriptor.from_sddl(text, domain),
        "sddl_print": lambda: read.as_sddl(domain),
    }


def winacl():
    from winacl.dtyp.security_descriptor import SECURITY_DESCRIPTOR

    read = SECURITY_DESCRIPTOR.from_bytes(parsed)
    return {
        "validate": lambda: SECURITY_DESCRIPTOR.from_bytes(long),
        "sddl_parse": lambda: SECURITY_DESCRIPTOR.from_sddl(text, domain_sid="S-1-5-21-1-2-3"),
        "sddl_print": lambda: read.to_sddl(),
    }


def impacket():
    from impacket.ldap.ldaptypes import SR_SECURITY_DESCRIPTOR

    return {"validate": lambda: SR_SECURITY_DESCRIPTOR(data=long)}


def timed(call, count):
    start = time.perf_counter_ns()
    for _ in range(count):
        call()
    return (time.perf_counter_ns() - start) / count


def measure(call):
    count = max(1, min(2000, int(2e7 / max(1.0, timed(call, 1)))))
    return [timed(call, count) for _ in range(5)]


took, skipped = {}, {}
for peer in (samba, winacl, impacket):
    try:
        calls = peer()
    except ImportError as error:
        skipped[peer.__name__] = str(error)
        continue
    for what, call in calls.items():
        name = peer.__name__ + "_" + what
        try:
            took[name] = measure(call)
        except Exception as error:  # A peer that does not know the language is not measured on it.
            skipped[name] = "%s: %s" % (type(error).__name__, error)
print(json.dumps({"took": took, "skipped": skipped}))
