/*
 * A file system that decides about whole volumes.
 *
 * What everyone may do to a volume is not enough to lock it: that is asked of the caller without the group Everyone. The caller's
 * token is filtered, the filtered one is put into the captured subject in place of the original, the check is made, and the
 * original is put back: the routines read the structure as it is at each call.
 *
 * Two more things are done in another identity: the journal is flushed as the file system itself, whoever the thread acts as, and
 * space is charged to whoever mounted the volume.
 */
#include "fatlike.h"

static NTSTATUS FatComplete(PIRP Irp, NTSTATUS Status) {
  Irp->IoStatus.Status = Status;
  Irp->IoStatus.Information = 0;
  IoCompleteRequest(Irp, IO_NO_INCREMENT);
  return Status;
}

static GENERIC_MAPPING FatMapping = { FILE_GENERIC_READ, FILE_GENERIC_WRITE, FILE_GENERIC_EXECUTE, FILE_ALL_ACCESS };

/* Whether the caller may read the volume without what everyone may. */
static NTSTATUS FatMayLock(PFAT_VOLUME Volume, KPROCESSOR_MODE Mode) {
  SECURITY_SUBJECT_CONTEXT Subject;
  TOKEN_GROUPS Everyone;
  PACCESS_TOKEN *Place, Original, Filtered;
  ACCESS_MASK Granted;
  NTSTATUS Status;

  Everyone.GroupCount = 1;
  Everyone.Groups[0].Sid = SeExports->SeWorldSid;
  Everyone.Groups[0].Attributes = 0;
  SeCaptureSubjectContext(&Subject);
  SeLockSubjectContext(&Subject);
  Place = Subject.ClientToken != NULL ? &Subject.ClientToken : &Subject.PrimaryToken;
  Original = *Place;
  Status = SeFilterToken(Original, 0, &Everyone, NULL, NULL, &Filtered);
  if (NT_SUCCESS(Status)) {
    *Place = Filtered;
    if (SeAccessCheck(Volume->Descriptor, &Subject, TRUE, FILE_READ_DATA, 0, NULL, &FatMapping, Mode, &Granted, &Status)) Status = STATUS_SUCCESS;
    /* Fault: the filtered token stays in the structure. */
    if (!FAULTY(3)) *Place = Original;
    /* Fault: nobody gives the filtered token back. */
    if (!FAULTY(2)) ObDereferenceObject(Filtered);
  } else if (FAULTY(1)) {
    /* Fault: when there is no filtered token, the subject is released where it should be unlocked. */
    SeReleaseSubjectContext(&Subject);
    SeReleaseSubjectContext(&Subject);
    return Status;
  }
  /* Fault: it is not unlocked at all. */
  if (!FAULTY(4)) SeUnlockSubjectContext(&Subject);
  SeReleaseSubjectContext(&Subject);
  return Status;
}

/* Writes the journal as the file system itself, and lets the thread be whom it was. */
static NTSTATUS FatFlush(PFAT_VOLUME Volume) {
  SE_IMPERSONATION_STATE State;
  BOOLEAN WasActing = PsDisableImpersonation(PsGetCurrentThread(), &State);
  NTSTATUS Status = Volume->OpenFile(&Volume->Journal, FILE_WRITE_DATA);

  /* Fault: the way out of an error leaves the thread without its client. */
  if (FAULTY(6) && !NT_SUCCESS(Status)) return Status;
  /* Fault: it is restored although nothing was taken off. */
  if (WasActing || FAULTY(5)) PsRestoreImpersonation(PsGetCurrentThread(), &State);
  return Status;
}

