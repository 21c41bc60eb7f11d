/* Threads and processes: whom they act as, and who they are. */

#include "people.h"
#include <sched.h>

static PACCESS_TOKEN impersonation_token(const char *user, LONG level) {
  VICAR_PERSON person = VICAR_PERSON_OF(user);
  PACCESS_TOKEN token = NULL;
  person.Level = level;
  OK(vicar_token_create(&person, &token));
  return token;
}

TEST(a_token_is_put_on_a_thread_and_taken_off) {
  people();
  PACCESS_TOKEN token = impersonation_token(ALICE, SecurityImpersonation);
  OK(PsImpersonateClient(server, token, TRUE, FALSE, SecurityImpersonation));
  acts_at(SecurityImpersonation);
  OK(may_read(readable_by(ALICE)));
  OK(PsImpersonateClient(server, NULL, FALSE, FALSE, SecurityAnonymous));
  acts_at(-1);
  OK(PsImpersonateClient(server, NULL, FALSE, FALSE, SecurityAnonymous));
  ObDereferenceObject(token);
}

TEST(a_token_is_not_put_on_with_wrong_numbers) {
  people();
  PACCESS_TOKEN token = impersonation_token(ALICE, SecurityImpersonation);
  STATUS(PsImpersonateClient(server, token, FALSE, FALSE, (SECURITY_IMPERSONATION_LEVEL)4), STATUS_INVALID_PARAMETER);
  STATUS(PsImpersonateClient((PETHREAD)token, token, FALSE, FALSE, SecurityImpersonation), STATUS_INVALID_PARAMETER);
  EQ(reported(VICAR_RULE_WRONG_OBJECT_TYPE), 1);
  STATUS(PsImpersonateClient(NULL, token, FALSE, FALSE, SecurityImpersonation), STATUS_INVALID_PARAMETER);
  vicar_findings_clear();
  acts_at(-1);
  ObDereferenceObject(token);
}

TEST(a_nested_impersonation_is_saved_and_restored) {
  BOOLEAN copy, effective;
  SECURITY_IMPERSONATION_LEVEL level;
  people();
  SECURITY_CLIENT_CONTEXT outer = client_of(alice), inner = client_of(bob);
  OK(SeImpersonateClientEx(&outer, NULL));
  PACCESS_TOKEN saved = PsReferenceImpersonationToken(server, &copy, &effective, &level);
  EQ(level, SecurityImpersonation);
  CHECK(copy && !effective && saved == outer.ClientToken);
  OK(SeImpersonateClientEx(&inner, NULL));
  OK(may_read(readable_by(BOB)));
  OK(PsImpersonateClient(server, saved, copy, effective, level));
  OK(may_read(readable_by(ALICE)));
  PsDereferenceImpersonationToken(saved);
  PsRevertToSelf();
  acts_at(-1);
  SeDeleteClientSecurity(&outer);
  SeDeleteClientSecurity(&inner);
}

TEST(nothing_is_referenced_when_nobody_is_worn) {
  BOOLEAN copy = 7, effective = 7;
  SECURITY_IMPERSONATION_LEVEL level = SecurityDelegation;
  people();
  CHECK(PsReferenceImpersonationToken(server, &copy, &effective, &level) == NULL);
  CHECK(copy == 7 && effective == 7 && level == SecurityDelegation);
  PsDereferenceImpersonationToken(NULL);
  PsRevertToSelf();
  acts_at(-1);
}

TEST(a_thread_is_reverted_from_outside) {
  people();
  SECURITY_CLIENT_CONTEXT client = client_of(alice);
  OK(SeImpersonateClientEx(&client, server));
  OK(vicar_act_as(NULL));
  CHECK(PsIsThreadImpersonating(server));
  PsRevertThreadToSelf(server);
  CHECK(!PsIsThreadImpersonating(server));
  SeDeleteClientSecurity(&client);
}

TEST(what_is_no_thread_acts_as_nobody) {
  PACCESS_TOKEN token = impersonation_token(ALICE, SecurityImpersonation);
  CHECK(!PsIsThreadImpersonating((PETHREAD)token));
  PsRevertThreadToSelf((PETHREAD)token);
  EQ(reported(VICAR_RULE_WRONG_OBJECT_TYPE), 2);
  ObDereferenceObject(token);
}

TEST(an_impersonation_is_put_aside_and_back) {
  SE_IMPERSONATION_STATE state;
  people();
  SECURITY_CLIENT_CONTEXT client = client_of(alice);
  OK(SeImpersonateClientEx(&client, NULL));
  CHECK(PsDisableImpersonation(server, &state));
  acts_at(-1);
  EQ(state.Level, SecurityImpersonation);
  PsRestoreImpersonation(server, &state);
  acts_at(SecurityImpersonation);
  PsRevertToSelf();
  SeDeleteClientSecurity(&client);
}

