/* What a driver does after an impersonation that failed, came to less, or cannot be seen: each fault is named, its right form is not. */
#include "people.h"

/* Stands for ZwCreateFile, which works as whoever the thread acts as. */
static void open_file(void) { vicar_object_access("ZwCreateFile"); }

TEST(work_after_a_refused_impersonation_is_found) {
  SECURITY_CLIENT_CONTEXT client;
  people();
  client = client_of(alice);
  OK(vicar_fail_routine("SeImpersonateClientEx", STATUS_NO_MEMORY));
  STATUS(SeImpersonateClientEx(&client, NULL), STATUS_NO_MEMORY);
  open_file();
  EQ(reported(VICAR_RULE_SERVED_AS_ITSELF), 1);
  /* It is told once. */
  open_file();
  SeDeleteClientSecurity(&client);
}

TEST(a_refused_impersonation_that_ends_the_request_is_right) {
  SECURITY_CLIENT_CONTEXT client;
  people();
  client = client_of(alice);
  OK(vicar_fail_routine("SeImpersonateClientEx", STATUS_NO_MEMORY));
  STATUS(SeImpersonateClientEx(&client, NULL), STATUS_NO_MEMORY);
  SeDeleteClientSecurity(&client);
  vicar_return_to_user_mode();
  /* The next request of the same thread is another one. */
  open_file();
}

TEST(a_second_try_that_succeeds_is_right) {
  SECURITY_CLIENT_CONTEXT client;
  people();
  client = client_of(alice);
  OK(vicar_fail_routine("SeImpersonateClientEx", STATUS_NO_MEMORY));
  STATUS(SeImpersonateClientEx(&client, NULL), STATUS_NO_MEMORY);
  OK(SeImpersonateClientEx(&client, NULL));
  open_file();
  SeStopImpersonatingClient();
  SeDeleteClientSecurity(&client);
}

TEST(opening_an_object_after_a_refused_token_is_found) {
  PACCESS_TOKEN token;
  HANDLE handle = NULL;
  people();
  token = PsReferencePrimaryToken(IoThreadToProcess(alice));
  OK(vicar_fail_routine("PsImpersonateClient", STATUS_ACCESS_DENIED));
  STATUS(PsImpersonateClient(PsGetCurrentThread(), token, TRUE, TRUE, SecurityImpersonation), STATUS_ACCESS_DENIED);
  OK(ObOpenObjectByPointer(token, OBJ_KERNEL_HANDLE, NULL, TOKEN_QUERY, *SeTokenObjectType, KernelMode, &handle));
  EQ(reported(VICAR_RULE_SERVED_AS_ITSELF), 1);
  OK(ZwClose(handle));
  PsDereferencePrimaryToken(token);
}

TEST(the_void_routine_is_found_whether_it_fails_or_not) {
  SECURITY_CLIENT_CONTEXT client;
  people();
  client = client_of(alice);
#pragma GCC diagnostic push
#pragma GCC diagnostic ignored "-Wdeprecated-declarations"
  SeImpersonateClient(&client, NULL);
  EQ(reported(VICAR_RULE_RESULT_UNSEEN), 1);
  SeStopImpersonatingClient();
  OK(vicar_fail_routine("SeImpersonateClient", STATUS_NO_MEMORY));
  SeImpersonateClient(&client, NULL);
#pragma GCC diagnostic pop
  EQ(reported(VICAR_RULE_RESULT_UNSEEN), 1);
  open_file();
  EQ(reported(VICAR_RULE_SERVED_AS_ITSELF), 1);
  SeDeleteClientSecurity(&client);
}

/* A server without the privilege takes others on at level Identification, which is a success. */
static SECURITY_CLIENT_CONTEXT lowered(void) {
  SECURITY_CLIENT_CONTEXT client;
  people();
  client = client_of(alice);
  OK(vicar_act_as(bob));
  OK(SeImpersonateClientEx(&client, NULL));
  return client;
}

TEST(a_downgrade_that_nobody_looked_at_is_found_at_the_work) {
  SECURITY_CLIENT_CONTEXT client = lowered();
  open_file();
  EQ(reported(VICAR_RULE_DOWNGRADE_UNSEEN), 1);
  SeStopImpersonatingClient();
  SeDeleteClientSecurity(&client);
}

