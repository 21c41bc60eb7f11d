/*
 * A driver whose volumes are files of its users. The file is opened by a system worker, which the kernel trusts with everything:
 * so the worker acts as whoever asked for the mount, and what it cannot open as that user is not mounted.
 */
#include "volume.h"

static NTSTATUS VolumeComplete(PIRP Irp, NTSTATUS Status) {
  Irp->IoStatus.Status = Status;
  Irp->IoStatus.Information = 0;
  IoCompleteRequest(Irp, IO_NO_INCREMENT);
  return Status;
}

static VOID VolumeForget(PVOLUME Volume) {
  if (!Volume->HasClient) return;
  Volume->HasClient = FALSE;
  SeDeleteClientSecurity(&Volume->Client);
}

/* Records who a thread acts as: in time, or its client is gone with it. */
static NTSTATUS VolumeRecord(PVOLUME Volume, PETHREAD Thread) {
  SECURITY_QUALITY_OF_SERVICE Qos;
  NTSTATUS Status;

  Qos.Length = sizeof(Qos);
  Qos.ImpersonationLevel = SecurityImpersonation;
  Qos.ContextTrackingMode = SECURITY_STATIC_TRACKING;
  Qos.EffectiveOnly = FALSE;
  Status = SeCreateClientSecurity(Thread, &Qos, FALSE, &Volume->Client);
  /* Fault: whether the client could be recorded is not asked. */
  if (FAULTY(2)) Status = STATUS_SUCCESS;
  Volume->HasClient = (BOOLEAN)NT_SUCCESS(Status);
  return Status;
}

/* Opens the volume's file as the client whom the extension holds. */
static NTSTATUS VolumeOpenAsClient(PVOLUME Volume) {
  KIRQL Irql;
  NTSTATUS Status;

  if (FAULTY(2)) {
    /* Fault: the older routine, whose failure nobody sees. */
#pragma GCC diagnostic push
#pragma GCC diagnostic ignored "-Wdeprecated-declarations"
    SeImpersonateClient(&Volume->Client, NULL);
#pragma GCC diagnostic pop
  } else {
    /* Fault: a mutex is held meanwhile, so the level is raised. */
    if (FAULTY(8)) KeRaiseIrql(APC_LEVEL, &Irql);
    Status = SeImpersonateClientEx(&Volume->Client, NULL);
    if (FAULTY(8)) KeLowerIrql(Irql);
    if (!NT_SUCCESS(Status)) {
      KdPrint(("volume: cannot act as the client\n"));
      /* Fault: it is logged, and the file is opened by the system instead. */
      if (!FAULTY(1)) return Status;
    }
  }
  Status = Volume->OpenFile(&Volume->Path, FILE_READ_DATA);
  /* Fault: on the way out of an error the worker stays its client. */
  if (FAULTY(3) && !NT_SUCCESS(Status)) return Status;
  SeStopImpersonatingClient();
  return Status;
}

static VOID NTAPI VolumeMountWorker(PDEVICE_OBJECT DeviceObject, PVOID Context) {
  PVOLUME Volume = (PVOLUME)DeviceObject->DeviceExtension;
  PIRP Irp = (PIRP)Context;
  NTSTATUS Status = STATUS_SUCCESS;
  KIRQL Irql;

  if (FAULTY(9)) {
    /* Fault: the worker records the client, whose thread may have ended since it asked. */
    Status = VolumeRecord(Volume, Irp->Tail.Overlay.Thread);
    ObDereferenceObject(Irp->Tail.Overlay.Thread);
  }
  if (NT_SUCCESS(Status)) Status = VolumeOpenAsClient(Volume);
  /* Fault: the client of a mount that failed is never let go. */
  if (FAULTY(5) && !NT_SUCCESS(Status)) Volume->HasClient = FALSE;
  VolumeForget(Volume);
  Volume->IsMounted = (BOOLEAN)NT_SUCCESS(Status);
  Volume->MountIrp = NULL;
  VolumeComplete(Irp, Status);
  /* Fault: the worker goes back to its queue at a raised level. */
  if (FAULTY(6)) KeRaiseIrql(APC_LEVEL, &Irql);
}

