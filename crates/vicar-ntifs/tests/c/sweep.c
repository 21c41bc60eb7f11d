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
