// The driver in a world with two users: who may read what, and what the verifier thinks of it.
#include <cstdio>
#include <cstdlib>

#include "../driver/echo.h"
#include "vicar_test.h"

#define REQUIRE(condition)                                                          \
  do {                                                                              \
    if (!(condition)) {                                                             \
      std::fprintf(stderr, "%s:%d: not so: %s\n", __FILE__, __LINE__, #condition); \
      std::exit(1);                                                                 \
    }                                                                               \
  } while (0)

namespace {

// S-1-5-1001.
SID alice_sid = { SID_REVISION, 1, SECURITY_NT_AUTHORITY, { 1001 } };
ECHO_EXTENSION extension;
DRIVER_OBJECT driver;
DEVICE_OBJECT device;

// One request by a thread, in user mode.
NTSTATUS request(PETHREAD thread, UCHAR major, PVOID buffer) {
  IO_STACK_LOCATION place = {};
  IRP irp = {};
  place.MajorFunction = major;
  irp.Tail.Overlay.Thread = thread;
  irp.Tail.Overlay.CurrentStackLocation = &place;
  irp.AssociatedIrp.SystemBuffer = buffer;
  irp.RequestorMode = UserMode;
  REQUIRE(driver.MajorFunction[major](&device, &irp) == irp.IoStatus.Status);
  REQUIRE(irp.VicarCompletions == 1);
  vicar_return_to_user_mode();
  return irp.IoStatus.Status;
}

PETHREAD user(const char *sid, const char *privileges) {
  VICAR_PERSON person = VICAR_PERSON_OF(sid);
  PETHREAD thread = nullptr;
  person.Privileges = privileges;
  REQUIRE(vicar_user_thread(&person, &thread) == STATUS_SUCCESS);
  return thread;
}

}  // namespace

int main() {
  // A finding ends the program: that is how a test fails for a leak or a missing revert.
  REQUIRE(vicar_reset(nullptr) == STATUS_SUCCESS);
  PETHREAD server = user("S-1-5-900", "SeImpersonatePrivilege SeChangeNotifyPrivilege");
  PETHREAD alice = user("S-1-5-1001", nullptr);
  PETHREAD bob = user("S-1-5-1002", nullptr);

  // A file that alice may read, and nobody else.
  ULONG memory[16];
  SECURITY_DESCRIPTOR file;
  REQUIRE(RtlCreateSecurityDescriptor(&file, SECURITY_DESCRIPTOR_REVISION) == STATUS_SUCCESS);
  REQUIRE(RtlCreateAcl(reinterpret_cast<PACL>(memory), sizeof memory, ACL_REVISION) == STATUS_SUCCESS);
  REQUIRE(RtlAddAccessAllowedAce(reinterpret_cast<PACL>(memory), ACL_REVISION, FILE_READ_DATA, &alice_sid) == STATUS_SUCCESS);
  REQUIRE(RtlSetDaclSecurityDescriptor(&file, TRUE, reinterpret_cast<PACL>(memory), FALSE) == STATUS_SUCCESS);
  REQUIRE(RtlSetOwnerSecurityDescriptor(&file, SeExports->SeLocalSystemSid, FALSE) == STATUS_SUCCESS);
  REQUIRE(RtlSetGroupSecurityDescriptor(&file, SeExports->SeLocalSystemSid, FALSE) == STATUS_SUCCESS);

  UNICODE_STRING path;
  RtlInitUnicodeString(&path, L"\\Registry\\Machine\\System\\CurrentControlSet\\Services\\Echo");
  REQUIRE(DriverEntry(&driver, &path) == STATUS_SUCCESS);
  device.DriverObject = &driver;
  device.DeviceExtension = &extension;

  REQUIRE(vicar_act_as(server) == STATUS_SUCCESS);
  REQUIRE(request(server, IRP_MJ_FILE_SYSTEM_CONTROL, &file) == STATUS_CANNOT_IMPERSONATE);
  REQUIRE(request(alice, IRP_MJ_WRITE, nullptr) == STATUS_SUCCESS);
  REQUIRE(request(server, IRP_MJ_FILE_SYSTEM_CONTROL, &file) == STATUS_SUCCESS);
  REQUIRE(request(bob, IRP_MJ_WRITE, nullptr) == STATUS_SUCCESS);
  REQUIRE(request(server, IRP_MJ_FILE_SYSTEM_CONTROL, &file) == STATUS_ACCESS_DENIED);

  // Every routine that can fail does so once; the driver neither leaks nor goes on.
  REQUIRE(request(alice, IRP_MJ_WRITE, nullptr) == STATUS_SUCCESS);
  REQUIRE(vicar_fail_routine("SeImpersonateClientEx", STATUS_NO_MEMORY) == STATUS_SUCCESS);
  REQUIRE(request(server, IRP_MJ_FILE_SYSTEM_CONTROL, &file) == STATUS_NO_MEMORY);
  REQUIRE(vicar_fail_routine("SeCreateClientSecurity", STATUS_INSUFFICIENT_RESOURCES) == STATUS_SUCCESS);
  REQUIRE(request(bob, IRP_MJ_WRITE, nullptr) == STATUS_INSUFFICIENT_RESOURCES);
  REQUIRE(request(server, IRP_MJ_FILE_SYSTEM_CONTROL, &file) == STATUS_SUCCESS);

  REQUIRE(request(server, IRP_MJ_CLEANUP, nullptr) == STATUS_SUCCESS);
  REQUIRE(vicar_act_as(nullptr) == STATUS_SUCCESS);
  REQUIRE(vicar_verify() == 0);
  std::puts("echo: all requests answered as they should be");
}