/* A user asks for the mount: who it is is recorded now, in its own thread, and the work is a worker's. */
static NTSTATUS VolumeMount(PVOLUME Volume, PIRP Irp) {
  NTSTATUS Status;

  /* Fault: a second mount is queued although one is under way. */
  if (!FAULTY(7) && Volume->MountIrp != NULL) return VolumeComplete(Irp, STATUS_INVALID_DEVICE_STATE);
  if (Volume->MountIrp == NULL) {
    Status = FAULTY(9) ? STATUS_SUCCESS : VolumeRecord(Volume, Irp->Tail.Overlay.Thread);
    if (!NT_SUCCESS(Status)) return VolumeComplete(Irp, Status);
  }
  if (Volume->Work == NULL) {
    VolumeForget(Volume);
    return VolumeComplete(Irp, STATUS_INSUFFICIENT_RESOURCES);
  }
  if (FAULTY(9)) ObReferenceObject(Irp->Tail.Overlay.Thread);
  IoMarkIrpPending(Irp);
  Volume->MountIrp = Irp;
  if (FAULTY(4)) {
    /* Fault: the context is deleted as soon as the work is handed over, and the worker still uses it. */
    SeDeleteClientSecurity(&Volume->Client);
  }
  IoQueueWorkItem(Volume->Work, VolumeMountWorker, DelayedWorkQueue, Irp);
  return STATUS_PENDING;
}

static NTSTATUS NTAPI VolumeDeviceControl(PDEVICE_OBJECT DeviceObject, PIRP Irp) {
  PVOLUME Volume = (PVOLUME)DeviceObject->DeviceExtension;

  PAGED_CODE();
  switch (IoGetCurrentIrpStackLocation(Irp)->Parameters.DeviceIoControl.IoControlCode) {
    case IOCTL_VOLUME_MOUNT:
      return VolumeMount(Volume, Irp);
    default:
      return VolumeComplete(Irp, STATUS_INVALID_DEVICE_REQUEST);
  }
}

/* The device is opened: it gets its work item. */
static NTSTATUS NTAPI VolumeCreate(PDEVICE_OBJECT DeviceObject, PIRP Irp) {
  PVOLUME Volume = (PVOLUME)DeviceObject->DeviceExtension;

  PAGED_CODE();
  Volume->DeviceObject = DeviceObject;
  Volume->Work = IoAllocateWorkItem(DeviceObject);
  return VolumeComplete(Irp, Volume->Work == NULL ? STATUS_INSUFFICIENT_RESOURCES : STATUS_SUCCESS);
}

static NTSTATUS NTAPI VolumeCleanup(PDEVICE_OBJECT DeviceObject, PIRP Irp) {
  PVOLUME Volume = (PVOLUME)DeviceObject->DeviceExtension;

  PAGED_CODE();
  /* Fault: the work item is freed while it waits. */
  if (!FAULTY(10) && Volume->MountIrp != NULL) return VolumeComplete(Irp, STATUS_INVALID_DEVICE_STATE);
  if (Volume->Work != NULL) IoFreeWorkItem(Volume->Work);
  if (Volume->MountIrp == NULL) Volume->Work = NULL;
  return VolumeComplete(Irp, STATUS_SUCCESS);
}

NTSTATUS NTAPI VolumeDriverEntry(PDRIVER_OBJECT DriverObject, PUNICODE_STRING RegistryPath) {
  UNREFERENCED_PARAMETER(RegistryPath);
  DriverObject->MajorFunction[IRP_MJ_CREATE] = VolumeCreate;
  DriverObject->MajorFunction[IRP_MJ_DEVICE_CONTROL] = VolumeDeviceControl;
  DriverObject->MajorFunction[IRP_MJ_CLEANUP] = VolumeCleanup;
  return STATUS_SUCCESS;
}