TEST(nothing_is_put_aside_when_there_is_nothing) {
  static const SE_IMPERSONATION_STATE nothing;
  SE_IMPERSONATION_STATE state;
  people();
  memset(&state, 0xEE, sizeof state);
  CHECK(!PsDisableImpersonation(server, &state));
  CHECK(state.Token == NULL && state.Level == SecurityAnonymous && !state.CopyOnOpen && !state.EffectiveOnly);
  state = nothing;
  PsRestoreImpersonation(server, &state);
  acts_at(-1);
  vicar_findings_clear();
}

TEST(an_impersonation_that_is_not_put_back_is_found) {
  SE_IMPERSONATION_STATE state;
  people();
  SECURITY_CLIENT_CONTEXT client = client_of(alice);
  OK(SeImpersonateClientEx(&client, NULL));
  CHECK(PsDisableImpersonation(server, &state));
  CHECK(vicar_verify() >= 1);
  vicar_findings_clear();
  PsRestoreImpersonation(server, &state);
  vicar_findings_clear();
  PsRevertToSelf();
  SeDeleteClientSecurity(&client);
  vicar_findings_clear();
}

TEST(a_token_is_assigned_by_handle) {
  HANDLE handle = NULL;
  people();
  PACCESS_TOKEN token = impersonation_token(ALICE, SecurityImpersonation);
  OK(ObOpenObjectByPointer(token, OBJ_KERNEL_HANDLE, NULL, TOKEN_ALL_ACCESS, *SeTokenObjectType, KernelMode, &handle));
  OK(PsAssignImpersonationToken(server, handle));
  acts_at(SecurityImpersonation);
  OK(PsAssignImpersonationToken(server, NULL));
  acts_at(-1);
  OK(ZwClose(handle));
  ObDereferenceObject(token);
}

TEST(a_token_is_not_assigned_by_a_wrong_handle) {
  HANDLE handle = NULL;
  people();
  PACCESS_TOKEN token = impersonation_token(ALICE, -1);
  OK(ObOpenObjectByPointer(token, OBJ_KERNEL_HANDLE, NULL, TOKEN_ALL_ACCESS, *SeTokenObjectType, KernelMode, &handle));
  STATUS(PsAssignImpersonationToken(server, handle), STATUS_BAD_TOKEN_TYPE);
  OK(ZwClose(handle));
  PsRevertToSelf();
  OK(ObOpenObjectByPointer(server, OBJ_KERNEL_HANDLE, NULL, THREAD_ALL_ACCESS, *PsThreadType, KernelMode, &handle));
  STATUS(PsAssignImpersonationToken(server, handle), STATUS_OBJECT_TYPE_MISMATCH);
  OK(ZwClose(handle));
  STATUS(PsAssignImpersonationToken(server, handle), STATUS_INVALID_HANDLE);
  (void)reported(VICAR_RULE_BAD_HANDLE);
  acts_at(-1);
  ObDereferenceObject(token);
}

TEST(the_token_of_a_process_is_referenced) {
  people();
  PACCESS_TOKEN token = PsReferencePrimaryToken(IoThreadToProcess(alice));
  EQ(SeTokenType(token), TokenPrimary);
  CHECK(vicar_reference_count(token) >= 2);
  PsDereferencePrimaryToken(token);
}

TEST(what_is_no_process_has_no_token) {
  people();
  CHECK(PsReferencePrimaryToken((PEPROCESS)alice) == NULL);
  EQ(reported(VICAR_RULE_WRONG_OBJECT_TYPE), 1);
}

TEST(one_reference_too_many_is_not_given_back) {
  PACCESS_TOKEN token = impersonation_token(ALICE, SecurityImpersonation);
  PsDereferenceImpersonationToken(token);
  PsDereferenceImpersonationToken(token);
  CHECK(vicar_finding_count() == 1);
  vicar_findings_clear();
  token = impersonation_token(ALICE, -1);
  PsDereferencePrimaryToken(token);
  PsDereferencePrimaryToken(token);
  CHECK(vicar_finding_count() == 1);
  vicar_findings_clear();
}

TEST(the_effective_token_is_the_clients_or_the_process_s) {
  TOKEN_TYPE type;
  BOOLEAN effective = 7;
  SECURITY_IMPERSONATION_LEVEL level = SecurityDelegation;
  people();
  PACCESS_TOKEN token = PsReferenceEffectiveToken(server, &type, &effective, &level);
  CHECK(type == TokenPrimary && !effective && level == SecurityDelegation);
  ObDereferenceObject(token);
  SECURITY_CLIENT_CONTEXT client = client_of(alice);
  OK(SeImpersonateClientEx(&client, NULL));
  token = PsReferenceEffectiveToken(server, &type, &effective, &level);
  CHECK(type == TokenImpersonation && !effective && level == SecurityImpersonation && token == client.ClientToken);
  ObDereferenceObject(token);
  PsRevertToSelf();
  SeDeleteClientSecurity(&client);
}

TEST(what_is_no_thread_has_no_effective_token) {
  TOKEN_TYPE type;
  BOOLEAN effective;
  SECURITY_IMPERSONATION_LEVEL level;
  people();
  CHECK(PsReferenceEffectiveToken((PETHREAD)IoThreadToProcess(alice), &type, &effective, &level) == NULL);
  EQ(reported(VICAR_RULE_WRONG_OBJECT_TYPE), 1);
}

