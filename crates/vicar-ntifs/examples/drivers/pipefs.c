/*
 * A file system of pipes: how the server's end comes to act as its client.
 *
 * The client says when it opens what the server may do. With static tracking its identity is recorded then, once. With dynamic
 * tracking it is recorded with every message, of the thread that writes it, and what the server has read last says whom it acts
 * as. Only the server's end may ask for it; a client that has gone, or a new one, leaves nothing behind.
 */
#include "pipefs.h"

static NTSTATUS PipeComplete(PIRP Irp, NTSTATUS Status, ULONG_PTR Information) {
  Irp->IoStatus.Status = Status;
  Irp->IoStatus.Information = Information;
  IoCompleteRequest(Irp, IO_NO_INCREMENT);
  return Status;
}

/* Records who a thread is, in memory of the pool. */
static NTSTATUS PipeCapture(PETHREAD Thread, PSECURITY_QUALITY_OF_SERVICE Qos, PSECURITY_CLIENT_CONTEXT *Client) {
  PSECURITY_CLIENT_CONTEXT Captured = ALLOCATE(SECURITY_CLIENT_CONTEXT, PIPE_TAG);
  KIRQL Irql = PASSIVE_LEVEL;
  NTSTATUS Status;

  *Client = NULL;
  if (Captured == NULL) return STATUS_INSUFFICIENT_RESOURCES;
  /* Fault: the pipe's spin lock is held meanwhile. */
  if (FAULTY(5)) KeRaiseIrql(DISPATCH_LEVEL, &Irql);
  Status = SeCreateClientSecurity(Thread, Qos, FALSE, Captured);
  if (FAULTY(5)) KeLowerIrql(Irql);
  /* Fault: whether it could be recorded is not asked. */
  if (FAULTY(4)) Status = STATUS_SUCCESS;
  if (!NT_SUCCESS(Status)) {
    ExFreePoolWithTag(Captured, PIPE_TAG);
    return Status;
  }
  *Client = Captured;
  return STATUS_SUCCESS;
}

static VOID PipeForget(PSECURITY_CLIENT_CONTEXT *Client) {
  if (*Client == NULL) return;
  /* Fault: the memory is freed and the context in it is not deleted. */
  if (!FAULTY(2)) SeDeleteClientSecurity(*Client);
  /* Fault: the pipe keeps its client when it is gone. */
  if (FAULTY(8)) return;
  ExFreePoolWithTag(*Client, PIPE_TAG);
  *Client = NULL;
}

static VOID PipeDisconnect(PPIPE Pipe) {
  PipeForget(&Pipe->Client);
  while (!IsListEmpty(&Pipe->Messages)) {
    PPIPE_MESSAGE Message = CONTAINING_RECORD(RemoveHeadList(&Pipe->Messages), PIPE_MESSAGE, Link);
    /* Fault: messages that nobody has read are forgotten without who wrote them. */
    if (!FAULTY(6)) PipeForget(&Message->Client);
    ExFreePoolWithTag(Message, PIPE_TAG);
  }
  Pipe->IsConnected = FALSE;
}

/* The client's end is opened. */
static NTSTATUS NTAPI PipeCreate(PDEVICE_OBJECT DeviceObject, PIRP Irp) {
  PIO_STACK_LOCATION IrpSp = IoGetCurrentIrpStackLocation(Irp);
  PIO_SECURITY_CONTEXT Security = IrpSp->Parameters.Create.SecurityContext;
  PPIPE Pipe = (PPIPE)IrpSp->FileObject->FsContext;
  NTSTATUS Status = STATUS_SUCCESS;

  UNREFERENCED_PARAMETER(DeviceObject);
  PAGED_CODE();
  if (Pipe->IsConnected) return PipeComplete(Irp, STATUS_PIPE_BUSY, 0);
  if (Security->SecurityQos != NULL) {
    Pipe->Qos = *Security->SecurityQos;
  } else {
    Pipe->Qos.Length = sizeof(Pipe->Qos);
    Pipe->Qos.ImpersonationLevel = SecurityImpersonation;
    Pipe->Qos.ContextTrackingMode = SECURITY_DYNAMIC_TRACKING;
    Pipe->Qos.EffectiveOnly = TRUE;
  }
  if (Pipe->Qos.ContextTrackingMode == SECURITY_STATIC_TRACKING) {
    Status = PipeCapture(Irp->Tail.Overlay.Thread, &Pipe->Qos, &Pipe->Client);
  }
  if (NT_SUCCESS(Status)) Pipe->IsConnected = TRUE;
  return PipeComplete(Irp, Status, 0);
}

