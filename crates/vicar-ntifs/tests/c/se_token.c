/* Tokens: what they are, made less, asked; logon sessions. */
#include "people.h"

static PACCESS_TOKEN token_of(VICAR_PERSON person) {
  PACCESS_TOKEN token = NULL;
  OK(vicar_token_create(&person, &token));
  return token;
}

TEST(a_token_says_what_it_is) {
  VICAR_PERSON person = VICAR_PERSON_OF(ALICE);
  LUID logon = { 0, 0 };
  ULONG session = 0;
  person.Session = 3;
  PACCESS_TOKEN token = token_of(person);
  EQ(SeTokenType(token), TokenPrimary);
  EQ(SeTokenImpersonationLevel(token), SecurityAnonymous);
  CHECK(!SeTokenIsAdmin(token) && !SeTokenIsRestricted(token) && !SeTokenIsWriteRestricted(token));
  OK(SeQueryAuthenticationIdToken(token, &logon));
  CHECK(!RtlIsZeroLuid(&logon));
  OK(SeQuerySessionIdToken(token, &session));
  EQ(session, 3);
  ObDereferenceObject(token);
  person.Level = SecurityIdentification;
  person.Groups = "WD BA:primary";
  person.Restricted = ALICE;
  person.Flags = VICAR_PERSON_WRITE_RESTRICTED;
  token = token_of(person);
  EQ(SeTokenType(token), TokenImpersonation);
  EQ(SeTokenImpersonationLevel(token), SecurityIdentification);
  CHECK(SeTokenIsAdmin(token) && SeTokenIsRestricted(token) && SeTokenIsWriteRestricted(token));
  ObDereferenceObject(token);
}

TEST(an_administrator_for_denials_only_is_none) {
  VICAR_PERSON person = VICAR_PERSON_OF(ALICE);
  person.Groups = "WD BU:primary BA:deny";
  PACCESS_TOKEN token = token_of(person);
  CHECK(!SeTokenIsAdmin(token));
  ObDereferenceObject(token);
}

TEST(what_is_no_token_is_nothing) {
  LUID logon = { 7, 7 };
  ULONG session = 7;
  people();
  EQ(SeTokenType((PACCESS_TOKEN)alice), 0);
  EQ(SeTokenImpersonationLevel((PACCESS_TOKEN)alice), SecurityAnonymous);
  CHECK(!SeTokenIsAdmin((PACCESS_TOKEN)alice));
  CHECK(!SeTokenIsRestricted((PACCESS_TOKEN)alice));
  CHECK(!SeTokenIsWriteRestricted((PACCESS_TOKEN)alice));
  STATUS(SeQueryAuthenticationIdToken((PACCESS_TOKEN)alice, &logon), STATUS_INVALID_PARAMETER);
  STATUS(SeQuerySessionIdToken((PACCESS_TOKEN)alice, &session), STATUS_INVALID_PARAMETER);
  EQ(reported(VICAR_RULE_WRONG_OBJECT_TYPE), 7);
}

TEST(a_filtered_token_can_do_less) {
  VICAR_PERSON person = VICAR_PERSON_OF(ALICE);
  TOKEN_GROUPS everyone = { 1, { { sid("S-1-5-32-545"), 0 } } }, restricting = { 1, { { sid("S-1-1-0"), 0 } } };
  TOKEN_PRIVILEGES shutdown;
  PACCESS_TOKEN filtered = NULL;
  person.Privileges = "SeBackupPrivilege SeChangeNotifyPrivilege";
  PACCESS_TOKEN token = token_of(person);
  shutdown.PrivilegeCount = 1;
  shutdown.Privileges[0].Luid = RtlConvertUlongToLuid(SE_BACKUP_PRIVILEGE);
  shutdown.Privileges[0].Attributes = 0;
  OK(SeFilterToken(token, 0, &everyone, &shutdown, &restricting, &filtered));
  CHECK(SeTokenIsRestricted(filtered) && !SeTokenIsRestricted(token));
  CHECK(is_token_of(filtered, ALICE));
  PVOID information = NULL;
  OK(SeQueryInformationToken(filtered, TokenPrivileges, &information));
  EQ(((PTOKEN_PRIVILEGES)information)->PrivilegeCount, 1);
  EQ(((PTOKEN_PRIVILEGES)information)->Privileges[0].Luid.LowPart, SE_CHANGE_NOTIFY_PRIVILEGE);
  ExFreePool(information);
  OK(SeQueryInformationToken(filtered, TokenGroups, &information));
  PTOKEN_GROUPS groups = (PTOKEN_GROUPS)information;
  unsigned found = 0;
  for (ULONG index = 0; index < groups->GroupCount; index++)
    if (RtlEqualSid(groups->Groups[index].Sid, sid("S-1-5-32-545")) && (groups->Groups[index].Attributes & SE_GROUP_USE_FOR_DENY_ONLY)) found++;
  EQ(found, 1);
  ExFreePool(information);
  ObDereferenceObject(filtered);
  ObDereferenceObject(token);
}

