/* Who is asking, and what they may do: subject contexts, access checks, privileges, access states. */
#include "people.h"

TEST(both_tokens_of_a_thread_are_captured) {
  SECURITY_SUBJECT_CONTEXT subject;
  people();
  LONG64 before = vicar_balance();
  SeCaptureSubjectContext(&subject);
  CHECK(subject.ClientToken == NULL && subject.PrimaryToken != NULL);
  CHECK(subject.ProcessAuditId == PsGetCurrentProcessId());
  CHECK(SeQuerySubjectContextToken(&subject) == subject.PrimaryToken);
  SeReleaseSubjectContext(&subject);
  CHECK(subject.ClientToken == NULL && subject.PrimaryToken == NULL);
  EQ(vicar_balance(), before);
  SECURITY_CLIENT_CONTEXT client = client_of(alice);
  OK(SeImpersonateClientEx(&client, NULL));
  SeCaptureSubjectContext(&subject);
  CHECK(subject.ClientToken == client.ClientToken);
  EQ(subject.ImpersonationLevel, SecurityImpersonation);
  CHECK(SeQuerySubjectContextToken(&subject) == subject.ClientToken);
  SeStopImpersonatingClient();
  SeReleaseSubjectContext(&subject);
  SeDeleteClientSecurity(&client);
}

TEST(a_thread_and_a_process_are_captured) {
  SECURITY_SUBJECT_CONTEXT subject;
  people();
  SECURITY_CLIENT_CONTEXT client = client_of(alice);
  OK(SeImpersonateClientEx(&client, NULL));
  SeCaptureSubjectContextEx(NULL, IoThreadToProcess(bob), &subject);
  CHECK(subject.ClientToken == NULL && is_token_of(subject.PrimaryToken, BOB));
  SeReleaseSubjectContext(&subject);
  SeCaptureSubjectContextEx(server, IoThreadToProcess(bob), &subject);
  CHECK(is_token_of(subject.ClientToken, ALICE) && is_token_of(subject.PrimaryToken, BOB));
  SeReleaseSubjectContext(&subject);
  SeStopImpersonatingClient();
  SeDeleteClientSecurity(&client);
}

TEST(nobody_is_captured_into_nothing) {
  people();
  SeCaptureSubjectContext(NULL);
  SeCaptureSubjectContextEx(NULL, PsGetCurrentProcess(), NULL);
  SeReleaseSubjectContext(NULL);
  SeLockSubjectContext(NULL);
  SeUnlockSubjectContext(NULL);
  CHECK(SeQuerySubjectContextToken(NULL) == NULL);
  EQ(reported(VICAR_RULE_NULL_ARGUMENT), 6);
}

TEST(a_process_that_is_none_is_not_captured) {
  SECURITY_SUBJECT_CONTEXT subject;
  people();
  SeCaptureSubjectContextEx(NULL, (PEPROCESS)alice, &subject);
  CHECK(subject.ClientToken == NULL && subject.PrimaryToken == NULL);
  EQ(reported(VICAR_RULE_WRONG_OBJECT_TYPE), 1);
}

TEST(a_locked_subject_is_asked_twice) {
  SECURITY_SUBJECT_CONTEXT subject;
  ACCESS_MASK granted;
  NTSTATUS status;
  people();
  OK(vicar_act_as(alice));
  SeCaptureSubjectContext(&subject);
  SeLockSubjectContext(&subject);
  CHECK(SeAccessCheck(readable_by(ALICE), &subject, TRUE, FILE_READ_DATA, 0, NULL, &file_mapping, UserMode, &granted, &status));
  CHECK(!SeAccessCheck(readable_by(BOB), &subject, TRUE, FILE_READ_DATA, 0, NULL, &file_mapping, UserMode, &granted, &status));
  SeUnlockSubjectContext(&subject);
  SeReleaseSubjectContext(&subject);
}

