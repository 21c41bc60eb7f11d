/* What the page of SeImpersonateClientEx describes, in its order. */
#include "page.h"

/* 1. Before anything else, the client is recorded, of the thread that asks and with what it allows its server. */
NTSTATUS ServerMeet(PSERVER Server, PETHREAD ClientThread, SECURITY_CONTEXT_TRACKING_MODE Tracking) {
  SECURITY_QUALITY_OF_SERVICE Qos;

  PAGED_CODE();
  Qos.Length = sizeof(Qos);
  Qos.ImpersonationLevel = SecurityImpersonation;
  Qos.ContextTrackingMode = Tracking;
  Qos.EffectiveOnly = FALSE;
  return SeCreateClientSecurity(ClientThread, &Qos, FALSE, &Server->Client);
}

/* 2. Then the server acts as the client: its own thread, because it names no other. The context is taken to be up to date. */
NTSTATUS ServerServe(PSERVER Server, PCUNICODE_STRING Path) {
  BOOLEAN CopyOnOpen, EffectiveOnly;
  SECURITY_IMPERSONATION_LEVEL Level = SecurityAnonymous;
  PACCESS_TOKEN Token;
  NTSTATUS Status;

  PAGED_CODE();
  Status = SeImpersonateClientEx(&Server->Client, NULL);
  /* 3. It may be refused. Then the thread is whoever it was, and the request is over. */
  if (!NT_SUCCESS(Status)) return Status;
  /* 4. And it may be granted less: a server without the right to act as this client knows who it is, and no more. */
  Token = (PACCESS_TOKEN)PsReferenceImpersonationToken(PsGetCurrentThread(), &CopyOnOpen, &EffectiveOnly, &Level);
  PsDereferenceImpersonationToken(Token);
  Status = Level < SecurityImpersonation ? STATUS_BAD_IMPERSONATION_LEVEL : Server->OpenFile(Path, FILE_READ_DATA);
  /* 5. The end, on every path. */
  /* Fault: the thread goes back to its program as the client. */
  if (!FAULTY(1)) SeStopImpersonatingClient();
  return Status;
}

/* 6. The client is let go; a thread that acts as it still is not disturbed. */
VOID ServerPart(PSERVER Server) {
  PAGED_CODE();
  /* Fault: it never is. */
  if (!FAULTY(2)) SeDeleteClientSecurity(&Server->Client);
}

static VOID NTAPI ServerWork(PVOID Parameter) {
  PSERVER Server = (PSERVER)Parameter;

  /* Fault: the worker takes the client on, and returns so. */
  if (FAULTY(3)) {
    Server->WorkStatus = SeImpersonateClientEx(&Server->Client, NULL);
    return;
  }
  Server->WorkStatus = SeSinglePrivilegeCheck(SeExports->SeTcbPrivilege, UserMode) ? STATUS_SUCCESS : STATUS_PRIVILEGE_NOT_HELD;
}

/*
 * 7. The page's warning: never raise a user's thread. Its program could take the token while it is there. What needs more than the
 * client has is handed to a system worker, which has it already and acts as nobody.
 */
VOID ServerElevate(PSERVER Server) {
  PAGED_CODE();
  Server->WorkStatus = STATUS_PENDING;
  ExInitializeWorkItem(&Server->Work, ServerWork, Server);
  ExQueueWorkItem(&Server->Work, DelayedWorkQueue);
}