TEST(a_token_is_not_filtered_by_wrong_lists) {
  TOKEN_GROUPS restricting = { 1, { { sid("S-1-1-0"), SE_GROUP_ENABLED } } };
  PACCESS_TOKEN filtered = &restricting;
  VICAR_PERSON person = VICAR_PERSON_OF(ALICE);
  PACCESS_TOKEN token = token_of(person);
  STATUS(SeFilterToken(token, 0, NULL, NULL, &restricting, &filtered), STATUS_INVALID_PARAMETER);
  CHECK(filtered == NULL);
  STATUS(SeFilterToken(token, 0x100, NULL, NULL, NULL, &filtered), STATUS_INVALID_PARAMETER);
  STATUS(SeFilterToken(token, 0, NULL, NULL, NULL, NULL), STATUS_INVALID_PARAMETER);
  STATUS(SeFilterToken(NULL, 0, NULL, NULL, NULL, &filtered), STATUS_INVALID_PARAMETER);
  vicar_findings_clear();
  vicar_fail_allocation(1, 0);
  STATUS(SeFilterToken(token, 0, NULL, NULL, NULL, &filtered), STATUS_INSUFFICIENT_RESOURCES);
  CHECK(filtered == NULL);
  ObDereferenceObject(token);
}

TEST(a_token_answers_questions) {
  VICAR_PERSON person = VICAR_PERSON_OF(ALICE);
  PVOID information = NULL;
  person.Level = SecurityImpersonation;
  PACCESS_TOKEN token = token_of(person);
  OK(SeQueryInformationToken(token, TokenUser, &information));
  CHECK(RtlEqualSid(((PTOKEN_USER)information)->User.Sid, sid(ALICE)));
  ExFreePool(information);
  OK(SeQueryInformationToken(token, TokenStatistics, &information));
  PTOKEN_STATISTICS statistics = (PTOKEN_STATISTICS)information;
  EQ(statistics->TokenType, TokenImpersonation);
  EQ(statistics->ImpersonationLevel, SecurityImpersonation);
  EQ(statistics->PrivilegeCount, 2);
  ExFreePool(information);
  OK(SeQueryInformationToken(token, TokenSource, &information));
  SAME(((PTOKEN_SOURCE)information)->SourceName, "vicartst", 8);
  ExFreePool(information);
  OK(SeQueryInformationToken(token, TokenPrimaryGroup, &information));
  CHECK(RtlEqualSid(((PTOKEN_PRIMARY_GROUP)information)->PrimaryGroup, sid("S-1-5-32-545")));
  ExFreePool(information);
  information = NULL;
  OK(SeQueryInformationToken(token, TokenIntegrityLevel, &information));
  EQ((ULONG)(ULONG_PTR)information, SECURITY_MANDATORY_MEDIUM_RID);
  ObDereferenceObject(token);
}

TEST(a_token_does_not_answer_what_it_does_not_know) {
  VICAR_PERSON person = VICAR_PERSON_OF(ALICE);
  PVOID information = NULL;
  PACCESS_TOKEN token = token_of(person);
  STATUS(SeQueryInformationToken(token, TokenImpersonationLevel, &information), STATUS_INVALID_INFO_CLASS);
  STATUS(SeQueryInformationToken(token, (TOKEN_INFORMATION_CLASS)999, &information), STATUS_INVALID_INFO_CLASS);
  STATUS(SeQueryInformationToken(token, TokenUser, NULL), STATUS_INVALID_PARAMETER);
  STATUS(SeQueryInformationToken(NULL, TokenUser, &information), STATUS_INVALID_PARAMETER);
  vicar_findings_clear();
  vicar_fail_allocation(1, 0);
  STATUS(SeQueryInformationToken(token, TokenUser, &information), STATUS_INSUFFICIENT_RESOURCES);
  ObDereferenceObject(token);
}

