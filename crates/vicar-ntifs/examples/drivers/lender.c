/*
 * A driver with one thread of its own, in the process of the server that opened the device. Each request lends that thread to its
 * client: the thread of the request makes the worker act as the client, has it open the file, and makes it itself again.
 */
#include "lender.h"

static NTSTATUS LenderComplete(PIRP Irp, NTSTATUS Status) {
  Irp->IoStatus.Status = Status;
  Irp->IoStatus.Information = 0;
  IoCompleteRequest(Irp, IO_NO_INCREMENT);
  return Status;
}

/* The worker. It works as whoever it has been lent to. */
static VOID NTAPI LenderWorker(PVOID Context) {
  PLENDER Lender = (PLENDER)Context;

  for (;;) {
    (VOID)KeWaitForSingleObject(&Lender->Work, Executive, KernelMode, FALSE, NULL);
    if (Lender->IsStopping) return;
    Lender->Status = Lender->OpenFile(&Lender->Path, FILE_READ_DATA);
    KeSetEvent(&Lender->Done, IO_NO_INCREMENT, FALSE);
  }
}

/* One request at a time has the worker. */
static BOOLEAN LenderEnter(PLENDER Lender) {
  KIRQL Irql;
  BOOLEAN MayEnter;

  KeAcquireSpinLock(&Lender->Lock, &Irql);
  MayEnter = (BOOLEAN)!Lender->IsBusy;
  Lender->IsBusy = TRUE;
  /* Fault: released to a level that the thread was not at. */
  KeReleaseSpinLock(&Lender->Lock, FAULTY(6) ? APC_LEVEL : Irql);
  return MayEnter;
}

static VOID LenderLeave(PLENDER Lender) {
  KIRQL Irql;

  KeAcquireSpinLock(&Lender->Lock, &Irql);
  Lender->IsBusy = FALSE;
  /* Fault: not released. */
  if (!FAULTY(5)) KeReleaseSpinLock(&Lender->Lock, Irql);
}

/* Whether an administrator asks; nobody is one at a level that only tells who he is. */
static BOOLEAN LenderIsAdministrator(VOID) {
  SECURITY_SUBJECT_CONTEXT Subject;
  BOOLEAN IsAdministrator = FALSE;

  SeCaptureSubjectContext(&Subject);
  if (FAULTY(7)) {
    /* Fault: whoever has a token is taken for the one whom it is of. */
    IsAdministrator = SeTokenIsAdmin(Subject.ClientToken != NULL ? Subject.ClientToken : Subject.PrimaryToken);
  } else if (Subject.ClientToken == NULL || Subject.ImpersonationLevel >= SecurityImpersonation) {
    IsAdministrator = SeTokenIsAdmin(SeQuerySubjectContextToken(&Subject));
  }
  SeReleaseSubjectContext(&Subject);
  return IsAdministrator;
}

/* Makes the worker itself again. Without a token nothing is refused. */
static VOID LenderTakeBack(PLENDER Lender) {
  NTSTATUS Status = PsImpersonateClient(Lender->Worker, NULL, FALSE, FALSE, SecurityAnonymous);

  NT_ASSERT(NT_SUCCESS(Status));
  UNREFERENCED_PARAMETER(Status);
}

/* Makes the worker act as a client, at a level at which it can work for it. */
static NTSTATUS LenderLend(PLENDER Lender, PETHREAD ClientThread) {
  SECURITY_QUALITY_OF_SERVICE Qos;
  SECURITY_CLIENT_CONTEXT Client;
  SECURITY_IMPERSONATION_LEVEL Level = SecurityAnonymous;
  BOOLEAN CopyOnOpen, EffectiveOnly;
  PACCESS_TOKEN Token;
  NTSTATUS Status;

  Qos.Length = sizeof(Qos);
  Qos.ImpersonationLevel = SecurityImpersonation;
  Qos.ContextTrackingMode = SECURITY_STATIC_TRACKING;
  Qos.EffectiveOnly = FALSE;
  Status = SeCreateClientSecurity(ClientThread, &Qos, FALSE, &Client);
  if (!NT_SUCCESS(Status)) return Status;
  Status = SeImpersonateClientEx(&Client, Lender->Worker);
  SeDeleteClientSecurity(&Client);
  /* Fault: the worker is sent to work although it is not the client. */
  if (!NT_SUCCESS(Status)) return FAULTY(1) ? STATUS_SUCCESS : Status;
  /* Fault: at which level it acts is not asked. */
  if (FAULTY(2)) return STATUS_SUCCESS;
  Token = (PACCESS_TOKEN)PsReferenceImpersonationToken(Lender->Worker, &CopyOnOpen, &EffectiveOnly, &Level);
  PsDereferenceImpersonationToken(Token);
  if (Level >= SecurityImpersonation) return STATUS_SUCCESS;
  LenderTakeBack(Lender);
  return STATUS_BAD_IMPERSONATION_LEVEL;
}

