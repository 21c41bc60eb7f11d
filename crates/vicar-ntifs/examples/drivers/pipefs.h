/* A file system of pipes: its two ends, its messages. */
#ifndef PIPEFS_H
#define PIPEFS_H

#include <ntifs.h>
#include "fault.h"

/* One pipe. FsContext of both ends' file objects points here; FsContext2 is 0 for the server's end and 1 for the client's. */
typedef struct _PIPE {
  BOOLEAN IsConnected;
  SECURITY_QUALITY_OF_SERVICE Qos; /* what the client lets the server do */
  PSECURITY_CLIENT_CONTEXT Client; /* whom the server may act as now, or NULL */
  LIST_ENTRY Messages;
} PIPE, *PPIPE;

/* A message that waits; with dynamic tracking it carries who wrote it. */
typedef struct _PIPE_MESSAGE {
  LIST_ENTRY Link;
  PSECURITY_CLIENT_CONTEXT Client;
  ULONG Value;
} PIPE_MESSAGE, *PPIPE_MESSAGE;

#define PIPE_SERVER_END ((PVOID)0)
#define PIPE_CLIENT_END ((PVOID)1)
#define PIPE_TAG 0x65706950

#ifdef __cplusplus
extern "C" {
#endif

DRIVER_INITIALIZE PipeDriverEntry;

#ifdef __cplusplus
}
#endif

#endif
