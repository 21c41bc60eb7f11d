"""Answers access checks with Samba's library, one a line: descriptor, SIDs, privileges and wish, separated by tabs."""
import sys

from samba import NTSTATUSError
from samba.dcerpc import security
from samba.ndr import ndr_unpack
from samba.security import access_check

PRIVILEGES = {
    "SeSecurityPrivilege": security.SEC_PRIV_SECURITY_BIT,
    "SeTakeOwnershipPrivilege": security.SEC_PRIV_TAKE_OWNERSHIP_BIT,
}
for line in sys.stdin:
    descriptor, sids, privileges, desired = line.rstrip("\n").split("\t")
    token = security.token()
    members = [security.dom_sid(sid) for sid in sids.split(",")]
    # What the attribute `sids` shows has the length that `num_sids` says, so that comes from the list itself.
    token.sids = members
    token.num_sids = len(members)
    token.privilege_mask = 0
    for name in filter(None, privileges.split(",")):
        token.privilege_mask |= PRIVILEGES[name]
    try:
        granted = access_check(ndr_unpack(security.descriptor, bytes.fromhex(descriptor)), token, int(desired, 16))
        print("granted 0x%08x" % granted)
    except NTSTATUSError as error:
        print("refused 0x%08x" % (error.args[0] & 0xFFFFFFFF))