TEST(a_lock_that_was_not_taken_is_found) {
  SECURITY_SUBJECT_CONTEXT subject;
  people();
  SeCaptureSubjectContext(&subject);
  SeUnlockSubjectContext(&subject);
  EQ(reported(VICAR_RULE_SUBJECT_NOT_LOCKED), 1);
  SeLockSubjectContext(&subject);
  SeReleaseSubjectContext(&subject);
  EQ(reported(VICAR_RULE_SUBJECT_STILL_LOCKED), 1);
  SeUnlockSubjectContext(&subject);
  vicar_findings_clear();
  SeReleaseSubjectContext(&subject);
  vicar_findings_clear();
}

TEST(a_subject_is_released_once_and_not_forgotten) {
  SECURITY_SUBJECT_CONTEXT subject;
  people();
  SeCaptureSubjectContext(&subject);
  SeReleaseSubjectContext(&subject);
  SeReleaseSubjectContext(&subject);
  EQ(reported(VICAR_RULE_SUBJECT_RELEASED_TWICE), 1);
  SeCaptureSubjectContext(&subject);
  CHECK(vicar_verify() >= 1);
  vicar_findings_clear();
  SeReleaseSubjectContext(&subject);
  vicar_findings_clear();
}

/* As file systems do: another token is put into the fields, asked about, and taken out again. */
TEST(the_fields_of_a_subject_are_live) {
  SECURITY_SUBJECT_CONTEXT subject;
  ACCESS_MASK granted = 7;
  NTSTATUS status = 7;
  PACCESS_TOKEN kept, other;
  people();
  SeCaptureSubjectContext(&subject);
  other = PsReferencePrimaryToken(IoThreadToProcess(alice));
  kept = subject.PrimaryToken;
  CHECK(!SeAccessCheck(readable_by(ALICE), &subject, FALSE, FILE_READ_DATA, 0, NULL, &file_mapping, UserMode, &granted, &status));
  STATUS(status, STATUS_ACCESS_DENIED);
  EQ(granted, 0);
  subject.PrimaryToken = other;
  CHECK(SeAccessCheck(readable_by(ALICE), &subject, FALSE, FILE_READ_DATA, 0, NULL, &file_mapping, UserMode, &granted, &status));
  STATUS(status, STATUS_SUCCESS);
  EQ(granted, FILE_READ_DATA);
  subject.PrimaryToken = kept;
  PsDereferencePrimaryToken(other);
  SeReleaseSubjectContext(&subject);
}

TEST(the_kernel_is_granted_what_it_asks_for) {
  SECURITY_SUBJECT_CONTEXT subject;
  ACCESS_MASK granted = 7;
  NTSTATUS status = 7;
  people();
  SeCaptureSubjectContext(&subject);
  CHECK(SeAccessCheck(readable_by(ALICE), &subject, FALSE, FILE_ALL_ACCESS, 0, NULL, &file_mapping, KernelMode, &granted, &status));
  EQ(granted, FILE_ALL_ACCESS);
  CHECK(!SeAccessCheck(readable_by(ALICE), &subject, FALSE, FILE_ALL_ACCESS, 0, NULL, &file_mapping, UserMode, &granted, &status));
  SeReleaseSubjectContext(&subject);
  vicar_findings_clear();
}

TEST(privileges_that_a_check_used_are_told) {
  SECURITY_SUBJECT_CONTEXT subject;
  PPRIVILEGE_SET used = NULL;
  ACCESS_MASK granted;
  NTSTATUS status;
  OK(vicar_act_as(thread_of(ALICE, "SeTakeOwnershipPrivilege")));
  SeCaptureSubjectContext(&subject);
  CHECK(SeAccessCheck(readable_by(BOB), &subject, FALSE, WRITE_OWNER, 0, &used, &file_mapping, UserMode, &granted, &status));
  CHECK(used != NULL);
  if (used != NULL) {
    EQ(used->PrivilegeCount, 1);
    EQ(used->Privilege[0].Luid.LowPart, SE_TAKE_OWNERSHIP_PRIVILEGE);
    SeFreePrivileges(used);
  }
  CHECK(!SeAccessCheck(readable_by(BOB), &subject, FALSE, DELETE, 0, &used, &file_mapping, UserMode, &granted, &status));
  CHECK(used == NULL);
  SeFreePrivileges(NULL);
  vicar_findings_clear();
  SeReleaseSubjectContext(&subject);
}