TEST(a_downgrade_that_nobody_looked_at_is_found_at_the_end) {
  SECURITY_CLIENT_CONTEXT client = lowered();
  SeStopImpersonatingClient();
  EQ(reported(VICAR_RULE_DOWNGRADE_UNSEEN), 1);
  SeDeleteClientSecurity(&client);
}

TEST(a_downgrade_that_was_looked_at_is_right) {
  SECURITY_CLIENT_CONTEXT client = lowered();
  BOOLEAN copy, effective;
  SECURITY_IMPERSONATION_LEVEL level;
  PACCESS_TOKEN token = PsReferenceImpersonationToken(PsGetCurrentThread(), &copy, &effective, &level);
  EQ(level, SecurityIdentification);
  PsDereferenceImpersonationToken(token);
  SeStopImpersonatingClient();
  /* An access check looks by itself. */
  OK(SeImpersonateClientEx(&client, NULL));
  STATUS(may_read(readable_by(ALICE)), STATUS_BAD_IMPERSONATION_LEVEL);
  SeStopImpersonatingClient();
  SeDeleteClientSecurity(&client);
}

TEST(a_client_that_grants_identification_only_is_no_downgrade) {
  SECURITY_QUALITY_OF_SERVICE qos = quality(SecurityIdentification, SECURITY_STATIC_TRACKING);
  SECURITY_CLIENT_CONTEXT client;
  people();
  OK(SeCreateClientSecurity(alice, &qos, FALSE, &client));
  OK(SeImpersonateClientEx(&client, NULL));
  SeStopImpersonatingClient();
  SeDeleteClientSecurity(&client);
}

TEST(a_check_in_kernel_mode_for_a_user_is_found) {
  SECURITY_SUBJECT_CONTEXT subject;
  ACCESS_MASK granted;
  NTSTATUS status;
  LUID backup = { SE_BACKUP_PRIVILEGE, 0 };
  people();
  OK(vicar_act_as(alice));
  EQ(vicar_set_previous_mode(UserMode), KernelMode);
  SeCaptureSubjectContext(&subject);
  CHECK(SeAccessCheck(readable_by(BOB), &subject, FALSE, FILE_READ_DATA, 0, NULL, &file_mapping, KernelMode, &granted, &status));
  EQ(reported(VICAR_RULE_KERNEL_MODE_FOR_USER), 1);
  CHECK(!SeAccessCheck(readable_by(BOB), &subject, FALSE, FILE_READ_DATA, 0, NULL, &file_mapping, UserMode, &granted, &status));
  CHECK(SeSinglePrivilegeCheck(backup, KernelMode));
  EQ(reported(VICAR_RULE_KERNEL_MODE_FOR_USER), 1);
  CHECK(!SeSinglePrivilegeCheck(backup, UserMode));
  EQ(vicar_set_previous_mode(KernelMode), UserMode);
  CHECK(SeSinglePrivilegeCheck(backup, KernelMode));
  SeReleaseSubjectContext(&subject);
}

TEST(the_token_of_a_client_below_impersonation_is_found) {
  SECURITY_SUBJECT_CONTEXT subject;
  SECURITY_CLIENT_CONTEXT client = lowered();
  SeCaptureSubjectContext(&subject);
  EQ(subject.ImpersonationLevel, SecurityIdentification);
  CHECK(SeQuerySubjectContextToken(&subject) == subject.ClientToken);
  EQ(reported(VICAR_RULE_LEVEL_NOT_TESTED), 1);
  SeReleaseSubjectContext(&subject);
  SeStopImpersonatingClient();
  EQ(reported(VICAR_RULE_DOWNGRADE_UNSEEN), 1);
  SeDeleteClientSecurity(&client);
  /* Without a client there is no level to test. */
  SeCaptureSubjectContext(&subject);
  CHECK(SeQuerySubjectContextToken(&subject) == subject.PrimaryToken);
  SeReleaseSubjectContext(&subject);
}

