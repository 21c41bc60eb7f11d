/* The volumes of examples/drivers/volume.c. */
#include "scene.h"
#include "../../examples/drivers/volume.h"

static const FAULT_OF_DRIVER faults[] = {
  { "the driver as it should be", { 0 }, NULL },
  { "a refused impersonation logged, and the file opened by the system", { VICAR_RULE_SERVED_AS_ITSELF }, NULL },
  { "neither status looked at",
    { VICAR_RULE_CONTEXT_NOT_CREATED, VICAR_RULE_CONTEXT_DELETED_TWICE, VICAR_RULE_RESULT_UNSEEN, VICAR_RULE_SERVED_AS_ITSELF },
    NULL },
  { "a worker that stays its client after an error", { VICAR_RULE_IMPERSONATING_WORKER_THREAD }, NULL },
  { "a context deleted before the worker uses it", { VICAR_RULE_CONTEXT_NOT_CREATED, VICAR_RULE_CONTEXT_DELETED_TWICE }, NULL },
  { "the client of a failed mount kept", { VICAR_RULE_CONTEXT_NOT_DELETED }, NULL },
  { "a worker that returns at a raised level", { VICAR_RULE_WORKER_AT_BAD_IRQL }, NULL },
  { "a work item queued twice", { VICAR_RULE_QUEUED_TWICE }, NULL },
  { "an impersonation at APC_LEVEL", { VICAR_RULE_WRONG_IRQL }, NULL },
  { "a client recorded when its thread may have ended", { VICAR_RULE_CLIENT_THREAD_GONE }, NULL },
  { "a work item freed while it waits", { VICAR_RULE_WORK_ITEM_BUSY }, NULL },
};

static DRIVER_OBJECT driver;
static DEVICE_OBJECT device;
static VOLUME volume;
static REQUEST mounts[2];

static NTSTATUS control(PETHREAD thread, UCHAR major) {
  REQUEST request = { 0 };
  OK(vicar_act_as(thread));
  NTSTATUS status = ask(&request, &driver, &device, thread, NULL, major);
  EQ(request.irp.VicarCompletions, 1);
  vicar_return_to_user_mode();
  return status;
}

static void install(void) {
  memset(&driver, 0, sizeof driver);
  memset(&volume, 0, sizeof volume);
  memset(mounts, 0, sizeof mounts);
  volume.OpenFile = open_stand_in;
  RtlInitUnicodeString(&volume.Path, L"\\??\\C:\\volumes\\alice.img");
  device.DeviceExtension = &volume;
  OK(VolumeDriverEntry(&driver, NULL));
}
static void remove_device(void) {
  RIGHT(control(server, IRP_MJ_CLEANUP), STATUS_SUCCESS);
}

/* Asks for the mount; what it came to stands in the request once the workers are done. */
static NTSTATUS start_mount(REQUEST *request, PETHREAD thread) {
  request->place.Parameters.DeviceIoControl.IoControlCode = IOCTL_VOLUME_MOUNT;
  OK(vicar_act_as(thread));
  NTSTATUS status = ask(request, &driver, &device, thread, NULL, IRP_MJ_DEVICE_CONTROL);
  vicar_return_to_user_mode();
  return status;
}
static NTSTATUS mount_for(PETHREAD thread) {
  memset(mounts, 0, sizeof mounts);
  NTSTATUS status = start_mount(&mounts[0], thread);
  vicar_settle();
  EQ(mounts[0].irp.VicarCompletions, 1);
  return status == STATUS_PENDING ? mounts[0].irp.IoStatus.Status : status;
}

SCENE(a_volume_is_mounted_for_who_may_read_its_file) {
  install();
  RIGHT(control(server, IRP_MJ_CREATE), STATUS_SUCCESS);
  RIGHT(mount_for(alice), STATUS_SUCCESS);
  RIGHT(volume.IsMounted, TRUE);
  RIGHT(opened, 1);
  RIGHT(mount_for(bob), STATUS_ACCESS_DENIED);
  RIGHT(volume.IsMounted, FALSE);
  /* What the worker did as itself would have worked: that it does not is the point. */
  RIGHT(mount_for(server), STATUS_ACCESS_DENIED);
  RIGHT(opened, 1);
  remove_device();
}