TEST(a_thread_is_found_by_its_number) {
  PETHREAD found = NULL;
  PEPROCESS process = NULL;
  people();
  CHECK(PsGetCurrentThread() == server);
  CHECK(PsGetCurrentProcess() == IoThreadToProcess(server));
  CHECK(PsGetCurrentThreadId() == PsGetThreadId(server));
  CHECK(PsGetCurrentProcessId() == PsGetProcessId(PsGetCurrentProcess()));
  OK(PsLookupThreadByThreadId(PsGetThreadId(alice), &found));
  CHECK(found == alice);
  ObDereferenceObject(found);
  OK(PsLookupProcessByProcessId(PsGetProcessId(IoThreadToProcess(alice)), &process));
  CHECK(process == IoThreadToProcess(alice));
  ObDereferenceObject(process);
}

TEST(nobody_has_a_number_that_nobody_has) {
  PETHREAD thread = (PETHREAD)1;
  PEPROCESS process = (PEPROCESS)1;
  people();
  STATUS(PsLookupThreadByThreadId((HANDLE)0x123454, &thread), STATUS_INVALID_PARAMETER);
  STATUS(PsLookupProcessByProcessId((HANDLE)0x123454, &process), STATUS_INVALID_PARAMETER);
  CHECK(thread == NULL && process == NULL);
  STATUS(PsLookupThreadByThreadId(PsGetCurrentThreadId(), NULL), STATUS_INVALID_PARAMETER);
  STATUS(PsLookupProcessByProcessId(PsGetCurrentProcessId(), NULL), STATUS_INVALID_PARAMETER);
  EQ(reported(VICAR_RULE_NULL_ARGUMENT), 2);
  CHECK(PsGetThreadId((PETHREAD)PsGetCurrentProcess()) == NULL);
  CHECK(PsGetProcessId((PEPROCESS)alice) == NULL);
  CHECK(IoThreadToProcess((PETHREAD)PsGetCurrentProcess()) == NULL);
  CHECK(!PsIsSystemThread((PETHREAD)PsGetCurrentProcess()));
  EQ(reported(VICAR_RULE_WRONG_OBJECT_TYPE), 4);
}

TEST(a_thread_of_nobody_in_particular_is_the_systems) {
  CHECK(PsIsSystemThread(PsGetCurrentThread()));
  people();
  CHECK(!PsIsSystemThread(PsGetCurrentThread()));
}

static volatile int ran;
static VOID NTAPI routine(PVOID context) {
  CHECK(PsIsSystemThread(PsGetCurrentThread()));
  CHECK(context == (PVOID)&ran);
  __atomic_store_n(&ran, 1, __ATOMIC_SEQ_CST);
}
static VOID NTAPI terminating(PVOID context) {
  (void)context;
  __atomic_store_n(&ran, 2, __ATOMIC_SEQ_CST);
  (void)PsTerminateSystemThread(STATUS_SUCCESS);
  __atomic_store_n(&ran, 3, __ATOMIC_SEQ_CST);
}

/* Waits until a thread of the world is gone. */
static void gone(HANDLE id) {
  PETHREAD thread = NULL;
  while (PsLookupThreadByThreadId(id, &thread) == STATUS_SUCCESS) {
    ObDereferenceObject(thread);
    sched_yield();
  }
}

TEST(a_system_thread_runs_and_ends) {
  HANDLE handle = NULL;
  CLIENT_ID id = { NULL, NULL };
  ran = 0;
  OK(PsCreateSystemThread(&handle, THREAD_ALL_ACCESS, NULL, NULL, &id, routine, (PVOID)&ran));
  gone(id.UniqueThread);
  EQ(__atomic_load_n(&ran, __ATOMIC_SEQ_CST), 1);
  OK(ZwClose(handle));
  OK(PsCreateSystemThread(&handle, THREAD_ALL_ACCESS, NULL, NULL, &id, terminating, NULL));
  gone(id.UniqueThread);
  EQ(__atomic_load_n(&ran, __ATOMIC_SEQ_CST), 2);
  OK(ZwClose(handle));
}

TEST(a_system_thread_is_not_made_of_nothing) {
  HANDLE handle = (HANDLE)1;
  STATUS(PsCreateSystemThread(&handle, THREAD_ALL_ACCESS, NULL, NULL, NULL, NULL, NULL), STATUS_INVALID_PARAMETER);
  CHECK(handle == NULL);
  STATUS(PsCreateSystemThread(NULL, THREAD_ALL_ACCESS, NULL, NULL, NULL, routine, NULL), STATUS_INVALID_PARAMETER);
  STATUS(PsCreateSystemThread(&handle, THREAD_ALL_ACCESS, NULL, (HANDLE)0x7770, NULL, routine, NULL), STATUS_INVALID_HANDLE);
  vicar_findings_clear();
  people();
  STATUS(PsTerminateSystemThread(STATUS_SUCCESS), STATUS_INVALID_PARAMETER);
}
