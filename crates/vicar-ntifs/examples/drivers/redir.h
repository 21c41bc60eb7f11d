/* A redirector: requests of users, answered by a daemon that a program's thread lends itself to. */
#ifndef REDIR_H
#define REDIR_H

#include <ntifs.h>
#include "fault.h"

/* What the daemon does with one request; it runs as whoever made it, and may look at the handle of that user's token. */
typedef NTSTATUS NTAPI REDIR_UPCALL(PCUNICODE_STRING Path, HANDLE Token);
typedef REDIR_UPCALL *PREDIR_UPCALL;

/* One request, from the open until it is answered. */
typedef struct _REDIR_ENTRY {
  LIST_ENTRY Link;
  PIRP Irp;
  SECURITY_CLIENT_CONTEXT Client;
  PACCESS_TOKEN Token; /* a reference of the entry's own: it names the user when the context is gone */
  LUID LogonId;
} REDIR_ENTRY, *PREDIR_ENTRY;

/* The device extension. */
typedef struct _REDIR {
  LIST_ENTRY Queue;
  PREDIR_UPCALL Upcall;
  LUID LastLogonId; /* whose request was answered last */
} REDIR, *PREDIR;

#define IOCTL_REDIR_SERVE CTL_CODE(FILE_DEVICE_NETWORK_FILE_SYSTEM, 0x901, METHOD_BUFFERED, FILE_ANY_ACCESS)
#define REDIR_TAG 0x72696452

#ifdef __cplusplus
extern "C" {
#endif

DRIVER_INITIALIZE RedirDriverEntry;

#ifdef __cplusplus
}
#endif

#endif
