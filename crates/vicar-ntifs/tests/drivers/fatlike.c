/* The file system of examples/drivers/fatlike.c. */
#include "scene.h"
#include "../../examples/drivers/fatlike.h"

static const FAULT_OF_DRIVER faults[] = {
  { "the driver as it should be", { 0 }, NULL },
  { "a subject released where it should be unlocked", { VICAR_RULE_SUBJECT_STILL_LOCKED, VICAR_RULE_SUBJECT_RELEASED_TWICE }, NULL },
  { "the filtered token not given back", { VICAR_RULE_REFERENCE_LEAKED }, NULL },
  { "the filtered token left in the subject", { VICAR_RULE_REFERENCE_LEAKED, VICAR_RULE_OVER_DEREFERENCED }, NULL },
  { "a subject released and not unlocked", { VICAR_RULE_SUBJECT_STILL_LOCKED }, NULL },
  { "an impersonation restored that was not disabled", { VICAR_RULE_RESTORE_WITHOUT_DISABLE }, NULL },
  { "a disabled impersonation not restored", { VICAR_RULE_RESTORE_WITHOUT_DISABLE }, NULL },
  { "a level lowered above what it was", { VICAR_RULE_IRQL_ORDER }, NULL },
  { "going on when the owner cannot be taken on", { VICAR_RULE_SERVED_AS_ITSELF }, NULL },
  { "no revert when nobody was saved", { VICAR_RULE_MISSING_REVERT }, NULL },
  { "the saved token not given back", { VICAR_RULE_REFERENCE_LEAKED }, NULL },
};

static DRIVER_OBJECT driver;
static DEVICE_OBJECT device;
static FAT_VOLUME volume;

/* Everyone may read the volume, and alice by name. */
static PSECURITY_DESCRIPTOR for_everyone_and(const char *whom) {
  static struct {
    SECURITY_DESCRIPTOR head;
    ULONG dacl[40], owner[17];
  } made;
  OK(RtlCreateSecurityDescriptor(&made.head, SECURITY_DESCRIPTOR_REVISION));
  OK(RtlCreateAcl((PACL)made.dacl, sizeof made.dacl, ACL_REVISION));
  OK(RtlAddAccessAllowedAce((PACL)made.dacl, ACL_REVISION, FILE_READ_DATA, SeExports->SeWorldSid));
  OK(RtlAddAccessAllowedAce((PACL)made.dacl, ACL_REVISION, FILE_READ_DATA, sid(whom)));
  OK(RtlCopySid(sizeof made.owner, made.owner, sid("S-1-5-18")));
  OK(RtlSetOwnerSecurityDescriptor(&made.head, made.owner, FALSE));
  OK(RtlSetGroupSecurityDescriptor(&made.head, made.owner, FALSE));
  OK(RtlSetDaclSecurityDescriptor(&made.head, TRUE, (PACL)made.dacl, FALSE));
  return &made.head;
}

static NTSTATUS request_now(PETHREAD whose, UCHAR major, ULONG code) {
  REQUEST request = { 0 };
  request.place.Parameters.DeviceIoControl.IoControlCode = code;
  NTSTATUS status = ask(&request, &driver, &device, whose, NULL, major);
  EQ(request.irp.VicarCompletions, 1);
  return status;
}
static NTSTATUS request_by(PETHREAD thread, UCHAR major, ULONG code) {
  OK(vicar_act_as(thread));
  vicar_set_previous_mode(UserMode);
  NTSTATUS status = request_now(thread, major, code);
  vicar_set_previous_mode(KernelMode);
  vicar_return_to_user_mode();
  if (FAULT != 0) PsRevertToSelf();
  return status;
}
static void mount_by(PETHREAD owner) {
  memset(&driver, 0, sizeof driver);
  memset(&volume, 0, sizeof volume);
  volume.Descriptor = for_everyone_and(ALICE);
  volume.OpenFile = open_stand_in;
  device.DeviceExtension = &volume;
  OK(FatDriverEntry(&driver, NULL));
  RIGHT(request_by(owner, IRP_MJ_CREATE, 0), STATUS_SUCCESS);
}
static void dismount(void) { RIGHT(request_by(server, IRP_MJ_CLEANUP, 0), STATUS_SUCCESS); }

