/* A filter: it decides on opens before the file system below does. */
#ifndef FILTER_H
#define FILTER_H

#include <ntifs.h>
#include "fault.h"

/* The device extension: what protects everything on the volume, and what is only for administrators. */
typedef struct _FILTER {
  PSECURITY_DESCRIPTOR Descriptor;
  BOOLEAN ForAdministrators;
} FILTER, *PFILTER;

/* What the filter remembers of an open file, in FsContext2. */
typedef struct _FILTER_FILE {
  PACCESS_TOKEN Opener; /* a reference of its own */
  BOOLEAN ByAdministrator;
} FILTER_FILE, *PFILTER_FILE;

#define FILTER_TAG 0x746C6946

#ifdef __cplusplus
extern "C" {
#endif

DRIVER_INITIALIZE FilterDriverEntry;

#ifdef __cplusplus
}
#endif

#endif
