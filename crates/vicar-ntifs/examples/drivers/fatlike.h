/* A file system without security of its own on its disks: who may do what to a volume is decided by the volume's descriptor. */
#ifndef FATLIKE_H
#define FATLIKE_H

#include <ntifs.h>
#include "fault.h"

/* The device extension of a mounted volume. */
typedef struct _FAT_VOLUME {
  PSECURITY_DESCRIPTOR Descriptor;
  POPEN_FILE OpenFile;
  PACCESS_TOKEN Owner; /* whoever mounted it; a reference of the volume's own */
  UNICODE_STRING Journal;
} FAT_VOLUME, *PFAT_VOLUME;

#define IOCTL_FAT_LOCK CTL_CODE(FILE_DEVICE_DISK, 0x811, METHOD_BUFFERED, FILE_ANY_ACCESS)
#define IOCTL_FAT_FLUSH CTL_CODE(FILE_DEVICE_DISK, 0x812, METHOD_BUFFERED, FILE_ANY_ACCESS)
#define IOCTL_FAT_CHARGE CTL_CODE(FILE_DEVICE_DISK, 0x813, METHOD_BUFFERED, FILE_ANY_ACCESS)

#ifdef __cplusplus
extern "C" {
#endif

DRIVER_INITIALIZE FatDriverEntry;

#ifdef __cplusplus
}
#endif

#endif