TEST(a_set_of_privileges_is_freed_once) {
  SECURITY_SUBJECT_CONTEXT subject;
  PPRIVILEGE_SET used = NULL;
  ACCESS_MASK granted;
  NTSTATUS status;
  OK(vicar_act_as(thread_of(ALICE, "SeTakeOwnershipPrivilege")));
  SeCaptureSubjectContext(&subject);
  CHECK(SeAccessCheck(readable_by(BOB), &subject, FALSE, WRITE_OWNER, 0, &used, &file_mapping, UserMode, &granted, &status));
  SeFreePrivileges(used);
  SeFreePrivileges(used);
  EQ(reported(VICAR_RULE_POOL_NOT_ALLOCATED), 1);
  SeReleaseSubjectContext(&subject);
}

TEST(a_check_that_cannot_be_made_grants_nothing) {
  SECURITY_SUBJECT_CONTEXT subject;
  SECURITY_DESCRIPTOR wrong;
  ACCESS_MASK granted = 7;
  NTSTATUS status = 0;
  OK(RtlCreateSecurityDescriptor(&wrong, 1));
  wrong.Revision = 9;
  people();
  SeCaptureSubjectContext(&subject);
  CHECK(!SeAccessCheck(&wrong, &subject, FALSE, FILE_READ_DATA, 0, NULL, &file_mapping, UserMode, &granted, &status));
  EQ(granted, 0);
  CHECK(!NT_SUCCESS(status));
  granted = 7, status = 0;
  CHECK(!SeAccessCheck(readable_by(ALICE), NULL, FALSE, FILE_READ_DATA, 0, NULL, &file_mapping, UserMode, &granted, &status));
  CHECK(granted == 0 && !NT_SUCCESS(status));
  granted = 7, status = 0;
  CHECK(!SeAccessCheck(NULL, &subject, FALSE, FILE_READ_DATA, 0, NULL, &file_mapping, UserMode, &granted, &status));
  CHECK(granted == 0 && !NT_SUCCESS(status));
  granted = 7, status = 0;
  CHECK(!SeAccessCheck(readable_by(ALICE), &subject, FALSE, GENERIC_READ, 0, NULL, &file_mapping, UserMode, &granted, &status));
  STATUS(status, STATUS_ACCESS_DENIED);
  EQ(granted, 0);
  vicar_findings_clear();
  SeReleaseSubjectContext(&subject);
}

TEST(two_tokens_are_checked_without_a_context) {
  ACCESS_MASK granted = 7;
  NTSTATUS status = 7;
  people();
  SECURITY_CLIENT_CONTEXT client = client_of(alice);
  PACCESS_TOKEN primary = PsReferencePrimaryToken(PsGetCurrentProcess());
  CHECK(SeAccessCheckFromStateEx(readable_by(ALICE), primary, client.ClientToken, FILE_READ_DATA, 0, NULL, &file_mapping, UserMode, &granted, &status));
  EQ(granted, FILE_READ_DATA);
  CHECK(!SeAccessCheckFromStateEx(readable_by(ALICE), primary, NULL, FILE_READ_DATA, 0, NULL, &file_mapping, UserMode, &granted, &status));
  STATUS(status, STATUS_ACCESS_DENIED);
  EQ(granted, 0);
  PsDereferencePrimaryToken(primary);
  SeDeleteClientSecurity(&client);
}

TEST(no_token_is_granted_nothing) {
  ACCESS_MASK granted = 7;
  NTSTATUS status = 0;
  people();
  CHECK(!SeAccessCheckFromStateEx(readable_by(ALICE), NULL, NULL, FILE_READ_DATA, 0, NULL, &file_mapping, UserMode, &granted, &status));
  CHECK(granted == 0 && !NT_SUCCESS(status));
  granted = 7, status = 0;
  CHECK(!SeAccessCheckFromState(readable_by(ALICE), NULL, NULL, FILE_READ_DATA, 0, NULL, &file_mapping, UserMode, &granted, &status));
  CHECK(granted == 0 && !NT_SUCCESS(status));
  vicar_findings_clear();
}

