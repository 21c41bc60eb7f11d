/* Every allocation of a whole request fails once: nothing leaks, nothing is granted, nobody is left acting as the client. */
#include "people.h"

/* One request from beginning to end; answers the first status that is not success. */
static NTSTATUS request(PETHREAD of, PSECURITY_DESCRIPTOR parent) {
  SECURITY_QUALITY_OF_SERVICE qos = quality(SecurityImpersonation, SECURITY_STATIC_TRACKING);
  SECURITY_CLIENT_CONTEXT client;
  SECURITY_SUBJECT_CONTEXT subject;
  ACCESS_STATE state;
  AUX_ACCESS_DATA aux;
  PSECURITY_DESCRIPTOR made = NULL;
  PVOID information = NULL;
  UNICODE_STRING text = { 0, 0, NULL };
  ACCESS_MASK granted;
  NTSTATUS status = SeCreateClientSecurity(of, &qos, FALSE, &client);
  if (!NT_SUCCESS(status)) return status;
  status = SeImpersonateClientEx(&client, NULL);
  if (NT_SUCCESS(status)) {
    SeCaptureSubjectContext(&subject);
    if (SeAccessCheck(parent, &subject, FALSE, FILE_READ_DATA, 0, NULL, &file_mapping, UserMode, &granted, &status)) {
      status = SeAssignSecurity(NULL, NULL, &made, FALSE, &subject, &file_mapping, PagedPool);
      if (NT_SUCCESS(status)) status = SeDeassignSecurity(&made);
    }
    if (NT_SUCCESS(status)) status = SeQueryInformationToken(SeQuerySubjectContextToken(&subject), TokenUser, &information);
    if (NT_SUCCESS(status)) {
      status = RtlConvertSidToUnicodeString(&text, ((PTOKEN_USER)information)->User.Sid, TRUE);
      ExFreePool(information);
      if (NT_SUCCESS(status)) RtlFreeUnicodeString(&text);
    }
    if (NT_SUCCESS(status)) {
      status = SeCreateAccessState(&state, &aux, FILE_READ_DATA, &file_mapping);
      if (NT_SUCCESS(status)) SeDeleteAccessState(&state);
    }
    SeReleaseSubjectContext(&subject);
    SeStopImpersonatingClient();
  }
  SeDeleteClientSecurity(&client);
  return status;
}

TEST(every_allocation_of_a_request_fails_once) {
  people();
  PSECURITY_DESCRIPTOR file = readable_by(ALICE);
  OK(request(alice, file));
  LONG64 balance = vicar_balance();
  ULONG64 bytes = vicar_pool_bytes(), before = vicar_allocation_count();
  OK(request(alice, file));
  ULONG64 needed = vicar_allocation_count() - before;
  CHECK(needed >= 4);
  for (ULONG64 nth = 1; nth <= needed; nth++) {
    vicar_fail_allocation(nth, 0);
    NTSTATUS status = request(alice, file);
    CHECK(status == STATUS_INSUFFICIENT_RESOURCES || status == STATUS_NO_MEMORY);
    vicar_fail_allocation(0, 0);
    acts_at(-1);
    EQ(vicar_balance(), balance);
    EQ(vicar_pool_bytes(), bytes);
  }
  OK(request(alice, file));
}

