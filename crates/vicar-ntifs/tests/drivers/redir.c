/* The redirector of examples/drivers/redir.c. */
#include "scene.h"
#include "../../examples/drivers/redir.h"

static const FAULT_OF_DRIVER faults[] = {
  { "the driver as it should be", { 0 }, NULL },
  { "a subject kept on the way out of an error", { VICAR_RULE_SUBJECT_NOT_RELEASED }, NULL },
  { "the entry's reference to the token forgotten", { VICAR_RULE_REFERENCE_LEAKED }, NULL },
  { "the entry's reference given back twice", { VICAR_RULE_OVER_DEREFERENCED }, NULL },
  { "no revert after an upcall that failed", { VICAR_RULE_MISSING_REVERT, VICAR_RULE_EXITED_IMPERSONATING }, NULL },
  { "the subject's token believed at any level", { VICAR_RULE_LEVEL_NOT_TESTED }, NULL },
  { "success taken for the level asked for", { VICAR_RULE_DOWNGRADE_UNSEEN }, NULL },
  { "a handle closed twice", { VICAR_RULE_BAD_HANDLE }, NULL },
  { "an entry freed twice", { VICAR_RULE_POOL_NOT_ALLOCATED }, NULL },
  { "a critical region not left", { VICAR_RULE_CRITICAL_REGION }, NULL },
  { "a store into an entry that was freed", { 0 }, "heap-use-after-free" },
};

static DRIVER_OBJECT driver;
static DEVICE_OBJECT device;
static REDIR redir;
static FILE_OBJECT file;
static PETHREAD daemon_thread;
static REQUEST opens[4];
static unsigned open_count;

static NTSTATUS NTAPI upcall(PCUNICODE_STRING path, HANDLE token) {
  ULONG length = 0, statistics[sizeof(TOKEN_STATISTICS) / 4];
  RIGHT(ZwQueryInformationToken(token, TokenStatistics, statistics, sizeof statistics, &length), STATUS_SUCCESS);
  return open_stand_in(path, FILE_READ_DATA);
}

static NTSTATUS control(PETHREAD thread, UCHAR major, ULONG code) {
  REQUEST request = { 0 };
  request.place.Parameters.DeviceIoControl.IoControlCode = code;
  OK(vicar_act_as(thread));
  NTSTATUS status = ask(&request, &driver, &device, thread, NULL, major);
  EQ(request.irp.VicarCompletions, 1);
  vicar_return_to_user_mode();
  return status;
}
static NTSTATUS serve(void) { return control(daemon_thread, IRP_MJ_DEVICE_CONTROL, IOCTL_REDIR_SERVE); }

static void install(void) {
  memset(&driver, 0, sizeof driver);
  memset(&redir, 0, sizeof redir);
  memset(opens, 0, sizeof opens);
  open_count = 0;
  InitializeListHead(&redir.Queue);
  redir.Upcall = upcall;
  device.DeviceExtension = &redir;
  RtlInitUnicodeString(&file.FileName, L"\\share\\report");
  daemon_thread = thread_of(SERVICE, place.is_trusted ? "SeImpersonatePrivilege" : NULL);
  OK(RedirDriverEntry(&driver, NULL));
}
static void remove_device(void) {
  OK(vicar_act_as(daemon_thread));
  RIGHT(control(daemon_thread, IRP_MJ_CLEANUP, 0), STATUS_SUCCESS);
  OK(vicar_act_as(NULL));
  vicar_thread_exit(daemon_thread);
}
static REQUEST *open_now(PETHREAD thread) {
  REQUEST *request = &opens[open_count++ % 4];
  memset(request, 0, sizeof *request);
  (void)ask(request, &driver, &device, thread, &file, IRP_MJ_CREATE);
  return request;
}
static REQUEST *open_by(PETHREAD thread) {
  OK(vicar_act_as(thread));
  REQUEST *request = open_now(thread);
  vicar_return_to_user_mode();
  return request;
}
static NTSTATUS unless_lowered(NTSTATUS status) { return server_may() ? status : STATUS_BAD_IMPERSONATION_LEVEL; }

