/*
 * A filter that checks access when a file is opened. Who asks stands in the ACCESS_STATE of the open, captured before anybody below
 * could change it; for whom the check is stands in the request: a user's open is checked as a user's, whoever's thread this is.
 */
#include "filter.h"

static NTSTATUS FilterComplete(PIRP Irp, NTSTATUS Status) {
  Irp->IoStatus.Status = Status;
  Irp->IoStatus.Information = 0;
  IoCompleteRequest(Irp, IO_NO_INCREMENT);
  return Status;
}

static GENERIC_MAPPING FilterMapping = { FILE_GENERIC_READ, FILE_GENERIC_WRITE, FILE_GENERIC_EXECUTE, FILE_ALL_ACCESS };

/* Whether the open is granted; what was used and granted for it is noted in its state. */
static NTSTATUS FilterCheck(PFILTER Filter, PACCESS_STATE State, KPROCESSOR_MODE Mode) {
  PSECURITY_SUBJECT_CONTEXT Subject = &State->SubjectSecurityContext;
  PPRIVILEGE_SET Privileges = NULL;
  ACCESS_MASK Granted = 0;
  KIRQL Irql = PASSIVE_LEVEL;
  NTSTATUS Status;
  BOOLEAN MayOpen;

  /* Fault: the check is said to be locked, and nobody locked. */
  if (!FAULTY(3)) SeLockSubjectContext(Subject);
  /* Fault: a spin lock is held meanwhile. */
  if (FAULTY(8)) KeRaiseIrql(DISPATCH_LEVEL, &Irql);
  MayOpen = SeAccessCheck(Filter->Descriptor, Subject, TRUE, State->RemainingDesiredAccess, State->PreviouslyGrantedAccess, &Privileges,
                          &FilterMapping, Mode, &Granted, &Status);
  if (FAULTY(8)) KeLowerIrql(Irql);
  /* Fault: an open that is refused stays locked. */
  if (!FAULTY(3) && !(FAULTY(2) && !MayOpen)) SeUnlockSubjectContext(Subject);
  if (Privileges != NULL) {
    NTSTATUS Added = SeAppendPrivileges(State, Privileges);
    /* Fault: the set of privileges that were used is not freed. */
    if (!FAULTY(4)) SeFreePrivileges(Privileges);
    if (!NT_SUCCESS(Added)) return Added;
  }
  if (!MayOpen) return Status;
  State->PreviouslyGrantedAccess |= Granted;
  State->RemainingDesiredAccess &= ~(Granted | MAXIMUM_ALLOWED);
  return STATUS_SUCCESS;
}

/* The program behind the request, as far as there is one: its own token, whoever its thread acts as. */
static NTSTATUS FilterLookAtProcess(PIRP Irp, PBOOLEAN IsAdministrator) {
  PEPROCESS Process = IoGetRequestorProcess(Irp);
  PACCESS_TOKEN Token;

  /* Fault: a request of nobody's has no process, and is asked for its token. */
  if (!FAULTY(10) && Process == NULL) return STATUS_INVALID_DEVICE_REQUEST;
  /* Fault: the thread is taken for its process. */
  if (FAULTY(9)) Process = (PEPROCESS)Irp->Tail.Overlay.Thread;
  Token = (PACCESS_TOKEN)PsReferencePrimaryToken(Process);
  *IsAdministrator = (BOOLEAN)(Token != NULL && SeTokenIsAdmin(Token));
  /* Fault: the reference is kept. */
  if (!FAULTY(11) && Token != NULL) PsDereferencePrimaryToken(Token);
  /* Fault: a reference is given back that IoGetRequestorProcess did not give. */
  if (FAULTY(5)) ObDereferenceObject(Process);
  return STATUS_SUCCESS;
}

static NTSTATUS FilterOpen(PFILTER Filter, PIRP Irp, PFILTER_FILE File) {
  PIO_STACK_LOCATION IrpSp = IoGetCurrentIrpStackLocation(Irp);
  PACCESS_STATE State = IrpSp->Parameters.Create.SecurityContext->AccessState;
  PSECURITY_SUBJECT_CONTEXT Subject = &State->SubjectSecurityContext;
  KPROCESSOR_MODE Mode = (IrpSp->Flags & SL_FORCE_ACCESS_CHECK) ? UserMode : Irp->RequestorMode;
  NTSTATUS Status;

  /* Fault: the filter runs in kernel mode, and passes that. */
  if (FAULTY(1)) Mode = KernelMode;
  Status = FilterCheck(Filter, State, Mode);
  if (!NT_SUCCESS(Status)) return Status;
  /* The level was at least Impersonation, or the check had refused. A check in kernel mode looks at no level. */
  if (Subject->ClientToken != NULL && Subject->ImpersonationLevel < SecurityImpersonation) return STATUS_BAD_IMPERSONATION_LEVEL;
  File->Opener = SeQuerySubjectContextToken(Subject);
  /* Fault: the token of the state is kept without a reference. */
  if (!FAULTY(6)) ObReferenceObject(File->Opener);
  /* Fault: the state's subject is released, which is for whoever made the state. */
  if (FAULTY(7)) SeReleaseSubjectContext(Subject);
  Status = FilterLookAtProcess(Irp, &File->ByAdministrator);
  if (NT_SUCCESS(Status) && Filter->ForAdministrators && !File->ByAdministrator) Status = STATUS_ACCESS_DENIED;
  if (!NT_SUCCESS(Status) && !FAULTY(6)) ObDereferenceObject(File->Opener);
  return Status;
}

static NTSTATUS NTAPI FilterCreate(PDEVICE_OBJECT DeviceObject, PIRP Irp) {
  PFILE_OBJECT FileObject = IoGetCurrentIrpStackLocation(Irp)->FileObject;
  PFILTER_FILE File = ALLOCATE(FILTER_FILE, FILTER_TAG);
  NTSTATUS Status;

  PAGED_CODE();
  if (File == NULL) return FilterComplete(Irp, STATUS_INSUFFICIENT_RESOURCES);
  Status = FilterOpen((PFILTER)DeviceObject->DeviceExtension, Irp, File);
  if (!NT_SUCCESS(Status)) {
    ExFreePoolWithTag(File, FILTER_TAG);
    File = NULL;
  }
  FileObject->FsContext2 = File;
  return FilterComplete(Irp, Status);
}

/* The file is closed: whether an administrator had opened it is of interest to somebody. */
static NTSTATUS NTAPI FilterCleanup(PDEVICE_OBJECT DeviceObject, PIRP Irp) {
  PFILE_OBJECT FileObject = IoGetCurrentIrpStackLocation(Irp)->FileObject;
  PFILTER_FILE File = (PFILTER_FILE)FileObject->FsContext2;

  UNREFERENCED_PARAMETER(DeviceObject);
  PAGED_CODE();
  FileObject->FsContext2 = NULL;
  if (File != NULL) {
    if (SeTokenIsAdmin(File->Opener)) KdPrint(("filter: closed by an administrator\n"));
    if (!FAULTY(6)) ObDereferenceObject(File->Opener);
    ExFreePoolWithTag(File, FILTER_TAG);
  }
  return FilterComplete(Irp, STATUS_SUCCESS);
}

NTSTATUS NTAPI FilterDriverEntry(PDRIVER_OBJECT DriverObject, PUNICODE_STRING RegistryPath) {
  UNREFERENCED_PARAMETER(RegistryPath);
  DriverObject->MajorFunction[IRP_MJ_CREATE] = FilterCreate;
  DriverObject->MajorFunction[IRP_MJ_CLEANUP] = FilterCleanup;
  return STATUS_SUCCESS;
}
