/* The pipes of examples/drivers/pipefs.c. */
#include "scene.h"
#include "../../examples/drivers/pipefs.h"

static const FAULT_OF_DRIVER faults[] = {
  { "the driver as it should be", { 0 }, NULL },
  { "the void SeImpersonateClient, and success answered", { VICAR_RULE_RESULT_UNSEEN, VICAR_RULE_SERVED_AS_ITSELF }, NULL },
  { "the memory of a context freed without deleting it", { VICAR_RULE_CONTEXT_NOT_DELETED }, NULL },
  { "a context copied and deleted twice", { VICAR_RULE_CONTEXT_NOT_CREATED, VICAR_RULE_CONTEXT_DELETED_TWICE }, NULL },
  { "the status of SeCreateClientSecurity ignored", { VICAR_RULE_CONTEXT_NOT_CREATED, VICAR_RULE_CONTEXT_DELETED_TWICE }, NULL },
  { "a client captured at DISPATCH_LEVEL", { VICAR_RULE_WRONG_IRQL }, NULL },
  { "unread messages dropped with their contexts", { VICAR_RULE_CONTEXT_NOT_DELETED, VICAR_RULE_POOL_LEAKED }, NULL },
  { "a message leaked when its writer cannot be captured", { VICAR_RULE_POOL_LEAKED }, NULL },
  { "a context used when its pipe is gone", { VICAR_RULE_CONTEXT_NOT_CREATED, VICAR_RULE_CONTEXT_DELETED_TWICE, VICAR_RULE_POOL_LEAKED }, NULL },
};

static DRIVER_OBJECT driver;
static DEVICE_OBJECT device;
static PIPE pipe_;
static FILE_OBJECT server_end, client_end;

static NTSTATUS request_of(PETHREAD thread, PFILE_OBJECT file, UCHAR major, PSECURITY_QUALITY_OF_SERVICE qos, PULONG value) {
  REQUEST request = { 0 };
  IO_SECURITY_CONTEXT security = { qos, NULL, 0, 0 };
  if (major == IRP_MJ_CREATE) request.place.Parameters.Create.SecurityContext = &security;
  if (major == IRP_MJ_WRITE) request.place.Parameters.Write.Length = sizeof *value;
  if (major == IRP_MJ_FILE_SYSTEM_CONTROL) request.place.Parameters.FileSystemControl.FsControlCode = FSCTL_PIPE_IMPERSONATE;
  request.irp.AssociatedIrp.SystemBuffer = value;
  OK(vicar_act_as(thread));
  NTSTATUS status = ask(&request, &driver, &device, thread, file, major);
  EQ(request.irp.VicarCompletions, 1);
  EQ(status, request.irp.IoStatus.Status);
  return status;
}

static NTSTATUS open_by(PETHREAD thread, PSECURITY_QUALITY_OF_SERVICE qos) { return request_of(thread, &client_end, IRP_MJ_CREATE, qos, NULL); }
static NTSTATUS write_by(PETHREAD thread, ULONG value) {
  NTSTATUS status = request_of(thread, &client_end, IRP_MJ_WRITE, NULL, &value);
  vicar_return_to_user_mode();
  return status;
}
static ULONG read_value(void) {
  ULONG value = 0;
  return NT_SUCCESS(request_of(server, &server_end, IRP_MJ_READ, NULL, &value)) ? value : 0;
}
static NTSTATUS impersonate(void) { return request_of(server, &server_end, IRP_MJ_FILE_SYSTEM_CONTROL, NULL, NULL); }
static void hang_up(void) { RIGHT(request_of(server, &server_end, IRP_MJ_CLEANUP, NULL, NULL), STATUS_SUCCESS); }

static void install(void) {
  memset(&driver, 0, sizeof driver);
  memset(&pipe_, 0, sizeof pipe_);
  InitializeListHead(&pipe_.Messages);
  server_end.FsContext = client_end.FsContext = &pipe_;
  server_end.FsContext2 = PIPE_SERVER_END;
  client_end.FsContext2 = PIPE_CLIENT_END;
  OK(PipeDriverEntry(&driver, NULL));
}

/* At which level the thread acts, as a program asks; -1: as itself. */
static int level_now(void) {
  BOOLEAN copy, effective;
  SECURITY_IMPERSONATION_LEVEL level = SecurityAnonymous;
  PACCESS_TOKEN token = PsReferenceImpersonationToken(PsGetCurrentThread(), &copy, &effective, &level);
  if (token == NULL) return -1;
  PsDereferenceImpersonationToken(token);
  return (int)level;
}

/* The server's program: it acts as its client, opens alice's file, and is itself again. It goes on when it was told that it may. */
static NTSTATUS serve(void) {
  NTSTATUS status = impersonate();
  if (NT_SUCCESS(status)) {
    int level = level_now();
    RIGHT(level, server_may() ? SecurityImpersonation : SecurityIdentification);
    status = level == SecurityIdentification ? STATUS_BAD_IMPERSONATION_LEVEL : open_stand_in(NULL, FILE_READ_DATA);
  }
  PsRevertToSelf();
  vicar_return_to_user_mode();
  return status;
}

static NTSTATUS unless_lowered(NTSTATUS status) { return server_may() ? status : STATUS_BAD_IMPERSONATION_LEVEL; }

