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

TEST(falling_back_to_the_anonymous_user_is_right) {
  SECURITY_CLIENT_CONTEXT client;
  people();
  client = client_of(alice);
  OK(vicar_fail_routine("SeImpersonateClientEx", STATUS_NO_MEMORY));
  STATUS(SeImpersonateClientEx(&client, NULL), STATUS_NO_MEMORY);
  OK(ZwImpersonateAnonymousToken(NtCurrentThread()));
  open_file();
  PsRevertToSelf();
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
  SeDeleteClientSecurity(&client);
  /* Without a client there is no level to test. */
  SeCaptureSubjectContext(&subject);
  CHECK(SeQuerySubjectContextToken(&subject) == subject.PrimaryToken);
  SeReleaseSubjectContext(&subject);
}

TEST(a_client_recorded_in_time_outlives_its_thread) {
  SECURITY_QUALITY_OF_SERVICE dynamic = quality(SecurityImpersonation, SECURITY_DYNAMIC_TRACKING);
  SECURITY_CLIENT_CONTEXT followed, copied;
  PETHREAD client;
  people();
  client = thread_of(ALICE, NULL);
  OK(SeCreateClientSecurity(client, &dynamic, FALSE, &followed));
  copied = client_of(client);
  vicar_thread_exit(client);
  OK(SeImpersonateClientEx(&followed, NULL));
  SeStopImpersonatingClient();
  OK(SeImpersonateClientEx(&copied, NULL));
  SeStopImpersonatingClient();
  SeDeleteClientSecurity(&followed);
  SeDeleteClientSecurity(&copied);
}

TEST(a_client_recorded_when_its_thread_had_ended_is_found) {
  SECURITY_CLIENT_CONTEXT client;
  SECURITY_SUBJECT_CONTEXT subject;
  PETHREAD thread;
  people();
  thread = thread_of(ALICE, NULL);
  ObReferenceObject(thread);
  vicar_thread_exit(thread);
  client = client_of(thread);
  EQ(reported(VICAR_RULE_CLIENT_THREAD_GONE), 1);
  SeCaptureSubjectContextEx(thread, PsGetCurrentProcess(), &subject);
  EQ(reported(VICAR_RULE_CLIENT_THREAD_GONE), 1);
  SeReleaseSubjectContext(&subject);
  SeDeleteClientSecurity(&client);
  ObDereferenceObject(thread);
}

/* What is done for another thread is followed on that thread. */

static PACCESS_TOKEN token_of(PETHREAD thread) { return PsReferencePrimaryToken(IoThreadToProcess(thread)); }

TEST(a_refusal_of_another_threads_impersonation_is_found_at_its_work) {
  SECURITY_CLIENT_CONTEXT client;
  people();
  client = client_of(alice);
  OK(vicar_fail_routine("SeImpersonateClientEx", STATUS_NO_MEMORY));
  STATUS(SeImpersonateClientEx(&client, bob), STATUS_NO_MEMORY);
  /* The thread that asked is not concerned. */
  open_file();
  EQ(vicar_finding_count(), 0);
  OK(vicar_act_as(bob));
  open_file();
  EQ(reported(VICAR_RULE_SERVED_AS_ITSELF), 1);
  open_file();
  SeDeleteClientSecurity(&client);
}

TEST(a_refusal_of_another_thread_is_over_when_that_thread_is_itself_again) {
  SECURITY_CLIENT_CONTEXT client;
  PACCESS_TOKEN token;
  people();
  client = client_of(alice);
  token = token_of(alice);
  OK(vicar_fail_routine("SeImpersonateClientEx", STATUS_NO_MEMORY));
  STATUS(SeImpersonateClientEx(&client, bob), STATUS_NO_MEMORY);
  PsRevertThreadToSelf(bob);
  OK(vicar_act_as(bob));
  open_file();
  OK(vicar_act_as(server));
  OK(vicar_fail_routine("PsImpersonateClient", STATUS_ACCESS_DENIED));
  STATUS(PsImpersonateClient(alice, token, TRUE, TRUE, SecurityImpersonation), STATUS_ACCESS_DENIED);
  OK(PsImpersonateClient(alice, NULL, FALSE, FALSE, SecurityAnonymous));
  OK(vicar_act_as(alice));
  open_file();
  PsDereferencePrimaryToken(token);
  SeDeleteClientSecurity(&client);
}