SCENE(a_request_is_served_as_whoever_made_it) {
  install();
  RIGHT(serve(), STATUS_NOT_FOUND);
  REQUEST *hers = open_by(alice), *his = open_by(bob), *again = open_by(alice);
  RIGHT(hers->irp.VicarCompletions, 0);
  RIGHT(serve(), STATUS_SUCCESS);
  RIGHT(hers->irp.IoStatus.Status, unless_lowered(STATUS_SUCCESS));
  RIGHT(serve(), STATUS_SUCCESS);
  RIGHT(his->irp.IoStatus.Status, unless_lowered(STATUS_ACCESS_DENIED));
  RIGHT(serve(), STATUS_SUCCESS);
  RIGHT(again->irp.IoStatus.Status, unless_lowered(STATUS_SUCCESS));
  RIGHT(opened, server_may() ? 2 : 0);
  RIGHT(redir.LastLogonId.LowPart != 0, server_may());
  RIGHT(again->irp.VicarCompletions, 1);
  remove_device();
}

SCENE(what_nobody_came_for_is_cancelled) {
  install();
  REQUEST *hers = open_by(alice), *his = open_by(bob);
  remove_device();
  RIGHT(hers->irp.IoStatus.Status, STATUS_CANCELLED);
  RIGHT(his->irp.IoStatus.Status, STATUS_CANCELLED);
}

/* A service that may do no more than identify its client asks: nobody is served in that client's name. */
SCENE(a_requester_below_impersonation_is_refused) {
  SECURITY_QUALITY_OF_SERVICE qos = quality(SecurityIdentification, SECURITY_STATIC_TRACKING);
  SECURITY_CLIENT_CONTEXT client;
  install();
  OK(SeCreateClientSecurity(alice, &qos, FALSE, &client));
  OK(vicar_act_as(server));
  OK(SeImpersonateClientEx(&client, NULL));
  REQUEST *hers = open_now(server);
  RIGHT(hers->irp.IoStatus.Status, STATUS_BAD_IMPERSONATION_LEVEL);
  PsRevertToSelf();
  vicar_return_to_user_mode();
  SeDeleteClientSecurity(&client);
  remove_device();
}

/* A service that acts as alice is served as alice. */
SCENE(a_requester_that_acts_as_somebody_is_that_one) {
  SECURITY_CLIENT_CONTEXT client;
  if (!server_may()) return;
  install();
  client = client_of(alice);
  OK(vicar_act_as(server));
  OK(SeImpersonateClientEx(&client, NULL));
  REQUEST *hers = open_now(server);
  PsRevertToSelf();
  vicar_return_to_user_mode();
  SeDeleteClientSecurity(&client);
  RIGHT(serve(), STATUS_SUCCESS);
  RIGHT(hers->irp.IoStatus.Status, STATUS_SUCCESS);
  remove_device();
}

SCENE(each_allocation_fails_once) {
  for (ULONG64 nth = 1;; nth++) {
    install();
    ULONG64 before = vicar_allocation_count();
    vicar_fail_allocation(nth, 0);
    REQUEST *hers = open_by(alice);
    NTSTATUS status = hers->irp.VicarCompletions == 0 ? serve() : hers->irp.IoStatus.Status;
    if (NT_SUCCESS(status)) status = hers->irp.IoStatus.Status;
    ULONG64 needed = vicar_allocation_count() - before;
    vicar_fail_allocation(0, 0);
    remove_device();
    if (needed < nth) {
      RIGHT(status, unless_lowered(STATUS_SUCCESS));
      break;
    }
    if (FAULT == 0) CHECK(!NT_SUCCESS(status));
  }
}

DRIVER_MAIN("redir.c", faults)