SCENE(a_refused_impersonation_ends_the_mount) {
  install();
  RIGHT(control(server, IRP_MJ_CREATE), STATUS_SUCCESS);
  OK(vicar_fail_routine("SeImpersonateClientEx", STATUS_NO_MEMORY));
  RIGHT(mount_for(alice), STATUS_NO_MEMORY);
  RIGHT(volume.IsMounted, FALSE);
  RIGHT(opened, 0);
  OK(vicar_fail_routine("SeCreateClientSecurity", STATUS_INSUFFICIENT_RESOURCES));
  RIGHT(mount_for(alice), STATUS_INSUFFICIENT_RESOURCES);
  RIGHT(mount_for(alice), STATUS_SUCCESS);
  remove_device();
}

SCENE(a_client_that_cannot_be_passed_on_mounts_nothing) {
  SECURITY_QUALITY_OF_SERVICE qos = quality(SecurityIdentification, SECURITY_STATIC_TRACKING);
  SECURITY_CLIENT_CONTEXT client;
  install();
  RIGHT(control(server, IRP_MJ_CREATE), STATUS_SUCCESS);
  OK(SeCreateClientSecurity(alice, &qos, FALSE, &client));
  OK(vicar_act_as(server));
  OK(SeImpersonateClientEx(&client, NULL));
  memset(mounts, 0, sizeof mounts);
  mounts[0].place.Parameters.DeviceIoControl.IoControlCode = IOCTL_VOLUME_MOUNT;
  RIGHT(ask(&mounts[0], &driver, &device, server, NULL, IRP_MJ_DEVICE_CONTROL), STATUS_BAD_IMPERSONATION_LEVEL);
  SeStopImpersonatingClient();
  SeDeleteClientSecurity(&client);
  vicar_settle();
  remove_device();
}

SCENE(the_client_may_be_gone_before_the_worker_comes) {
  install();
  RIGHT(control(server, IRP_MJ_CREATE), STATUS_SUCCESS);
  PETHREAD guest = thread_of(ALICE, NULL);
  hold_workers();
  RIGHT(start_mount(&mounts[0], guest), STATUS_PENDING);
  OK(vicar_act_as(NULL));
  vicar_thread_exit(guest);
  let_workers_go();
  vicar_settle();
  RIGHT(mounts[0].irp.IoStatus.Status, STATUS_SUCCESS);
  remove_device();
}

SCENE(one_mount_at_a_time) {
  install();
  RIGHT(control(server, IRP_MJ_CREATE), STATUS_SUCCESS);
  hold_workers();
  RIGHT(start_mount(&mounts[0], alice), STATUS_PENDING);
  RIGHT(start_mount(&mounts[1], bob), STATUS_INVALID_DEVICE_STATE);
  /* A volume that is being mounted cannot be taken away. */
  RIGHT(control(server, IRP_MJ_CLEANUP), STATUS_INVALID_DEVICE_STATE);
  let_workers_go();
  vicar_settle();
  RIGHT(mounts[0].irp.IoStatus.Status, STATUS_SUCCESS);
  RIGHT(volume.IsMounted, TRUE);
  remove_device();
}

SCENE(each_allocation_fails_once) {
  for (ULONG64 nth = 1;; nth++) {
    install();
    ULONG64 before = vicar_allocation_count();
    vicar_fail_allocation(nth, 0);
    NTSTATUS status = control(server, IRP_MJ_CREATE);
    if (NT_SUCCESS(status)) status = mount_for(alice);
    ULONG64 needed = vicar_allocation_count() - before;
    vicar_fail_allocation(0, 0);
    remove_device();
    if (needed < nth) {
      RIGHT(status, STATUS_SUCCESS);
      break;
    }
    if (FAULT == 0) CHECK(!NT_SUCCESS(status) && !volume.IsMounted);
  }
}

DRIVER_MAIN("volume.c", faults)
