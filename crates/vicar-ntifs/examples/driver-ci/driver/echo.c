#include "echo.h"

static NTSTATUS EchoComplete(PIRP Irp, NTSTATUS Status) {
  Irp->IoStatus.Status = Status;
  Irp->IoStatus.Information = 0;
  IoCompleteRequest(Irp, IO_NO_INCREMENT);
  return Status;
}

static VOID EchoForget(PECHO_EXTENSION Extension) {
  if (Extension->HasClient) {
    SeDeleteClientSecurity(&Extension->Client);
    Extension->HasClient = FALSE;
  }
}

/* Remembers who writes: the thread that asked, not the one that this code runs on. */
static NTSTATUS NTAPI EchoWrite(PDEVICE_OBJECT DeviceObject, PIRP Irp) {
  PECHO_EXTENSION Extension = (PECHO_EXTENSION)DeviceObject->DeviceExtension;
  SECURITY_QUALITY_OF_SERVICE Qos;
  SECURITY_CLIENT_CONTEXT Client;
  NTSTATUS Status;

  PAGED_CODE();
  Qos.Length = sizeof(Qos);
  Qos.ImpersonationLevel = SecurityImpersonation;
  Qos.ContextTrackingMode = SECURITY_STATIC_TRACKING;
  Qos.EffectiveOnly = FALSE;
  Status = SeCreateClientSecurity(Irp->Tail.Overlay.Thread, &Qos, FALSE, &Client);
  if (NT_SUCCESS(Status)) {
    EchoForget(Extension);
    Extension->Client = Client;
    Extension->HasClient = TRUE;
  }
  return EchoComplete(Irp, Status);
}

/* Decides, as whoever wrote last, whether an object may be read. */
static NTSTATUS EchoMayRead(PECHO_EXTENSION Extension, PSECURITY_DESCRIPTOR Descriptor, KPROCESSOR_MODE Mode) {
  static GENERIC_MAPPING Mapping = { FILE_GENERIC_READ, FILE_GENERIC_WRITE, FILE_GENERIC_EXECUTE, FILE_ALL_ACCESS };
  SECURITY_SUBJECT_CONTEXT Subject;
  ACCESS_MASK Granted;
  NTSTATUS Status;

  if (!Extension->HasClient) return STATUS_CANNOT_IMPERSONATE;
  Status = SeImpersonateClientEx(&Extension->Client, NULL);
  if (!NT_SUCCESS(Status)) return Status;
  SeCaptureSubjectContext(&Subject);
  if (SeAccessCheck(Descriptor, &Subject, FALSE, FILE_READ_DATA, 0, NULL, &Mapping, Mode, &Granted, &Status)) Status = STATUS_SUCCESS;
  SeReleaseSubjectContext(&Subject);
  SeStopImpersonatingClient();
  return Status;
}

static NTSTATUS NTAPI EchoFsControl(PDEVICE_OBJECT DeviceObject, PIRP Irp) {
  PAGED_CODE();
  return EchoComplete(Irp, EchoMayRead((PECHO_EXTENSION)DeviceObject->DeviceExtension, Irp->AssociatedIrp.SystemBuffer,
                                       Irp->RequestorMode));
}

static NTSTATUS NTAPI EchoCleanup(PDEVICE_OBJECT DeviceObject, PIRP Irp) {
  PAGED_CODE();
  EchoForget((PECHO_EXTENSION)DeviceObject->DeviceExtension);
  return EchoComplete(Irp, STATUS_SUCCESS);
}

NTSTATUS NTAPI DriverEntry(PDRIVER_OBJECT DriverObject, PUNICODE_STRING RegistryPath) {
  UNREFERENCED_PARAMETER(RegistryPath);
  DriverObject->MajorFunction[IRP_MJ_WRITE] = EchoWrite;
  DriverObject->MajorFunction[IRP_MJ_FILE_SYSTEM_CONTROL] = EchoFsControl;
  DriverObject->MajorFunction[IRP_MJ_CLEANUP] = EchoCleanup;
  return STATUS_SUCCESS;
}