TEST(a_token_refused_to_another_thread_is_found_at_its_work) {
  PACCESS_TOKEN token;
  people();
  token = token_of(alice);
  OK(vicar_fail_routine("PsImpersonateClient", STATUS_ACCESS_DENIED));
  STATUS(PsImpersonateClient(bob, token, TRUE, TRUE, SecurityImpersonation), STATUS_ACCESS_DENIED);
  OK(vicar_act_as(bob));
  STATUS(may_read(readable_by(ALICE)), STATUS_ACCESS_DENIED);
  EQ(reported(VICAR_RULE_SERVED_AS_ITSELF), 1);
  OK(vicar_act_as(server));
  STATUS(PsAssignImpersonationToken(bob, (HANDLE)(ULONG_PTR)0x7ff4), STATUS_INVALID_HANDLE);
  EQ(reported(VICAR_RULE_BAD_HANDLE), 1);
  OK(vicar_act_as(bob));
  open_file();
  EQ(reported(VICAR_RULE_SERVED_AS_ITSELF), 1);
  PsDereferencePrimaryToken(token);
}

TEST(a_downgrade_of_another_thread_is_found_at_its_work_or_its_end) {
  SECURITY_CLIENT_CONTEXT client;
  people();
  client = client_of(alice);
  /* bob's process may not act as alice. */
  OK(SeImpersonateClientEx(&client, bob));
  OK(vicar_act_as(bob));
  open_file();
  EQ(reported(VICAR_RULE_DOWNGRADE_UNSEEN), 1);
  OK(vicar_act_as(server));
  OK(SeImpersonateClientEx(&client, bob));
  PsRevertThreadToSelf(bob);
  EQ(reported(VICAR_RULE_DOWNGRADE_UNSEEN), 1);
  SeDeleteClientSecurity(&client);
}

TEST(a_downgrade_of_another_thread_that_was_looked_at_there_is_right) {
  SECURITY_CLIENT_CONTEXT client;
  BOOLEAN copy, effective;
  SECURITY_IMPERSONATION_LEVEL level;
  PACCESS_TOKEN token;
  people();
  client = client_of(alice);
  OK(SeImpersonateClientEx(&client, bob));
  /* Of one's own thread nothing is seen of it. */
  token = PsReferenceImpersonationToken(server, &copy, &effective, &level);
  CHECK(token == NULL);
  token = PsReferenceImpersonationToken(bob, &copy, &effective, &level);
  EQ(level, SecurityIdentification);
  PsDereferenceImpersonationToken(token);
  PsRevertThreadToSelf(bob);
  SeDeleteClientSecurity(&client);
}

TEST(the_level_of_another_token_says_nothing_of_a_downgrade) {
  SECURITY_CLIENT_CONTEXT client = lowered();
  PACCESS_TOKEN other = token_of(bob), worn;
  BOOLEAN copy, effective;
  SECURITY_IMPERSONATION_LEVEL level;
  EQ(SeTokenImpersonationLevel(other), SecurityAnonymous);
  SeStopImpersonatingClient();
  EQ(reported(VICAR_RULE_DOWNGRADE_UNSEEN), 1);
  /* By handle, as a program would look. */
  OK(SeImpersonateClientEx(&client, NULL));
  HANDLE handle = NULL;
  ULONG length;
  OK(ZwOpenThreadTokenEx(ZwCurrentThread(), TOKEN_QUERY, TRUE, OBJ_KERNEL_HANDLE, &handle));
  OK(ZwQueryInformationToken(handle, TokenImpersonationLevel, &level, sizeof level, &length));
  EQ(level, SecurityIdentification);
  OK(ZwClose(handle));
  SeStopImpersonatingClient();
  OK(SeImpersonateClientEx(&client, NULL));
  worn = PsReferenceImpersonationToken(PsGetCurrentThread(), &copy, &effective, &level);
  PsDereferenceImpersonationToken(worn);
  SeStopImpersonatingClient();
  PsDereferencePrimaryToken(other);
  SeDeleteClientSecurity(&client);
}

TEST(a_level_read_in_a_captured_subject_is_looked_at_and_work_all_the_same_is_found) {
  SECURITY_CLIENT_CONTEXT client = lowered();
  SECURITY_SUBJECT_CONTEXT subject;
  SeCaptureSubjectContext(&subject);
  EQ(subject.ImpersonationLevel, SecurityIdentification);
  SeReleaseSubjectContext(&subject);
  SeStopImpersonatingClient();
  OK(SeImpersonateClientEx(&client, NULL));
  SeCaptureSubjectContext(&subject);
  SeReleaseSubjectContext(&subject);
  open_file();
  EQ(reported(VICAR_RULE_DOWNGRADE_UNSEEN), 1);
  SeStopImpersonatingClient();
  SeDeleteClientSecurity(&client);
}

