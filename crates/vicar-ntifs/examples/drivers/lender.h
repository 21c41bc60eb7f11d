/* A driver with one thread of its own, which is lent to clients: what a lender is. */
#ifndef LENDER_H
#define LENDER_H

#include <ntifs.h>
#include "fault.h"

/* The device extension. */
typedef struct _LENDER {
  PETHREAD Worker; /* the thread that works as one client after another */
  KEVENT Work;     /* there is something to do */
  KEVENT Done;     /* it is done */
  KSPIN_LOCK Lock; /* guards IsBusy */
  BOOLEAN IsBusy;
  BOOLEAN IsStopping;
  NTSTATUS Status; /* what the work came to */
  UNICODE_STRING Path;
  POPEN_FILE OpenFile;
  ULONG Administrators; /* how many of them asked */
} LENDER, *PLENDER;

#define IOCTL_LENDER_OPEN CTL_CODE(FILE_DEVICE_UNKNOWN, 0x801, METHOD_BUFFERED, FILE_ANY_ACCESS)

#ifdef __cplusplus
extern "C" {
#endif

DRIVER_INITIALIZE LenderDriverEntry;

#ifdef __cplusplus
}
#endif

#endif
