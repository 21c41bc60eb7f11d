/*
 * A redirector. An open is not answered here: who asks is recorded, the request is queued, and a daemon comes for it on a thread of
 * its own. That thread acts as the user for the length of one upcall. The daemon is a program like any other: without
 * SeImpersonatePrivilege it gets users that can only be identified, and then their requests are refused.
 */
#include "redir.h"

static NTSTATUS RedirComplete(PIRP Irp, NTSTATUS Status) {
  Irp->IoStatus.Status = Status;
  Irp->IoStatus.Information = 0;
  IoCompleteRequest(Irp, IO_NO_INCREMENT);
  return Status;
}

/* Ends a request and everything that it held. */
static VOID RedirFinish(PREDIR Redir, PREDIR_ENTRY Entry, NTSTATUS Status) {
  PIRP Irp = Entry->Irp;

  SeDeleteClientSecurity(&Entry->Client);
  if (NT_SUCCESS(Status)) Redir->LastLogonId = Entry->LogonId;
  /* Fault: the reference that the entry took is forgotten. */
  if (!FAULTY(2)) ObDereferenceObject(Entry->Token);
  /* Fault: it is given back once more. */
  if (FAULTY(3)) ObDereferenceObject(Entry->Token);
  ExFreePoolWithTag(Entry, REDIR_TAG);
  RedirComplete(Irp, Status);
}

/* Who the calling thread is, and its logon session. The session is that of a user who may act, or of nobody. */
static NTSTATUS RedirIdentify(PREDIR_ENTRY Entry) {
  SECURITY_SUBJECT_CONTEXT Subject;
  SECURITY_QUALITY_OF_SERVICE Qos;
  NTSTATUS Status = STATUS_SUCCESS;

  SeCaptureSubjectContext(&Subject);
  SeLockSubjectContext(&Subject);
  /* Fault: whatever token there is is believed. */
  if (!FAULTY(5) && Subject.ClientToken != NULL && Subject.ImpersonationLevel < SecurityImpersonation)
    Status = STATUS_BAD_IMPERSONATION_LEVEL;
  if (NT_SUCCESS(Status)) Status = SeQueryAuthenticationIdToken(SeQuerySubjectContextToken(&Subject), &Entry->LogonId);
  if (NT_SUCCESS(Status)) {
    Qos.Length = sizeof(Qos);
    Qos.ImpersonationLevel = SecurityImpersonation;
    Qos.ContextTrackingMode = SECURITY_STATIC_TRACKING;
    Qos.EffectiveOnly = FALSE;
    Status = SeCreateClientSecurityFromSubjectContext(&Subject, &Qos, FALSE, &Entry->Client);
  }
  SeUnlockSubjectContext(&Subject);
  /* Fault: the subject is released only when all went well. */
  if (FAULTY(1) && !NT_SUCCESS(Status)) return Status;
  SeReleaseSubjectContext(&Subject);
  return Status;
}

/* A user opens something: the request waits for the daemon. */
static NTSTATUS NTAPI RedirCreate(PDEVICE_OBJECT DeviceObject, PIRP Irp) {
  PREDIR Redir = (PREDIR)DeviceObject->DeviceExtension;
  PREDIR_ENTRY Entry;
  NTSTATUS Status;

  PAGED_CODE();
  Entry = ALLOCATE(REDIR_ENTRY, REDIR_TAG);
  if (Entry == NULL) return RedirComplete(Irp, STATUS_INSUFFICIENT_RESOURCES);
  Entry->Irp = Irp;
  KeEnterCriticalRegion();
  Status = RedirIdentify(Entry);
  if (!NT_SUCCESS(Status)) {
    ExFreePoolWithTag(Entry, REDIR_TAG);
    /* Fault: the entry is freed, and then something is stored in it. */
    if (FAULTY(10)) Entry->Irp = NULL;
    /* Fault: it is freed here, and again on the common way out. */
    if (FAULTY(8)) ExFreePoolWithTag(Entry, REDIR_TAG);
    /* Fault: the way out of the error does not leave the region. */
    if (!FAULTY(9)) KeLeaveCriticalRegion();
    return RedirComplete(Irp, Status);
  }
  KeLeaveCriticalRegion();
  Entry->Token = Entry->Client.ClientToken;
  ObReferenceObject(Entry->Token);
  IoMarkIrpPending(Irp);
  InsertTailList(&Redir->Queue, &Entry->Link);
  return STATUS_PENDING;
}