static SECURITY_CLIENT_CONTEXT *refused_client;
static VOID NTAPI gives_up(PVOID parameter) {
  (void)parameter;
  STATUS(SeImpersonateClientEx(refused_client, NULL), STATUS_NO_MEMORY);
}
static VOID NTAPI works_for_itself(PVOID parameter) {
  (void)parameter;
  open_file();
}
TEST(a_refused_work_item_says_nothing_of_the_next) {
  WORK_QUEUE_ITEM items[4];
  SECURITY_CLIENT_CONTEXT client;
  people();
  client = client_of(alice);
  refused_client = &client;
  OK(vicar_fail_routine("SeImpersonateClientEx", STATUS_NO_MEMORY));
  ExInitializeWorkItem(&items[0], gives_up, NULL);
  ExQueueWorkItem(&items[0], DelayedWorkQueue);
  for (int index = 1; index < 4; index++) {
    ExInitializeWorkItem(&items[index], works_for_itself, NULL);
    ExQueueWorkItem(&items[index], DelayedWorkQueue);
  }
  vicar_settle();
  SeDeleteClientSecurity(&client);
}

/* A token that was read out of a captured subject, whose client is below level Impersonation. */

TEST(a_decision_by_a_token_read_from_the_structure_is_found) {
  SECURITY_SUBJECT_CONTEXT subject;
  SECURITY_CLIENT_CONTEXT client = lowered();
  ACCESS_MASK granted;
  NTSTATUS status;
  LUID session;
  PVOID user = NULL;
  SeCaptureSubjectContext(&subject);
  /* Who it is may be asked at level Identification, and what type of token it is always. */
  OK(SeQueryAuthenticationIdToken(subject.ClientToken, &session));
  OK(SeQueryInformationToken(subject.ClientToken, TokenUser, &user));
  ExFreePool(user);
  EQ(SeTokenType(subject.ClientToken), TokenImpersonation);
  EQ(vicar_finding_count(), 0);
  CHECK(!SeTokenIsAdmin(subject.ClientToken));
  EQ(reported(VICAR_RULE_LEVEL_NOT_TESTED), 1);
  SeReleaseSubjectContext(&subject);
  SeCaptureSubjectContext(&subject);
  /* As the process's token it would decide. */
  CHECK(SeAccessCheckFromStateEx(readable_by(ALICE), subject.ClientToken, NULL, FILE_READ_DATA, 0, NULL, &file_mapping, UserMode, &granted, &status));
  EQ(reported(VICAR_RULE_LEVEL_NOT_TESTED), 1);
  SeReleaseSubjectContext(&subject);
  SeCaptureSubjectContext(&subject);
  OK(PsImpersonateClient(alice, subject.ClientToken, TRUE, FALSE, SecurityImpersonation));
  EQ(reported(VICAR_RULE_LEVEL_NOT_TESTED), 1);
  PsRevertThreadToSelf(alice);
  SeReleaseSubjectContext(&subject);
  SeStopImpersonatingClient();
  SeDeleteClientSecurity(&client);
}

TEST(a_token_whose_level_was_tested_is_right) {
  SECURITY_SUBJECT_CONTEXT subject;
  SECURITY_CLIENT_CONTEXT client = lowered();
  PVOID statistics = NULL;
  SeCaptureSubjectContext(&subject);
  EQ(SeTokenImpersonationLevel(subject.ClientToken), SecurityIdentification);
  CHECK(!SeTokenIsAdmin(subject.ClientToken));
  SeReleaseSubjectContext(&subject);
  SeCaptureSubjectContext(&subject);
  OK(SeQueryInformationToken(subject.ClientToken, TokenStatistics, &statistics));
  ExFreePool(statistics);
  CHECK(!SeTokenIsRestricted(subject.ClientToken));
  SeReleaseSubjectContext(&subject);
  SeStopImpersonatingClient();
  /* A client that may be acted as is whoever its token says. */
  OK(vicar_act_as(server));
  OK(SeImpersonateClientEx(&client, NULL));
  SeCaptureSubjectContext(&subject);
  CHECK(!SeTokenIsAdmin(subject.ClientToken));
  CHECK(!SeTokenIsWriteRestricted(subject.ClientToken));
  SeReleaseSubjectContext(&subject);
  SeStopImpersonatingClient();
  SeDeleteClientSecurity(&client);
}

