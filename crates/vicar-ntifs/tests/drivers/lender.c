/* The lent thread of examples/drivers/lender.c. */
#include "scene.h"
#include "../../examples/drivers/lender.h"

static const FAULT_OF_DRIVER faults[] = {
  { "the driver as it should be", { 0 }, NULL },
  { "a refused impersonation of another thread, which is sent to work", { VICAR_RULE_SERVED_AS_ITSELF }, NULL },
  { "a downgrade of another thread that nobody looked at", { VICAR_RULE_DOWNGRADE_UNSEEN }, NULL },
  { "another thread left as its client", { VICAR_RULE_EXITED_IMPERSONATING }, NULL },
  { "a wait with a spin lock held", { VICAR_RULE_WAITS_AT_DISPATCH }, NULL },
  { "a spin lock not released", { VICAR_RULE_LOCK_MISUSED, VICAR_RULE_WRONG_IRQL, VICAR_RULE_WAITS_AT_DISPATCH }, NULL },
  { "a spin lock released to another level", { VICAR_RULE_IRQL_NOT_RESTORED, VICAR_RULE_WRONG_IRQL }, NULL },
  { "a decision by a token whose level was not tested", { VICAR_RULE_LEVEL_NOT_TESTED }, NULL },
};

static DRIVER_OBJECT driver;
static DEVICE_OBJECT device;
static LENDER lender;

static NTSTATUS request_of(PETHREAD thread, UCHAR major) {
  REQUEST request = { 0 };
  OK(vicar_act_as(thread));
  request.place.Parameters.DeviceIoControl.IoControlCode = IOCTL_LENDER_OPEN;
  NTSTATUS status = ask(&request, &driver, &device, thread, NULL, major);
  EQ(request.irp.VicarCompletions, 1);
  return status;
}
static NTSTATUS request_by(PETHREAD thread, UCHAR major) {
  NTSTATUS status = request_of(thread, major);
  vicar_return_to_user_mode();
  return status;
}

static void install(void) {
  memset(&driver, 0, sizeof driver);
  memset(&lender, 0, sizeof lender);
  lender.OpenFile = open_stand_in;
  RtlInitUnicodeString(&lender.Path, L"\\??\\C:\\files\\alice.txt");
  device.DeviceExtension = &lender;
  OK(LenderDriverEntry(&driver, NULL));
}
static void remove_device(void) { RIGHT(request_by(server, IRP_MJ_CLEANUP), STATUS_SUCCESS); }
static NTSTATUS unless_lowered(NTSTATUS status) { return server_may() ? status : STATUS_BAD_IMPERSONATION_LEVEL; }

SCENE(the_lent_thread_opens_what_its_client_may) {
  install();
  RIGHT(request_by(server, IRP_MJ_CREATE), STATUS_SUCCESS);
  RIGHT(request_by(alice, IRP_MJ_DEVICE_CONTROL), unless_lowered(STATUS_SUCCESS));
  RIGHT(request_by(bob, IRP_MJ_DEVICE_CONTROL), unless_lowered(STATUS_ACCESS_DENIED));
  RIGHT(request_by(server, IRP_MJ_DEVICE_CONTROL), STATUS_ACCESS_DENIED);
  RIGHT(request_by(alice, IRP_MJ_DEVICE_CONTROL), unless_lowered(STATUS_SUCCESS));
  RIGHT(opened, server_may() ? 2 : 0);
  RIGHT(PsIsThreadImpersonating(lender.Worker), FALSE);
  remove_device();
}

SCENE(a_refused_impersonation_of_the_lent_thread_ends_the_request) {
  install();
  RIGHT(request_by(server, IRP_MJ_CREATE), STATUS_SUCCESS);
  OK(vicar_fail_routine("SeImpersonateClientEx", STATUS_NO_MEMORY));
  RIGHT(request_by(alice, IRP_MJ_DEVICE_CONTROL), STATUS_NO_MEMORY);
  RIGHT(opened, 0);
  RIGHT(request_by(alice, IRP_MJ_DEVICE_CONTROL), unless_lowered(STATUS_SUCCESS));
  OK(vicar_fail_routine("SeImpersonateClientEx", STATUS_ACCESS_DENIED));
  RIGHT(request_by(alice, IRP_MJ_DEVICE_CONTROL), STATUS_ACCESS_DENIED);
  remove_device();
}

SCENE(nobody_is_an_administrator_whom_the_server_may_only_know) {
  SECURITY_QUALITY_OF_SERVICE qos = quality(SecurityIdentification, SECURITY_STATIC_TRACKING);
  VICAR_PERSON person = VICAR_PERSON_OF("S-1-5-21-7-8-9-500");
  SECURITY_CLIENT_CONTEXT client;
  PETHREAD administrator = NULL;
  person.Groups = "WD BA:owner";
  OK(vicar_user_thread(&person, &administrator));
  install();
  RIGHT(request_by(server, IRP_MJ_CREATE), STATUS_SUCCESS);
  OK(SeCreateClientSecurity(administrator, &qos, FALSE, &client));
  OK(vicar_act_as(bob));
  OK(SeImpersonateClientEx(&client, NULL));
  SeDeleteClientSecurity(&client);
  RIGHT(request_of(bob, IRP_MJ_DEVICE_CONTROL), STATUS_BAD_IMPERSONATION_LEVEL);
  RIGHT(lender.Administrators, 0);
  PsRevertToSelf();
  vicar_return_to_user_mode();
  RIGHT(request_by(administrator, IRP_MJ_DEVICE_CONTROL), unless_lowered(STATUS_ACCESS_DENIED));
  RIGHT(lender.Administrators, 1);
  remove_device();
}

SCENE(each_allocation_fails_once) {
  for (ULONG64 nth = 1;; nth++) {
    install();
    ULONG64 before = vicar_allocation_count();
    vicar_fail_allocation(nth, 0);
    NTSTATUS status = request_by(server, IRP_MJ_CREATE);
    if (NT_SUCCESS(status)) status = request_by(alice, IRP_MJ_DEVICE_CONTROL);
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

DRIVER_MAIN("lender.c", faults)
