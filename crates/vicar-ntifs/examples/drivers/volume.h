/* A driver whose volumes are files: what a volume is, and how one is mounted. */
#ifndef VOLUME_H
#define VOLUME_H

#include <ntifs.h>
#include "fault.h"

/* The device extension of one volume. */
typedef struct _VOLUME {
  PDEVICE_OBJECT DeviceObject;
  UNICODE_STRING Path;
  POPEN_FILE OpenFile;
  PIO_WORKITEM Work;
  PIRP MountIrp; /* the request that a worker is busy with, or NULL */
  SECURITY_CLIENT_CONTEXT Client;
  BOOLEAN HasClient;
  BOOLEAN IsMounted;
} VOLUME, *PVOLUME;

#define IOCTL_VOLUME_MOUNT CTL_CODE(FILE_DEVICE_DISK, 0x801, METHOD_BUFFERED, FILE_ANY_ACCESS)

#ifdef __cplusplus
extern "C" {
#endif

DRIVER_INITIALIZE VolumeDriverEntry;

#ifdef __cplusplus
}
#endif

#endif