TEST(a_level_that_the_driver_raised_is_found) {
  SECURITY_SUBJECT_CONTEXT subject, kept;
  SECURITY_CLIENT_CONTEXT client = lowered();
  ACCESS_MASK granted;
  NTSTATUS status;
  SeCaptureSubjectContext(&subject);
  kept = subject;
  subject.ImpersonationLevel = SecurityImpersonation;
  /* The token is a copy at level Identification, and says so itself. */
  CHECK(!SeAccessCheck(readable_by(ALICE), &subject, FALSE, FILE_READ_DATA, 0, NULL, &file_mapping, UserMode, &granted, &status));
  EQ(reported(VICAR_RULE_LEVEL_NOT_TESTED), 1);
  subject.PrimaryToken = subject.ClientToken;
  subject.ClientToken = NULL;
  CHECK(SeAccessCheck(readable_by(ALICE), &subject, FALSE, FILE_READ_DATA, 0, NULL, &file_mapping, UserMode, &granted, &status));
  EQ(reported(VICAR_RULE_LEVEL_NOT_TESTED), 1);
  subject = kept;
  SeReleaseSubjectContext(&subject);
  SeStopImpersonatingClient();
  SeDeleteClientSecurity(&client);
}

TEST(an_anonymous_client_must_not_be_asked_who_it_is) {
  SECURITY_QUALITY_OF_SERVICE qos = quality(SecurityAnonymous, SECURITY_DYNAMIC_TRACKING);
  SECURITY_SUBJECT_CONTEXT subject;
  SECURITY_CLIENT_CONTEXT client;
  PVOID answer = NULL;
  people();
  OK(SeCreateClientSecurity(alice, &qos, FALSE, &client));
  OK(SeImpersonateClientEx(&client, NULL));
  SeDeleteClientSecurity(&client);
  SeCaptureSubjectContext(&subject);
  EQ(subject.ImpersonationLevel, SecurityAnonymous);
  OK(SeQueryInformationToken(subject.ClientToken, TokenUser, &answer));
  ExFreePool(answer);
  EQ(reported(VICAR_RULE_LEVEL_NOT_TESTED), 1);
  SeReleaseSubjectContext(&subject);
  SeStopImpersonatingClient();
}

TEST(a_token_that_the_driver_has_from_elsewhere_too_is_its_own_affair) {
  SECURITY_SUBJECT_CONTEXT subject;
  SECURITY_CLIENT_CONTEXT client = lowered();
  BOOLEAN copy, effective;
  SECURITY_IMPERSONATION_LEVEL level;
  PACCESS_TOKEN token = PsReferenceImpersonationToken(PsGetCurrentThread(), &copy, &effective, &level);
  SeCaptureSubjectContext(&subject);
  CHECK(token == subject.ClientToken);
  CHECK(!SeTokenIsAdmin(token));
  PsDereferenceImpersonationToken(token);
  SeReleaseSubjectContext(&subject);
  SeStopImpersonatingClient();
  SeDeleteClientSecurity(&client);
}

TEST(a_reference_given_back_once_too_often_is_called_so) {
  PACCESS_TOKEN token;
  people();
  token = token_of(alice);
  ObReferenceObject(token);
  ObDereferenceObject(token);
  PsDereferencePrimaryToken(token);
  PsDereferencePrimaryToken(token);
  EQ(reported(VICAR_RULE_OVER_DEREFERENCED), 1);
  ObDereferenceObject(token);
  EQ(reported(VICAR_RULE_OVER_DEREFERENCED), 1);
  /* What is used after that is no object. */
  EQ(SeTokenType(token), 0);
  EQ(reported(VICAR_RULE_NOT_AN_OBJECT), 1);
  /* And what never was one is none either. */
  ObDereferenceObject((PVOID)(ULONG_PTR)0x1234560);
  EQ(reported(VICAR_RULE_NOT_AN_OBJECT), 1);
}

TEST(a_context_that_was_deleted_is_told_from_one_that_never_was) {
  SECURITY_CLIENT_CONTEXT client, never = { 0 };
  char text[600];
  people();
  client = client_of(alice);
  SeDeleteClientSecurity(&client);
  STATUS(SeImpersonateClientEx(&client, NULL), STATUS_INVALID_PARAMETER);
  vicar_finding_text(0, VICAR_FINDING_DETAIL, text, sizeof text);
  CHECK(strstr(text, "was deleted at") != NULL && strstr(text, "flow.c") != NULL);
  EQ(reported(VICAR_RULE_CONTEXT_NOT_CREATED), 1);
  vicar_return_to_user_mode();
  STATUS(SeImpersonateClientEx(&never, NULL), STATUS_INVALID_PARAMETER);
  vicar_finding_text(0, VICAR_FINDING_DETAIL, text, sizeof text);
  CHECK(strstr(text, "was never created") != NULL);
  EQ(reported(VICAR_RULE_CONTEXT_NOT_CREATED), 1);
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
