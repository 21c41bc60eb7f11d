/* The filter of examples/drivers/filter.c. */
#include "scene.h"
#include "../../examples/drivers/filter.h"

static const FAULT_OF_DRIVER faults[] = {
  { "the driver as it should be", { 0 }, NULL },
  { "KernelMode passed for a user's open", { VICAR_RULE_KERNEL_MODE_FOR_USER }, NULL },
  { "a refused open left locked", { VICAR_RULE_SUBJECT_STILL_LOCKED }, NULL },
  { "a subject said to be locked that is not", { VICAR_RULE_SUBJECT_NOT_LOCKED }, NULL },
  { "the privileges that were used not freed", { VICAR_RULE_POOL_LEAKED }, NULL },
  { "a reference given back that was not taken", { VICAR_RULE_OVER_DEREFERENCED }, NULL },
  { "a borrowed token kept", { VICAR_RULE_NOT_AN_OBJECT }, NULL },
  { "the state's own subject released", { VICAR_RULE_SUBJECT_RELEASED_TWICE }, NULL },
  { "an access check at DISPATCH_LEVEL", { VICAR_RULE_WRONG_IRQL }, NULL },
  { "a thread taken for its process", { VICAR_RULE_WRONG_OBJECT_TYPE }, NULL },
  { "the process of nobody asked for its token", { VICAR_RULE_NULL_ARGUMENT }, NULL },
  { "the reference to a primary token kept", { VICAR_RULE_REFERENCE_LEAKED }, NULL },
};

static DRIVER_OBJECT driver;
static DEVICE_OBJECT device;
static FILTER filter;
static FILE_OBJECT file;

static void install(BOOLEAN for_administrators) {
  memset(&driver, 0, sizeof driver);
  memset(&file, 0, sizeof file);
  filter.Descriptor = readable_by(ALICE);
  filter.ForAdministrators = for_administrators;
  device.DeviceExtension = &filter;
  OK(FilterDriverEntry(&driver, NULL));
}

/* An open by the thread that acts, as the I/O manager would ask for it; `whose` stands in the request. */
static NTSTATUS open_now(PETHREAD whose, ACCESS_MASK desired, KPROCESSOR_MODE mode, UCHAR flags) {
  REQUEST request = { 0 };
  ACCESS_STATE state;
  AUX_ACCESS_DATA aux;
  IO_SECURITY_CONTEXT security = { NULL, &state, desired, 0 };
  NTSTATUS status = SeCreateAccessState(&state, &aux, desired, &file_mapping);
  if (!NT_SUCCESS(status)) return status;
  request.place.Parameters.Create.SecurityContext = &security;
  request.place.Flags = flags;
  request.place.FileObject = &file;
  request.place.MajorFunction = IRP_MJ_CREATE;
  request.irp.Tail.Overlay.Thread = whose;
  request.irp.Tail.Overlay.CurrentStackLocation = &request.place;
  request.irp.RequestorMode = mode;
  KPROCESSOR_MODE before = vicar_set_previous_mode(mode);
  status = driver.MajorFunction[IRP_MJ_CREATE](&device, &request.irp);
  vicar_set_previous_mode(before);
  if (NT_SUCCESS(status) && mode == UserMode) RIGHT(state.RemainingDesiredAccess, 0);
  SeDeleteAccessState(&state);
  return status;
}
static void close_now(void) {
  REQUEST request = { 0 };
  RIGHT(ask(&request, &driver, &device, PsGetCurrentThread(), &file, IRP_MJ_CLEANUP), STATUS_SUCCESS);
}
static NTSTATUS open_by(PETHREAD thread, ACCESS_MASK desired) {
  OK(vicar_act_as(thread));
  NTSTATUS status = open_now(thread, desired, UserMode, 0);
  close_now();
  vicar_return_to_user_mode();
  return status;
}

SCENE(an_open_is_checked_for_who_asked) {
  install(FALSE);
  RIGHT(open_by(alice, FILE_READ_DATA), STATUS_SUCCESS);
  RIGHT(open_by(bob, FILE_READ_DATA), STATUS_ACCESS_DENIED);
  RIGHT(open_by(alice, FILE_WRITE_DATA), STATUS_ACCESS_DENIED);
  RIGHT(open_by(alice, MAXIMUM_ALLOWED), STATUS_SUCCESS);
}

SCENE(the_kernels_own_opens_are_checked_when_forced) {
  install(FALSE);
  OK(vicar_act_as(bob));
  RIGHT(open_now(bob, FILE_READ_DATA, KernelMode, 0), STATUS_SUCCESS);
  close_now();
  RIGHT(open_now(bob, FILE_READ_DATA, KernelMode, SL_FORCE_ACCESS_CHECK), STATUS_ACCESS_DENIED);
  close_now();
  vicar_return_to_user_mode();
}

SCENE(privileges_that_were_used_are_noted) {
  install(FALSE);
  PETHREAD owner = thread_of(BOB, "SeTakeOwnershipPrivilege");
  RIGHT(open_by(owner, WRITE_OWNER), STATUS_SUCCESS);
  RIGHT(open_by(bob, WRITE_OWNER), STATUS_ACCESS_DENIED);
}

/* A server opens as its client, then is itself again and lets the client go, and the file is closed after that. */
SCENE(a_file_outlives_the_impersonation_that_opened_it) {
  SECURITY_CLIENT_CONTEXT client;
  install(FALSE);
  client = client_of(alice);
  OK(vicar_act_as(server));
  OK(SeImpersonateClientEx(&client, NULL));
  RIGHT(open_now(server, FILE_READ_DATA, UserMode, 0), server_may() ? STATUS_SUCCESS : STATUS_BAD_IMPERSONATION_LEVEL);
  PsRevertToSelf();
  SeDeleteClientSecurity(&client);
  close_now();
  vicar_return_to_user_mode();
}

SCENE(the_program_counts_and_not_only_whom_it_acts_as) {
  VICAR_PERSON person = VICAR_PERSON_OF(ALICE);
  PETHREAD administrator = NULL;
  install(TRUE);
  person.Groups = "WD BU:primary BA";
  OK(vicar_user_thread(&person, &administrator));
  RIGHT(open_by(administrator, FILE_READ_DATA), STATUS_SUCCESS);
  RIGHT(open_by(alice, FILE_READ_DATA), STATUS_ACCESS_DENIED);
}

SCENE(a_request_of_nobody_is_refused) {
  install(FALSE);
  OK(vicar_act_as(alice));
  RIGHT(open_now(NULL, FILE_READ_DATA, UserMode, 0), STATUS_INVALID_DEVICE_REQUEST);
  close_now();
  vicar_return_to_user_mode();
}

SCENE(each_allocation_fails_once) {
  for (ULONG64 nth = 1;; nth++) {
    install(FALSE);
    PETHREAD owner = thread_of(ALICE, "SeTakeOwnershipPrivilege");
    ULONG64 before = vicar_allocation_count();
    vicar_fail_allocation(nth, 0);
    NTSTATUS status = open_by(owner, FILE_READ_DATA | WRITE_OWNER);
    ULONG64 needed = vicar_allocation_count() - before;
    vicar_fail_allocation(0, 0);
    if (needed < nth) {
      RIGHT(status, STATUS_SUCCESS);
      break;
    }
    if (FAULT == 0) CHECK(!NT_SUCCESS(status));
  }
}

DRIVER_MAIN("filter.c", faults)