/* One use of every service that makes something, by handle; answers the first status that is not success. */
static NTSTATUS services(HANDLE token, PSECURITY_DESCRIPTOR descriptor) {
  HANDLE made = (HANDLE)1, copy = (HANDLE)1, own = (HANDLE)1, worn = (HANDLE)1;
  ULONG list[16], before[16], length = 7, used[8], room = sizeof used;
  ACCESS_MASK granted = 7;
  NTSTATUS answer;
  OBJECT_ATTRIBUTES attributes;
  SECURITY_QUALITY_OF_SERVICE qos = quality(SecurityImpersonation, SECURITY_STATIC_TRACKING);
  PACL dacl = (PACL)list;
  TOKEN_PRIVILEGES all = { 1, { { { SE_CHANGE_NOTIFY_PRIVILEGE, 0 }, 0 } } };
  NTSTATUS status = NtFilterToken(token, 0, NULL, NULL, NULL, &made);
  if (!NT_SUCCESS(status)) {
    CHECK(made == NULL);
    return status;
  }
  InitializeObjectAttributes(&attributes, NULL, OBJ_KERNEL_HANDLE, NULL, descriptor);
  attributes.SecurityQualityOfService = &qos;
  status = ZwDuplicateToken(made, TOKEN_ALL_ACCESS, &attributes, FALSE, TokenImpersonation, &copy);
  if (NT_SUCCESS(status)) {
    OK(RtlCreateAcl(dacl, sizeof list, ACL_REVISION));
    OK(RtlAddAccessAllowedAce(dacl, ACL_REVISION, 1, sid(BOB)));
    status = ZwSetInformationToken(copy, TokenDefaultDacl, &dacl, sizeof dacl);
    if (NT_SUCCESS(status)) status = ZwAdjustPrivilegesToken(copy, FALSE, &all, sizeof before, (PTOKEN_PRIVILEGES)(void *)before, &length);
    if (NT_SUCCESS(status)) status = ZwAdjustGroupsToken(copy, TRUE, NULL, 0, NULL, NULL);
    if (NT_SUCCESS(status))
      status = ZwAccessCheck(readable_by(ALICE), copy, FILE_READ_DATA, &file_mapping, (PPRIVILEGE_SET)(void *)used, &room, &granted, &answer);
    if (NT_SUCCESS(status)) status = ZwSetInformationThread(ZwCurrentThread(), ThreadImpersonationToken, &copy, sizeof copy);
    if (NT_SUCCESS(status)) {
      status = ZwOpenThreadTokenEx(ZwCurrentThread(), TOKEN_QUERY, TRUE, OBJ_KERNEL_HANDLE, &worn);
      if (NT_SUCCESS(status)) OK(ZwClose(worn));
      else CHECK(worn == NULL);
      PsRevertToSelf();
    }
    OK(ZwClose(copy));
  } else {
    CHECK(copy == NULL);
  }
  if (NT_SUCCESS(status)) {
    status = ZwOpenProcessTokenEx(ZwCurrentProcess(), TOKEN_QUERY, OBJ_KERNEL_HANDLE, &own);
    if (NT_SUCCESS(status)) OK(ZwClose(own));
    else CHECK(own == NULL);
  }
  if (NT_SUCCESS(status)) {
    /* There and back: the process has the token that it had. */
    PACCESS_TOKEN primary = PsReferencePrimaryToken(PsGetCurrentProcess());
    PROCESS_ACCESS_TOKEN information = { NULL, NULL };
    status = ObOpenObjectByPointer(primary, OBJ_KERNEL_HANDLE, NULL, TOKEN_ALL_ACCESS, *SeTokenObjectType, KernelMode, &own);
    if (NT_SUCCESS(status)) {
      information.Token = made;
      status = ZwSetInformationProcess(ZwCurrentProcess(), ProcessAccessToken, &information, sizeof information);
      information.Token = own;
      if (NT_SUCCESS(status)) OK(ZwSetInformationProcess(ZwCurrentProcess(), ProcessAccessToken, &information, sizeof information));
      OK(ZwClose(own));
    }
    PsDereferencePrimaryToken(primary);
  }
  OK(ZwClose(made));
  return status;
}

TEST(every_allocation_of_the_services_by_handle_fails_once) {
  HANDLE token = NULL;
  VICAR_PERSON person = VICAR_PERSON_OF(ALICE);
  PACCESS_TOKEN object = NULL;
  people();
  OK(vicar_token_create(&person, &object));
  OK(ObOpenObjectByPointer(object, OBJ_KERNEL_HANDLE, NULL, TOKEN_ALL_ACCESS, *SeTokenObjectType, KernelMode, &token));
  ObDereferenceObject(object);
  PSECURITY_DESCRIPTOR descriptor = readable_by(SERVICE);
  OK(services(token, descriptor));
  LONG64 balance = vicar_balance();
  ULONG64 bytes = vicar_pool_bytes(), before = vicar_allocation_count();
  OK(services(token, descriptor));
  ULONG64 needed = vicar_allocation_count() - before;
  CHECK(needed >= 8);
  for (ULONG64 nth = 1; nth <= needed; nth++) {
    vicar_fail_allocation(nth, 0);
    NTSTATUS status = services(token, descriptor);
    CHECK(status == STATUS_INSUFFICIENT_RESOURCES || status == STATUS_NO_MEMORY);
    vicar_fail_allocation(0, 0);
    acts_at(-1);
    EQ(vicar_balance(), balance);
    EQ(vicar_pool_bytes(), bytes);
  }
  OK(services(token, descriptor));
  OK(ZwClose(token));
}
