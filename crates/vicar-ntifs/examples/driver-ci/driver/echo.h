/* A device that keeps the last message written to it and can act as whoever wrote that. */
#ifndef ECHO_H
#define ECHO_H

#include <ntifs.h>

typedef struct _ECHO_EXTENSION {
  SECURITY_CLIENT_CONTEXT Client;
  BOOLEAN HasClient;
} ECHO_EXTENSION, *PECHO_EXTENSION;

#ifdef __cplusplus
extern "C" {
#endif

DRIVER_INITIALIZE DriverEntry;

#ifdef __cplusplus
}
#endif

#endif