/* Whether the calling thread acts as a user and not only knows who it is. */
static BOOLEAN RedirMayAct(VOID) {
  BOOLEAN CopyOnOpen, EffectiveOnly;
  SECURITY_IMPERSONATION_LEVEL Level = SecurityAnonymous;
  PACCESS_TOKEN Token = (PACCESS_TOKEN)PsReferenceImpersonationToken(PsGetCurrentThread(), &CopyOnOpen, &EffectiveOnly, &Level);

  if (Token == NULL) return FALSE;
  PsDereferenceImpersonationToken(Token);
  return (BOOLEAN)(Level >= SecurityImpersonation);
}

/* One request, by the daemon's thread as the user. */
static NTSTATUS RedirServe(PREDIR Redir, PREDIR_ENTRY Entry) {
  PIO_STACK_LOCATION IrpSp = IoGetCurrentIrpStackLocation(Entry->Irp);
  HANDLE Token;
  NTSTATUS Status;

  Status = ObOpenObjectByPointer(Entry->Token, OBJ_KERNEL_HANDLE, NULL, TOKEN_QUERY, *SeTokenObjectType, KernelMode, &Token);
  if (!NT_SUCCESS(Status)) return Status;
  Status = SeImpersonateClientEx(&Entry->Client, NULL);
  if (NT_SUCCESS(Status)) {
    /* Fault: success is taken for the level that was asked for. */
    if (!FAULTY(6) && !RedirMayAct()) Status = STATUS_BAD_IMPERSONATION_LEVEL;
    if (NT_SUCCESS(Status)) Status = Redir->Upcall(&IrpSp->FileObject->FileName, Token);
    /* Fault: after an upcall that failed the thread goes back to the daemon's program as the user. */
    if (!FAULTY(4) || NT_SUCCESS(Status)) SeStopImpersonatingClient();
  }
  ZwClose(Token);
  /* Fault: the handle is closed twice. */
  if (FAULTY(7)) ZwClose(Token);
  return Status;
}

/* The daemon comes for the next request. */
static NTSTATUS NTAPI RedirDeviceControl(PDEVICE_OBJECT DeviceObject, PIRP Irp) {
  PREDIR Redir = (PREDIR)DeviceObject->DeviceExtension;
  PREDIR_ENTRY Entry;

  PAGED_CODE();
  if (IoGetCurrentIrpStackLocation(Irp)->Parameters.DeviceIoControl.IoControlCode != IOCTL_REDIR_SERVE)
    return RedirComplete(Irp, STATUS_INVALID_DEVICE_REQUEST);
  if (IsListEmpty(&Redir->Queue)) return RedirComplete(Irp, STATUS_NOT_FOUND);
  Entry = CONTAINING_RECORD(RemoveHeadList(&Redir->Queue), REDIR_ENTRY, Link);
  RedirFinish(Redir, Entry, RedirServe(Redir, Entry));
  return RedirComplete(Irp, STATUS_SUCCESS);
}

/* The daemon has gone: nobody will come for what waits. */
static NTSTATUS NTAPI RedirCleanup(PDEVICE_OBJECT DeviceObject, PIRP Irp) {
  PREDIR Redir = (PREDIR)DeviceObject->DeviceExtension;

  PAGED_CODE();
  while (!IsListEmpty(&Redir->Queue)) {
    PREDIR_ENTRY Entry = CONTAINING_RECORD(RemoveHeadList(&Redir->Queue), REDIR_ENTRY, Link);
    RedirFinish(Redir, Entry, STATUS_CANCELLED);
  }
  return RedirComplete(Irp, STATUS_SUCCESS);
}

NTSTATUS NTAPI RedirDriverEntry(PDRIVER_OBJECT DriverObject, PUNICODE_STRING RegistryPath) {
  UNREFERENCED_PARAMETER(RegistryPath);
  DriverObject->MajorFunction[IRP_MJ_CREATE] = RedirCreate;
  DriverObject->MajorFunction[IRP_MJ_DEVICE_CONTROL] = RedirDeviceControl;
  DriverObject->MajorFunction[IRP_MJ_CLEANUP] = RedirCleanup;
  return STATUS_SUCCESS;
}
