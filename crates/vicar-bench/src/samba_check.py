"""Times Samba's se_access_check, called in its shared library without a wrapper, less what the call itself costs.

Prints a JSON list of nanoseconds for each case, in the order of the arguments ACES:GROUPS. Exits with 3 where Samba's
bindings are not installed.
"""

import ctypes
import ctypes.util
import glob
import json
import sys
import time

try:
    from samba.dcerpc import security

    found = glob.glob("/usr/lib/*/samba/libsamba-security*.so*")
    library = ctypes.CDLL(found[0])
except (ImportError, IndexError, OSError):
    sys.exit(3)

ARGUMENTS = [ctypes.c_void_p, ctypes.c_void_p, ctypes.c_uint32, ctypes.c_void_p]
check = library.se_access_check
# Takes as many arguments, looks at one, and does nothing.
nothing = ctypes.CDLL(None).labs
for function in (check, nothing):
    function.argtypes, function.restype = ARGUMENTS, ctypes.c_uint32


def pointer(bound):
    """The C structure behind an object of Samba's bindings: object head, memory context, pointer."""
    return ctypes.c_void_p.from_address(id(bound) + object.__basicsize__ + ctypes.sizeof(ctypes.c_void_p)).value


def account(number):
    return "S-1-5-21-1111-2222-3333-%d" % number


def timed(function, arguments, count):
    start = time.perf_counter_ns()
    for _ in range(count):
        function(*arguments)
    return (time.perf_counter_ns() - start) / count


def measure(aces, groups):
    token = security.token()
    token.sids = [security.dom_sid(account(1000 if n == 0 else 1999 + n)) for n in range(groups + 1)]
    token.num_sids = groups + 1
    others = "".join("(A;;0x1f01ff;;;%s)" % account(500000 + n) for n in range(1, aces))
    text = "O:SYG:SYD:%s(A;;0x1f01ff;;;%s)" % (others, account(2003))
    descriptor = security.descriptor.from_sddl(text, security.dom_sid("S-1-5-21-1-2-3"))
    granted = ctypes.c_uint32(0)
    arguments = (pointer(descriptor), pointer(token), 0x120089, ctypes.addressof(granted))
    if check(*arguments) != 0 or granted.value != 0x120089:
        sys.exit("Samba did not grant what it was asked for")
    count = max(3, min(5000, int(5e6 / max(1.0, timed(check, arguments, 3)))))
    call = min(timed(nothing, arguments, 5000) for _ in range(5))
    return [max(0.0, timed(check, arguments, count) - call) for _ in range(5)]


print(json.dumps([measure(*map(int, case.split(":"))) for case in sys.argv[1:]]))
