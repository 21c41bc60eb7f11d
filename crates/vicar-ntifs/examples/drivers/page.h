/* The routine that the manual begins with. */
#ifndef PAGE_H
#define PAGE_H

#include <ntifs.h>
#include "fault.h"

/* What a server keeps of its client. */
typedef struct _SERVER {
  SECURITY_CLIENT_CONTEXT Client;
  POPEN_FILE OpenFile;
  WORK_QUEUE_ITEM Work;
  NTSTATUS WorkStatus;
} SERVER, *PSERVER;

#ifdef __cplusplus
extern "C" {
#endif

NTSTATUS ServerMeet(PSERVER Server, PETHREAD ClientThread, SECURITY_CONTEXT_TRACKING_MODE Tracking);
NTSTATUS ServerServe(PSERVER Server, PCUNICODE_STRING Path);
VOID ServerPart(PSERVER Server);
VOID ServerElevate(PSERVER Server);

#ifdef __cplusplus
}
#endif

#endif