TEST(what_a_token_says_of_itself_is_enough_for_a_check) {
  ACCESS_MASK granted = 7;
  NTSTATUS status = 7;
  PVOID information = NULL;
  people();
  PACCESS_TOKEN token = PsReferencePrimaryToken(IoThreadToProcess(alice));
  OK(SeQueryInformationToken(token, TokenAccessInformation, &information));
  CHECK(SeAccessCheckFromState(readable_by(ALICE), (PTOKEN_ACCESS_INFORMATION)information, NULL, FILE_READ_DATA, 0, NULL, &file_mapping, UserMode, &granted, &status));
  EQ(granted, FILE_READ_DATA);
  CHECK(!SeAccessCheckFromState(readable_by(BOB), (PTOKEN_ACCESS_INFORMATION)information, NULL, FILE_READ_DATA, 0, NULL, &file_mapping, UserMode, &granted, &status));
  STATUS(status, STATUS_ACCESS_DENIED);
  ExFreePool(information);
  PsDereferencePrimaryToken(token);
}

static struct {
  ULONG count, control;
  LUID_AND_ATTRIBUTES entry[4];
} wanted;
static PPRIVILEGE_SET privileges(ULONG control, ULONG one, ULONG other) {
  memset(&wanted, 0, sizeof wanted);
  wanted.count = other == 0 ? 1 : 2;
  wanted.control = control;
  wanted.entry[0].Luid.LowPart = one;
  wanted.entry[1].Luid.LowPart = other;
  return (PPRIVILEGE_SET)&wanted;
}

TEST(privileges_in_force_are_marked) {
  SECURITY_SUBJECT_CONTEXT subject;
  OK(vicar_act_as(thread_of(ALICE, "SeBackupPrivilege SeRestorePrivilege:disabled")));
  SeCaptureSubjectContext(&subject);
  CHECK(SePrivilegeCheck(privileges(PRIVILEGE_SET_ALL_NECESSARY, SE_BACKUP_PRIVILEGE, 0), &subject, UserMode));
  EQ(wanted.entry[0].Attributes & SE_PRIVILEGE_USED_FOR_ACCESS, SE_PRIVILEGE_USED_FOR_ACCESS);
  CHECK(SePrivilegeCheck(privileges(0, SE_RESTORE_PRIVILEGE, SE_BACKUP_PRIVILEGE), &subject, UserMode));
  EQ(wanted.entry[0].Attributes & SE_PRIVILEGE_USED_FOR_ACCESS, 0);
  CHECK(SeSinglePrivilegeCheck(RtlConvertUlongToLuid(SE_BACKUP_PRIVILEGE), UserMode));
  CHECK(SeSinglePrivilegeCheck(SeExports->SeBackupPrivilege, UserMode));
  CHECK(SeSinglePrivilegeCheck(RtlConvertUlongToLuid(SE_TCB_PRIVILEGE), KernelMode));
  SeReleaseSubjectContext(&subject);
  vicar_findings_clear();
}

TEST(privileges_not_in_force_are_not_held) {
  SECURITY_SUBJECT_CONTEXT subject;
  OK(vicar_act_as(thread_of(ALICE, "SeBackupPrivilege SeRestorePrivilege:disabled")));
  SeCaptureSubjectContext(&subject);
  CHECK(!SePrivilegeCheck(privileges(PRIVILEGE_SET_ALL_NECESSARY, SE_BACKUP_PRIVILEGE, SE_RESTORE_PRIVILEGE), &subject, UserMode));
  CHECK(!SePrivilegeCheck(privileges(0, SE_TCB_PRIVILEGE, 0), &subject, UserMode));
  CHECK(!SePrivilegeCheck(NULL, &subject, UserMode));
  CHECK(!SePrivilegeCheck(privileges(0, SE_BACKUP_PRIVILEGE, 0), NULL, UserMode));
  CHECK(!SeSinglePrivilegeCheck(RtlConvertUlongToLuid(SE_RESTORE_PRIVILEGE), UserMode));
  SeReleaseSubjectContext(&subject);
  vicar_findings_clear();
}