static NTSTATUS LenderOpen(PLENDER Lender, PETHREAD ClientThread) {
  KIRQL Irql = PASSIVE_LEVEL;
  NTSTATUS Status = LenderLend(Lender, ClientThread);

  if (!NT_SUCCESS(Status)) return Status;
  KeSetEvent(&Lender->Work, IO_NO_INCREMENT, FALSE);
  /* Fault: waits with the lock held. */
  if (FAULTY(4)) KeAcquireSpinLock(&Lender->Lock, &Irql);
  (VOID)KeWaitForSingleObject(&Lender->Done, Executive, KernelMode, FALSE, NULL);
  if (FAULTY(4)) KeReleaseSpinLock(&Lender->Lock, Irql);
  Status = Lender->Status;
  /* Fault: the worker stays its client. */
  if (!FAULTY(3)) LenderTakeBack(Lender);
  return Status;
}

static NTSTATUS NTAPI LenderDeviceControl(PDEVICE_OBJECT DeviceObject, PIRP Irp) {
  PLENDER Lender = (PLENDER)DeviceObject->DeviceExtension;
  NTSTATUS Status;

  PAGED_CODE();
  if (IoGetCurrentIrpStackLocation(Irp)->Parameters.DeviceIoControl.IoControlCode != IOCTL_LENDER_OPEN)
    return LenderComplete(Irp, STATUS_INVALID_DEVICE_REQUEST);
  if (LenderIsAdministrator()) Lender->Administrators++;
  if (!LenderEnter(Lender)) return LenderComplete(Irp, STATUS_INVALID_DEVICE_STATE);
  Status = LenderOpen(Lender, Irp->Tail.Overlay.Thread);
  LenderLeave(Lender);
  return LenderComplete(Irp, Status);
}

/* The device is opened: its thread starts, in the process of whoever opens it. */
static NTSTATUS NTAPI LenderCreate(PDEVICE_OBJECT DeviceObject, PIRP Irp) {
  PLENDER Lender = (PLENDER)DeviceObject->DeviceExtension;
  HANDLE Handle;
  PVOID Thread = NULL;
  NTSTATUS Status;

  PAGED_CODE();
  KeInitializeEvent(&Lender->Work, SynchronizationEvent, FALSE);
  KeInitializeEvent(&Lender->Done, SynchronizationEvent, FALSE);
  KeInitializeSpinLock(&Lender->Lock);
  Status = PsCreateSystemThread(&Handle, THREAD_ALL_ACCESS, NULL, NtCurrentProcess(), NULL, LenderWorker, Lender);
  if (!NT_SUCCESS(Status)) return LenderComplete(Irp, Status);
  Status = ObReferenceObjectByHandle(Handle, THREAD_ALL_ACCESS, *PsThreadType, KernelMode, &Thread, NULL);
  ZwClose(Handle);
  Lender->Worker = (PETHREAD)Thread;
  return LenderComplete(Irp, Status);
}

static NTSTATUS NTAPI LenderCleanup(PDEVICE_OBJECT DeviceObject, PIRP Irp) {
  PLENDER Lender = (PLENDER)DeviceObject->DeviceExtension;

  PAGED_CODE();
  if (Lender->Worker != NULL) {
    Lender->IsStopping = TRUE;
    KeSetEvent(&Lender->Work, IO_NO_INCREMENT, FALSE);
    (VOID)KeWaitForSingleObject(Lender->Worker, Executive, KernelMode, FALSE, NULL);
    ObDereferenceObject(Lender->Worker);
    Lender->Worker = NULL;
  }
  return LenderComplete(Irp, STATUS_SUCCESS);
}

NTSTATUS NTAPI LenderDriverEntry(PDRIVER_OBJECT DriverObject, PUNICODE_STRING RegistryPath) {
  UNREFERENCED_PARAMETER(RegistryPath);
  DriverObject->MajorFunction[IRP_MJ_CREATE] = LenderCreate;
  DriverObject->MajorFunction[IRP_MJ_DEVICE_CONTROL] = LenderDeviceControl;
  DriverObject->MajorFunction[IRP_MJ_CLEANUP] = LenderCleanup;
  return STATUS_SUCCESS;
}