/* The client writes. Who writes is the thread of the request, which need not be the one that this code runs on. */
static NTSTATUS NTAPI PipeWrite(PDEVICE_OBJECT DeviceObject, PIRP Irp) {
  PIO_STACK_LOCATION IrpSp = IoGetCurrentIrpStackLocation(Irp);
  PPIPE Pipe = (PPIPE)IrpSp->FileObject->FsContext;
  PPIPE_MESSAGE Message;
  NTSTATUS Status = STATUS_SUCCESS;

  UNREFERENCED_PARAMETER(DeviceObject);
  PAGED_CODE();
  if (!Pipe->IsConnected) return PipeComplete(Irp, STATUS_PIPE_DISCONNECTED, 0);
  if (IrpSp->FileObject->FsContext2 != PIPE_CLIENT_END || IrpSp->Parameters.Write.Length != sizeof(ULONG))
    return PipeComplete(Irp, STATUS_INVALID_PARAMETER, 0);
  Message = ALLOCATE(PIPE_MESSAGE, PIPE_TAG);
  if (Message == NULL) return PipeComplete(Irp, STATUS_INSUFFICIENT_RESOURCES, 0);
  Message->Client = NULL;
  Message->Value = *(PULONG)Irp->AssociatedIrp.SystemBuffer;
  if (Pipe->Qos.ContextTrackingMode == SECURITY_DYNAMIC_TRACKING) {
    Status = PipeCapture(Irp->Tail.Overlay.Thread, &Pipe->Qos, &Message->Client);
  }
  if (!NT_SUCCESS(Status)) {
    /* Fault: the message is not freed when its writer cannot be recorded. */
    if (!FAULTY(7)) ExFreePoolWithTag(Message, PIPE_TAG);
    return PipeComplete(Irp, Status, 0);
  }
  InsertTailList(&Pipe->Messages, &Message->Link);
  return PipeComplete(Irp, STATUS_SUCCESS, sizeof(ULONG));
}

/* The server reads, and from now on acts as whoever wrote that. */
static NTSTATUS NTAPI PipeRead(PDEVICE_OBJECT DeviceObject, PIRP Irp) {
  PIO_STACK_LOCATION IrpSp = IoGetCurrentIrpStackLocation(Irp);
  PPIPE Pipe = (PPIPE)IrpSp->FileObject->FsContext;
  PPIPE_MESSAGE Message;

  UNREFERENCED_PARAMETER(DeviceObject);
  PAGED_CODE();
  if (IsListEmpty(&Pipe->Messages)) return PipeComplete(Irp, Pipe->IsConnected ? STATUS_PENDING : STATUS_PIPE_BROKEN, 0);
  Message = CONTAINING_RECORD(RemoveHeadList(&Pipe->Messages), PIPE_MESSAGE, Link);
  *(PULONG)Irp->AssociatedIrp.SystemBuffer = Message->Value;
  if (Message->Client != NULL) {
    if (FAULTY(3) && Pipe->Client != NULL) {
      /* Fault: the context is copied, and both copies are deleted in the end. */
      SeDeleteClientSecurity(Pipe->Client);
      *Pipe->Client = *Message->Client;
      PipeForget(&Message->Client);
    } else {
      PipeForget(&Pipe->Client);
      Pipe->Client = Message->Client;
    }
  }
  ExFreePoolWithTag(Message, PIPE_TAG);
  return PipeComplete(Irp, STATUS_SUCCESS, sizeof(ULONG));
}

/* The server asks to act as its client. It goes back to its program acting so, which is what it asked for. */
static NTSTATUS PipeImpersonate(PFILE_OBJECT FileObject) {
  PPIPE Pipe = (PPIPE)FileObject->FsContext;

  if (FileObject->FsContext2 != PIPE_SERVER_END) return STATUS_ILLEGAL_FUNCTION;
  if (Pipe->Client == NULL) return STATUS_CANNOT_IMPERSONATE;
  if (FAULTY(1)) {
    /* Fault: the older routine, whose failure nobody sees: the server is told that it acts as its client, and does not. */
#pragma GCC diagnostic push
#pragma GCC diagnostic ignored "-Wdeprecated-declarations"
    SeImpersonateClient(Pipe->Client, NULL);
#pragma GCC diagnostic pop
    return STATUS_SUCCESS;
  }
  return SeImpersonateClientEx(Pipe->Client, NULL);
}

static NTSTATUS NTAPI PipeFsControl(PDEVICE_OBJECT DeviceObject, PIRP Irp) {
  PIO_STACK_LOCATION IrpSp = IoGetCurrentIrpStackLocation(Irp);

  UNREFERENCED_PARAMETER(DeviceObject);
  PAGED_CODE();
  if (IrpSp->Parameters.FileSystemControl.FsControlCode != FSCTL_PIPE_IMPERSONATE)
    return PipeComplete(Irp, STATUS_INVALID_DEVICE_REQUEST, 0);
  return PipeComplete(Irp, PipeImpersonate(IrpSp->FileObject), 0);
}

/* One end has gone: the next client must not inherit anything. */
static NTSTATUS NTAPI PipeCleanup(PDEVICE_OBJECT DeviceObject, PIRP Irp) {
  UNREFERENCED_PARAMETER(DeviceObject);
  PAGED_CODE();
  PipeDisconnect((PPIPE)IoGetCurrentIrpStackLocation(Irp)->FileObject->FsContext);
  return PipeComplete(Irp, STATUS_SUCCESS, 0);
}

NTSTATUS NTAPI PipeDriverEntry(PDRIVER_OBJECT DriverObject, PUNICODE_STRING RegistryPath) {
  UNREFERENCED_PARAMETER(RegistryPath);
  DriverObject->MajorFunction[IRP_MJ_CREATE] = PipeCreate;
  DriverObject->MajorFunction[IRP_MJ_READ] = PipeRead;
  DriverObject->MajorFunction[IRP_MJ_WRITE] = PipeWrite;
  DriverObject->MajorFunction[IRP_MJ_FILE_SYSTEM_CONTROL] = PipeFsControl;
  DriverObject->MajorFunction[IRP_MJ_CLEANUP] = PipeCleanup;
  return STATUS_SUCCESS;
}