SCENE(what_everyone_may_is_not_enough) {
  mount_by(alice);
  RIGHT(request_by(alice, IRP_MJ_DEVICE_CONTROL, IOCTL_FAT_LOCK), STATUS_SUCCESS);
  RIGHT(request_by(bob, IRP_MJ_DEVICE_CONTROL, IOCTL_FAT_LOCK), STATUS_ACCESS_DENIED);
  /* Bob may read all the same: it was the filter that refused. */
  OK(vicar_act_as(bob));
  OK(may_read(volume.Descriptor));
  dismount();
}

SCENE(who_acts_as_somebody_is_filtered_as_that_one) {
  SECURITY_CLIENT_CONTEXT client;
  mount_by(alice);
  client = client_of(alice);
  OK(vicar_act_as(server));
  RIGHT(request_now(server, IRP_MJ_DEVICE_CONTROL, IOCTL_FAT_LOCK), STATUS_ACCESS_DENIED);
  OK(SeImpersonateClientEx(&client, NULL));
  RIGHT(request_now(server, IRP_MJ_DEVICE_CONTROL, IOCTL_FAT_LOCK), server_may() ? STATUS_SUCCESS : STATUS_BAD_IMPERSONATION_LEVEL);
  /* The thread acts as alice still, with her own token. */
  PsRevertToSelf();
  SeDeleteClientSecurity(&client);
  vicar_return_to_user_mode();
  dismount();
}

SCENE(the_journal_is_flushed_as_the_file_system) {
  SECURITY_CLIENT_CONTEXT client;
  mount_by(alice);
  RIGHT(request_by(alice, IRP_MJ_DEVICE_CONTROL, IOCTL_FAT_FLUSH), STATUS_SUCCESS);
  client = client_of(alice);
  OK(vicar_act_as(server));
  OK(SeImpersonateClientEx(&client, NULL));
  /* The server's own program may not write the journal, and it is not asked for alice's. */
  RIGHT(request_now(server, IRP_MJ_DEVICE_CONTROL, IOCTL_FAT_FLUSH), STATUS_ACCESS_DENIED);
  if (FAULT == 0) acts_at(server_may() ? SecurityImpersonation : SecurityIdentification);
  (void)may_read(readable_by(ALICE));
  PsRevertToSelf();
  SeDeleteClientSecurity(&client);
  vicar_return_to_user_mode();
  dismount();
}

SCENE(space_is_charged_to_who_mounted_it) {
  SECURITY_CLIENT_CONTEXT client;
  mount_by(alice);
  RIGHT(request_by(bob, IRP_MJ_DEVICE_CONTROL, IOCTL_FAT_CHARGE),
        place.profile == VICAR_PROFILE_NT4_TO_XP ? STATUS_SUCCESS : STATUS_BAD_IMPERSONATION_LEVEL);
  RIGHT(request_by(alice, IRP_MJ_DEVICE_CONTROL, IOCTL_FAT_CHARGE), STATUS_SUCCESS);
  client = client_of(bob);
  OK(vicar_act_as(server));
  OK(SeImpersonateClientEx(&client, NULL));
  RIGHT(request_now(server, IRP_MJ_DEVICE_CONTROL, IOCTL_FAT_CHARGE), server_may() ? STATUS_SUCCESS : STATUS_BAD_IMPERSONATION_LEVEL);
  if (FAULT == 0) acts_at(server_may() ? SecurityImpersonation : SecurityIdentification);
  (void)may_read(readable_by(ALICE));
  PsRevertToSelf();
  SeDeleteClientSecurity(&client);
  vicar_return_to_user_mode();
  OK(vicar_fail_routine("PsImpersonateClient", STATUS_NO_MEMORY));
  RIGHT(request_by(alice, IRP_MJ_DEVICE_CONTROL, IOCTL_FAT_CHARGE), STATUS_NO_MEMORY);
  dismount();
}

SCENE(each_allocation_fails_once) {
  for (ULONG64 nth = 1;; nth++) {
    mount_by(alice);
    ULONG64 before = vicar_allocation_count();
    vicar_fail_allocation(nth, 0);
    NTSTATUS status = request_by(alice, IRP_MJ_DEVICE_CONTROL, IOCTL_FAT_LOCK);
    if (NT_SUCCESS(status)) status = request_by(alice, IRP_MJ_DEVICE_CONTROL, IOCTL_FAT_CHARGE);
    ULONG64 needed = vicar_allocation_count() - before;
    vicar_fail_allocation(0, 0);
    dismount();
    if (needed < nth) {
      RIGHT(status, STATUS_SUCCESS);
      break;
    }
    if (FAULT == 0) CHECK(!NT_SUCCESS(status));
  }
}

DRIVER_MAIN("fatlike.c", faults)