static int ended;
static LUID ended_session;
static NTSTATUS NTAPI notice(PLUID session) {
  ended++;
  ended_session = *session;
  return STATUS_SUCCESS;
}

TEST(the_end_of_a_marked_logon_session_is_told) {
  VICAR_PERSON person = VICAR_PERSON_OF(ALICE);
  LUID session;
  ended = 0;
  PACCESS_TOKEN token = token_of(person);
  OK(SeQueryAuthenticationIdToken(token, &session));
  OK(SeRegisterLogonSessionTerminatedRoutine(notice));
  OK(SeMarkLogonSessionForTerminationNotification(&session));
  EQ(ended, 0);
  ObDereferenceObject(token);
  vicar_settle();
  EQ(ended, 1);
  CHECK(RtlEqualLuid(&ended_session, &session));
  OK(SeUnregisterLogonSessionTerminatedRoutine(notice));
  token = token_of(person);
  OK(SeQueryAuthenticationIdToken(token, &session));
  OK(SeMarkLogonSessionForTerminationNotification(&session));
  ObDereferenceObject(token);
  EQ(ended, 1);
}

TEST(a_session_that_is_none_is_not_marked) {
  LUID nobody = { 0x12345, 0x7 };
  STATUS(SeMarkLogonSessionForTerminationNotification(&nobody), STATUS_NOT_FOUND);
  STATUS(SeMarkLogonSessionForTerminationNotification(NULL), STATUS_INVALID_PARAMETER);
  STATUS(SeRegisterLogonSessionTerminatedRoutine(NULL), STATUS_INVALID_PARAMETER);
  STATUS(SeUnregisterLogonSessionTerminatedRoutine(NULL), STATUS_INVALID_PARAMETER);
  STATUS(SeUnregisterLogonSessionTerminatedRoutine(notice), STATUS_NOT_FOUND);
  vicar_findings_clear();
}

TEST(the_systems_names_are_exported) {
  CHECK(RtlEqualSid(SeExports->SeNullSid, sid("S-1-0-0")));
  CHECK(RtlEqualSid(SeExports->SeWorldSid, sid("S-1-1-0")));
  CHECK(RtlEqualSid(SeExports->SeCreatorOwnerSid, sid("S-1-3-0")));
  CHECK(RtlEqualSid(SeExports->SeOwnerRightsSid, sid("S-1-3-4")));
  CHECK(RtlEqualSid(SeExports->SeLocalSystemSid, sid("S-1-5-18")));
  CHECK(RtlEqualSid(SeExports->SeAnonymousLogonSid, sid("S-1-5-7")));
  CHECK(RtlEqualSid(SeExports->SeAuthenticatedUsersSid, sid("S-1-5-11")));
  CHECK(RtlEqualSid(SeExports->SeAliasAdminsSid, sid("S-1-5-32-544")));
  CHECK(RtlEqualSid(SeExports->SeAliasGuestsSid, sid("S-1-5-32-546")));
  CHECK(RtlEqualSid(SeExports->SeLowMandatorySid, sid("S-1-16-4096")));
  CHECK(RtlEqualSid(SeExports->SeSystemMandatorySid, sid("S-1-16-16384")));
  EQ(SeExports->SeCreateTokenPrivilege.LowPart, SE_CREATE_TOKEN_PRIVILEGE);
  EQ(SeExports->SeCreatePagefilePrivilege.LowPart, SE_CREATE_PAGEFILE_PRIVILEGE);
  EQ(SeExports->SeSystemProfilePrivilege.LowPart, SE_SYSTEM_PROFILE_PRIVILEGE);
  EQ(SeExports->SeImpersonatePrivilege.LowPart, SE_IMPERSONATE_PRIVILEGE);
  EQ(SeExports->SeCreateSymbolicLinkPrivilege.LowPart, SE_CREATE_SYMBOLIC_LINK_PRIVILEGE);
  CHECK(*SeTokenObjectType != NULL && *PsThreadType != NULL && *PsProcessType != NULL);
  CHECK(*SeTokenObjectType != *PsThreadType && *PsThreadType != *PsProcessType && *SeTokenObjectType != *PsProcessType);
}