TEST(a_dynamic_context_of_an_ended_thread_is_found) {
  SECURITY_QUALITY_OF_SERVICE dynamic = quality(SecurityImpersonation, SECURITY_DYNAMIC_TRACKING);
  SECURITY_CLIENT_CONTEXT followed, copied;
  PETHREAD client;
  people();
  client = thread_of(ALICE, NULL);
  OK(SeCreateClientSecurity(client, &dynamic, FALSE, &followed));
  copied = client_of(client);
  OK(SeImpersonateClientEx(&followed, NULL));
  SeStopImpersonatingClient();
  vicar_thread_exit(client);
  OK(SeImpersonateClientEx(&followed, NULL));
  EQ(reported(VICAR_RULE_CLIENT_THREAD_GONE), 1);
  SeStopImpersonatingClient();
  /* A copy is what the client was, and lasts. */
  OK(SeImpersonateClientEx(&copied, NULL));
  SeStopImpersonatingClient();
  SeDeleteClientSecurity(&followed);
  SeDeleteClientSecurity(&copied);
}

TEST(an_access_check_as_the_server_after_a_refused_impersonation_is_found) {
  SECURITY_CLIENT_CONTEXT client;
  people();
  client = client_of(alice);
  OK(vicar_fail_routine("SeImpersonateClientEx", STATUS_NO_MEMORY));
  STATUS(SeImpersonateClientEx(&client, NULL), STATUS_NO_MEMORY);
  STATUS(may_read(readable_by(ALICE)), STATUS_ACCESS_DENIED);
  EQ(reported(VICAR_RULE_SERVED_AS_ITSELF), 1);
  SeDeleteClientSecurity(&client);
}

TEST(an_impersonation_that_was_put_aside_has_no_say_in_what_is_done_meanwhile) {
  SECURITY_CLIENT_CONTEXT client = lowered();
  SE_IMPERSONATION_STATE state;
  CHECK(PsDisableImpersonation(PsGetCurrentThread(), &state));
  open_file();
  PsRestoreImpersonation(PsGetCurrentThread(), &state);
  open_file();
  EQ(reported(VICAR_RULE_DOWNGRADE_UNSEEN), 1);
  SeStopImpersonatingClient();
  SeDeleteClientSecurity(&client);
}

TEST(an_impersonation_that_is_never_restored_is_found) {
  SECURITY_CLIENT_CONTEXT client;
  SE_IMPERSONATION_STATE state;
  people();
  client = client_of(alice);
  OK(SeImpersonateClientEx(&client, NULL));
  CHECK(PsDisableImpersonation(PsGetCurrentThread(), &state));
  SeDeleteClientSecurity(&client);
  EQ(vicar_verify(), 1);
  EQ(reported(VICAR_RULE_RESTORE_WITHOUT_DISABLE), 1);
  PsRestoreImpersonation(PsGetCurrentThread(), &state);
  SeStopImpersonatingClient();
}

TEST(a_subject_that_is_captured_over_another_is_found) {
  SECURITY_SUBJECT_CONTEXT subject, copy;
  people();
  SeCaptureSubjectContext(&subject);
  copy = subject;
  SeCaptureSubjectContext(&subject);
  SeReleaseSubjectContext(&subject);
  EQ(vicar_verify(), 1);
  EQ(reported(VICAR_RULE_SUBJECT_NOT_RELEASED), 1);
  SeReleaseSubjectContext(&copy);
}

TEST(a_kernel_handle_that_is_never_closed_is_found) {
  HANDLE handle = NULL;
  people();
  OK(ZwOpenProcessTokenEx(ZwCurrentProcess(), TOKEN_QUERY, OBJ_KERNEL_HANDLE, &handle));
  EQ(vicar_verify(), 1);
  EQ(reported(VICAR_RULE_BAD_HANDLE), 1);
  OK(ZwClose(handle));
}

static VOID NTAPI stays_in_a_region(PVOID parameter) {
  (void)parameter;
  KeEnterCriticalRegion();
}
TEST(a_worker_that_returns_in_a_critical_region_is_found) {
  WORK_QUEUE_ITEM item;
  people();
  ExInitializeWorkItem(&item, stays_in_a_region, NULL);
  ExQueueWorkItem(&item, DelayedWorkQueue);
  vicar_settle();
  EQ(reported(VICAR_RULE_CRITICAL_REGION), 1);
}