TEST(a_client_that_is_only_identified_holds_no_privilege) {
  SECURITY_QUALITY_OF_SERVICE qos = quality(SecurityIdentification, SECURITY_STATIC_TRACKING);
  SECURITY_CLIENT_CONTEXT client;
  people();
  OK(SeCreateClientSecurity(thread_of(BOB, "SeBackupPrivilege"), &qos, FALSE, &client));
  OK(SeImpersonateClientEx(&client, NULL));
  CHECK(!SeSinglePrivilegeCheck(RtlConvertUlongToLuid(SE_BACKUP_PRIVILEGE), UserMode));
  CHECK(!SeSinglePrivilegeCheck(RtlConvertUlongToLuid(SE_IMPERSONATE_PRIVILEGE), UserMode));
  SeStopImpersonatingClient();
  SeDeleteClientSecurity(&client);
}

TEST(an_access_state_carries_an_open) {
  ACCESS_STATE state;
  AUX_ACCESS_DATA aux;
  people();
  OK(vicar_act_as(alice));
  ULONG64 before = vicar_pool_bytes();
  OK(SeCreateAccessState(&state, &aux, GENERIC_READ, &file_mapping));
  EQ(state.OriginalDesiredAccess, FILE_GENERIC_READ);
  EQ(state.RemainingDesiredAccess, FILE_GENERIC_READ);
  EQ(state.PreviouslyGrantedAccess, 0);
  CHECK(state.AuxData == &aux && is_token_of(state.SubjectSecurityContext.PrimaryToken, ALICE));
  SeSetAccessStateGenericMapping(&state, &file_mapping);
  OK(SeAppendPrivileges(&state, privileges(0, SE_BACKUP_PRIVILEGE, SE_RESTORE_PRIVILEGE)));
  EQ(state.Privileges.InitialPrivilegeSet.PrivilegeCount, 2);
  EQ(state.PrivilegesAllocated, FALSE);
  OK(SeAppendPrivileges(&state, privileges(0, SE_SECURITY_PRIVILEGE, SE_DEBUG_PRIVILEGE)));
  EQ(state.PrivilegesAllocated, TRUE);
  SeDeleteAccessState(&state);
  EQ(vicar_pool_bytes(), before);
}

TEST(an_access_state_is_not_made_of_nothing) {
  ACCESS_STATE state;
  AUX_ACCESS_DATA aux;
  people();
  STATUS(SeCreateAccessState(NULL, &aux, FILE_READ_DATA, NULL), STATUS_INVALID_PARAMETER);
  STATUS(SeCreateAccessState(&state, NULL, FILE_READ_DATA, NULL), STATUS_INVALID_PARAMETER);
  SeDeleteAccessState(NULL);
  SeSetAccessStateGenericMapping(NULL, &file_mapping);
  EQ(reported(VICAR_RULE_NULL_ARGUMENT), 4);
  OK(SeCreateAccessState(&state, &aux, FILE_READ_DATA, NULL));
  STATUS(SeAppendPrivileges(&state, NULL), STATUS_INVALID_PARAMETER);
  EQ(reported(VICAR_RULE_NULL_ARGUMENT), 1);
  OK(SeAppendPrivileges(&state, privileges(0, SE_BACKUP_PRIVILEGE, SE_RESTORE_PRIVILEGE)));
  vicar_fail_allocation(1, 0);
  STATUS(SeAppendPrivileges(&state, privileges(0, SE_SECURITY_PRIVILEGE, SE_DEBUG_PRIVILEGE)), STATUS_INSUFFICIENT_RESOURCES);
  EQ(state.Privileges.InitialPrivilegeSet.PrivilegeCount, 2);
  SeDeleteAccessState(&state);
}