/* Does something as whoever mounted the volume, and lets the thread be whom it was. */
static NTSTATUS FatAsOwner(PFAT_VOLUME Volume) {
  PETHREAD Thread = PsGetCurrentThread();
  BOOLEAN CopyOnOpen = FALSE, EffectiveOnly = FALSE, Ignored1, Ignored2;
  SECURITY_IMPERSONATION_LEVEL Level = SecurityAnonymous, Reached = SecurityAnonymous;
  PACCESS_TOKEN Saved = (PACCESS_TOKEN)PsReferenceImpersonationToken(Thread, &CopyOnOpen, &EffectiveOnly, &Level), Worn;
  NTSTATUS Status = PsImpersonateClient(Thread, Volume->Owner, TRUE, TRUE, SecurityImpersonation);

  /* Fault: it goes on as whoever the thread is. */
  if (FAULTY(8)) Status = STATUS_SUCCESS;
  if (NT_SUCCESS(Status)) {
    /* Success may mean that the owner can only be identified. */
    Worn = (PACCESS_TOKEN)PsReferenceImpersonationToken(Thread, &Ignored1, &Ignored2, &Reached);
    PsDereferenceImpersonationToken(Worn);
    if (Reached < SecurityImpersonation && !FAULTY(8)) Status = STATUS_BAD_IMPERSONATION_LEVEL;
    if (NT_SUCCESS(Status)) Status = Volume->OpenFile(&Volume->Journal, FILE_WRITE_DATA);
    /* What was saved is put back; if that fails, or was not much, to be oneself is what is left. */
    if (Saved == NULL || !NT_SUCCESS(PsImpersonateClient(Thread, Saved, CopyOnOpen, EffectiveOnly, Level))) {
      /* Fault: without a saved identity there is nothing to put back, and the owner's stays on. */
      if (!FAULTY(9)) PsRevertToSelf();
    }
  }
  /* Fault: what was saved is not given back. */
  if (!FAULTY(10)) PsDereferenceImpersonationToken(Saved);
  return Status;
}

static NTSTATUS NTAPI FatDeviceControl(PDEVICE_OBJECT DeviceObject, PIRP Irp) {
  PFAT_VOLUME Volume = (PFAT_VOLUME)DeviceObject->DeviceExtension;
  KIRQL Irql;
  NTSTATUS Status;

  PAGED_CODE();
  switch (IoGetCurrentIrpStackLocation(Irp)->Parameters.DeviceIoControl.IoControlCode) {
    case IOCTL_FAT_LOCK:
      Status = FatMayLock(Volume, Irp->RequestorMode);
      break;
    case IOCTL_FAT_FLUSH:
      Status = FatFlush(Volume);
      break;
    case IOCTL_FAT_CHARGE:
      Status = FatAsOwner(Volume);
      break;
    default:
      Status = STATUS_INVALID_DEVICE_REQUEST;
      break;
  }
  /* Fault: the level is lowered that nobody had raised. */
  if (FAULTY(7)) {
    KeRaiseIrql(APC_LEVEL, &Irql);
    KeLowerIrql(Irql);
    KeLowerIrql(APC_LEVEL);
  }
  return FatComplete(Irp, Status);
}

/* The volume is mounted, by whoever asks: with the program's own token. */
static NTSTATUS NTAPI FatMount(PDEVICE_OBJECT DeviceObject, PIRP Irp) {
  PFAT_VOLUME Volume = (PFAT_VOLUME)DeviceObject->DeviceExtension;

  PAGED_CODE();
  Volume->Owner = (PACCESS_TOKEN)PsReferencePrimaryToken(IoGetRequestorProcess(Irp));
  return FatComplete(Irp, STATUS_SUCCESS);
}

static NTSTATUS NTAPI FatDismount(PDEVICE_OBJECT DeviceObject, PIRP Irp) {
  PFAT_VOLUME Volume = (PFAT_VOLUME)DeviceObject->DeviceExtension;

  PAGED_CODE();
  PsDereferencePrimaryToken(Volume->Owner);
  Volume->Owner = NULL;
  return FatComplete(Irp, STATUS_SUCCESS);
}

NTSTATUS NTAPI FatDriverEntry(PDRIVER_OBJECT DriverObject, PUNICODE_STRING RegistryPath) {
  UNREFERENCED_PARAMETER(RegistryPath);
  DriverObject->MajorFunction[IRP_MJ_CREATE] = FatMount;
  DriverObject->MajorFunction[IRP_MJ_DEVICE_CONTROL] = FatDeviceControl;
  DriverObject->MajorFunction[IRP_MJ_CLEANUP] = FatDismount;
  return STATUS_SUCCESS;
}