SCENE(the_server_acts_as_whoever_wrote_what_it_read) {
  install();
  RIGHT(open_by(alice, NULL), STATUS_SUCCESS);
  /* Nothing was read yet, and tracking is dynamic. */
  RIGHT(serve(), STATUS_CANNOT_IMPERSONATE);
  RIGHT(write_by(alice, 1), STATUS_SUCCESS);
  RIGHT(write_by(bob, 2), STATUS_SUCCESS);
  RIGHT(read_value(), 1);
  RIGHT(serve(), unless_lowered(STATUS_SUCCESS));
  RIGHT(read_value(), 2);
  RIGHT(serve(), unless_lowered(STATUS_ACCESS_DENIED));
  RIGHT(serve(), unless_lowered(STATUS_ACCESS_DENIED));
  hang_up();
  RIGHT(serve(), STATUS_CANNOT_IMPERSONATE);
}

SCENE(who_wrote_a_message_outlives_its_thread) {
  PETHREAD guest = thread_of(ALICE, NULL);
  install();
  RIGHT(open_by(guest, NULL), STATUS_SUCCESS);
  RIGHT(write_by(guest, 1), STATUS_SUCCESS);
  OK(vicar_act_as(server));
  vicar_thread_exit(guest);
  RIGHT(read_value(), 1);
  RIGHT(serve(), unless_lowered(STATUS_SUCCESS));
  RIGHT(serve(), unless_lowered(STATUS_SUCCESS));
  hang_up();
}

SCENE(a_static_client_is_whoever_opened) {
  SECURITY_QUALITY_OF_SERVICE qos = quality(SecurityImpersonation, SECURITY_STATIC_TRACKING);
  install();
  RIGHT(open_by(alice, &qos), STATUS_SUCCESS);
  RIGHT(serve(), unless_lowered(STATUS_SUCCESS));
  RIGHT(write_by(bob, 1), STATUS_SUCCESS);
  RIGHT(read_value(), 1);
  RIGHT(serve(), unless_lowered(STATUS_SUCCESS));
  hang_up();
  /* The next client inherits nothing. */
  RIGHT(open_by(bob, NULL), STATUS_SUCCESS);
  RIGHT(serve(), STATUS_CANNOT_IMPERSONATE);
  hang_up();
}

SCENE(a_client_may_let_the_server_know_it_and_no_more) {
  SECURITY_QUALITY_OF_SERVICE qos = quality(SecurityIdentification, SECURITY_STATIC_TRACKING);
  install();
  RIGHT(open_by(alice, &qos), STATUS_SUCCESS);
  if (NT_SUCCESS(impersonate())) RIGHT(level_now(), SecurityIdentification);
  PsRevertToSelf();
  hang_up();
}

SCENE(only_the_servers_end_may_act_as_the_client) {
  install();
  RIGHT(open_by(alice, NULL), STATUS_SUCCESS);
  RIGHT(open_by(bob, NULL), STATUS_PIPE_BUSY);
  RIGHT(write_by(alice, 1), STATUS_SUCCESS);
  RIGHT(read_value(), 1);
  RIGHT(request_of(alice, &client_end, IRP_MJ_FILE_SYSTEM_CONTROL, NULL, NULL), STATUS_ILLEGAL_FUNCTION);
  vicar_return_to_user_mode();
  hang_up();
}

SCENE(messages_that_nobody_read_leave_nothing_behind) {
  install();
  RIGHT(open_by(alice, NULL), STATUS_SUCCESS);
  RIGHT(write_by(alice, 1), STATUS_SUCCESS);
  RIGHT(write_by(alice, 2), STATUS_SUCCESS);
  hang_up();
  RIGHT(write_by(alice, 3), STATUS_PIPE_DISCONNECTED);
}

SCENE(a_refused_impersonation_is_told) {
  install();
  RIGHT(open_by(alice, NULL), STATUS_SUCCESS);
  RIGHT(write_by(alice, 1), STATUS_SUCCESS);
  RIGHT(read_value(), 1);
  OK(vicar_fail_routine(FAULT == 1 ? "SeImpersonateClient" : "SeImpersonateClientEx", STATUS_NO_MEMORY));
  RIGHT(serve(), STATUS_NO_MEMORY);
  RIGHT(serve(), unless_lowered(STATUS_SUCCESS));
  hang_up();
}

static void sweep(PSECURITY_QUALITY_OF_SERVICE qos) {
  for (ULONG64 nth = 1;; nth++) {
    install();
    ULONG64 before = vicar_allocation_count();
    vicar_fail_allocation(nth, 0);
    NTSTATUS status = open_by(alice, qos);
    if (NT_SUCCESS(status)) status = write_by(alice, 1);
    if (NT_SUCCESS(status)) RIGHT(read_value(), 1);
    if (NT_SUCCESS(status)) status = serve();
    ULONG64 needed = vicar_allocation_count() - before;
    vicar_fail_allocation(0, 0);
    hang_up();
    if (needed < nth) {
      RIGHT(status, unless_lowered(STATUS_SUCCESS));
      break;
    }
    if (FAULT == 0) CHECK(!NT_SUCCESS(status));
  }
}

SCENE(each_allocation_fails_once) {
  SECURITY_QUALITY_OF_SERVICE qos = quality(SecurityImpersonation, SECURITY_STATIC_TRACKING);
  sweep(NULL);
  sweep(&qos);
}

DRIVER_MAIN("pipefs.c", faults)
