/* The Nt and Zw routines on tokens by handle: opened, adjusted, set, filtered, compared, checked, assigned. */
#include "people.h"

static HANDLE handle_to(PACCESS_TOKEN token, ACCESS_MASK access) {
  HANDLE handle = NULL;
  OK(ObOpenObjectByPointer(token, 0, NULL, access, *SeTokenObjectType, KernelMode, &handle));
  return handle;
}

/* A handle of the process that acts to a token of a person's. */
static HANDLE handle_of(const VICAR_PERSON *person, ACCESS_MASK access) {
  PACCESS_TOKEN token = NULL;
  OK(vicar_token_create(person, &token));
  HANDLE handle = handle_to(token, access);
  ObDereferenceObject(token);
  return handle;
}

static HANDLE alice_at(LONG level, ACCESS_MASK access) {
  VICAR_PERSON person = VICAR_PERSON_OF(ALICE);
  person.Level = level;
  return handle_of(&person, access);
}

/* A person with groups that can be disabled, one that denies only, and some privileges. */
static HANDLE rich(LONG level, ACCESS_MASK access) {
  VICAR_PERSON person = VICAR_PERSON_OF(ALICE);
  person.Groups = "WD BU:primary S-1-5-32-551:optional BA:deny";
  person.Privileges = "SeChangeNotifyPrivilege SeShutdownPrivilege:disabled SeUndockPrivilege:disabled";
  person.Level = level;
  return handle_of(&person, access);
}

static LUID modified(HANDLE token) {
  TOKEN_STATISTICS statistics;
  ULONG length;
  OK(ZwQueryInformationToken(token, TokenStatistics, &statistics, sizeof statistics, &length));
  return statistics.ModifiedId;
}

static ULONG privilege_state(HANDLE token, ULONG which) {
  ULONG buffer[64], length;
  PTOKEN_PRIVILEGES held = (PTOKEN_PRIVILEGES)(void *)buffer;
  OK(ZwQueryInformationToken(token, TokenPrivileges, buffer, sizeof buffer, &length));
  for (ULONG index = 0; index < held->PrivilegeCount; index++)
    if (held->Privileges[index].Luid.LowPart == which) return held->Privileges[index].Attributes;
  return 0xEEEEEEEE;
}

static ULONG group_state(HANDLE token, const char *which) {
  ULONG64 buffer[128];
  ULONG length;
  PTOKEN_GROUPS held = (PTOKEN_GROUPS)(void *)buffer;
  OK(ZwQueryInformationToken(token, TokenGroups, buffer, sizeof buffer, &length));
  for (ULONG index = 0; index < held->GroupCount; index++)
    if (RtlEqualSid(held->Groups[index].Sid, sid(which))) return held->Groups[index].Attributes;
  return 0xEEEEEEEE;
}

/* Two privileges with what is to be done with them. */
static PTOKEN_PRIVILEGES two(ULONG first, ULONG with_first, ULONG second, ULONG with_second) {
  static ULONG list[7];
  ULONG made[7] = { 2, first, 0, with_first, second, 0, with_second };
  memcpy(list, made, sizeof list);
  return (PTOKEN_PRIVILEGES)(void *)list;
}

static PTOKEN_GROUPS one_group(const char *which, ULONG attributes) {
  static TOKEN_GROUPS list;
  list.GroupCount = 1;
  list.Groups[0].Sid = sid(which);
  list.Groups[0].Attributes = attributes;
  return &list;
}

TEST(a_token_is_opened_without_attributes) {
  HANDLE handle = NULL;
  /* The system's own process may have handles of its own. */
  OK(ZwOpenProcessToken(ZwCurrentProcess(), TOKEN_QUERY, &handle));
  OK(ZwClose(handle));
  people();
  SECURITY_CLIENT_CONTEXT client = client_of(alice);
  OK(vicar_act_as(NULL));
  OK(SeImpersonateClientEx(&client, NULL));
  OK(ZwOpenThreadToken(ZwCurrentThread(), TOKEN_QUERY, TRUE, &handle));
  OK(ZwClose(handle));
  SeStopImpersonatingClient();
  OK(vicar_act_as(alice));
  vicar_set_previous_mode(UserMode);
  OK(NtOpenProcessToken(NtCurrentProcess(), TOKEN_QUERY | TOKEN_DUPLICATE, &handle));
  OK(NtClose(handle));
  OK(vicar_act_as(server));
  OK(SeImpersonateClientEx(&client, NULL));
  vicar_set_previous_mode(UserMode);
  OK(NtOpenThreadToken(NtCurrentThread(), TOKEN_QUERY, TRUE, &handle));
  OK(NtClose(handle));
  vicar_set_previous_mode(KernelMode);
  SeStopImpersonatingClient();
  SeDeleteClientSecurity(&client);
}

TEST(no_token_is_opened_without_attributes_for_the_kernel_in_a_users_process) {
  HANDLE handle = (HANDLE)1, odd[2] = { NULL, NULL };
  people();
  STATUS(ZwOpenProcessToken(ZwCurrentProcess(), TOKEN_QUERY, &handle), STATUS_INVALID_PARAMETER);
  CHECK(handle == NULL);
  handle = (HANDLE)1;
  STATUS(ZwOpenThreadToken(ZwCurrentThread(), TOKEN_QUERY, TRUE, &handle), STATUS_INVALID_PARAMETER);
  CHECK(handle == NULL);
  vicar_set_previous_mode(UserMode);
  STATUS(NtOpenThreadToken(NtCurrentThread(), TOKEN_QUERY, TRUE, &handle), STATUS_NO_TOKEN);
  STATUS(NtOpenThreadToken(NtCurrentProcess(), TOKEN_QUERY, TRUE, &handle), STATUS_OBJECT_TYPE_MISMATCH);
  STATUS(NtOpenThreadToken(NtCurrentThread(), TOKEN_QUERY, TRUE, NULL), STATUS_ACCESS_VIOLATION);
  STATUS(NtOpenProcessToken((HANDLE)0x7770, TOKEN_QUERY, &handle), STATUS_INVALID_HANDLE);
  STATUS(NtOpenProcessToken(NtCurrentProcess(), TOKEN_QUERY, (PHANDLE)(void *)((char *)odd + 1)), STATUS_DATATYPE_MISALIGNMENT);
  vicar_set_previous_mode(KernelMode);
  vicar_findings_clear();
}

TEST(a_thread_whose_token_cannot_be_named_keeps_it) {
  HANDLE handle = (HANDLE)1;
  people();
  SECURITY_CLIENT_CONTEXT client = client_of(alice);
  OK(SeImpersonateClientEx(&client, NULL));
  BOOLEAN copy, only;
  SECURITY_IMPERSONATION_LEVEL level;
  PACCESS_TOKEN before = PsReferenceImpersonationToken(PsGetCurrentThread(), &copy, &only, &level);
  for (ULONG nth = 1; nth <= 2; nth++) {
    vicar_fail_allocation(nth, 0);
    STATUS(ZwOpenThreadTokenEx(ZwCurrentThread(), TOKEN_QUERY, TRUE, OBJ_KERNEL_HANDLE, &handle), STATUS_INSUFFICIENT_RESOURCES);
    CHECK(handle == NULL);
    PACCESS_TOKEN after = PsReferenceImpersonationToken(PsGetCurrentThread(), &copy, &only, &level);
    CHECK(after == before && copy);
    PsDereferenceImpersonationToken(after);
  }
  vicar_fail_allocation(0, 0);
  PsDereferenceImpersonationToken(before);
  SeStopImpersonatingClient();
  SeDeleteClientSecurity(&client);
}

TEST(privileges_are_adjusted) {
  ULONG buffer[16], length = 0xEEEEEEEE;
  PTOKEN_PRIVILEGES before = (PTOKEN_PRIVILEGES)(void *)buffer;
  people();
  HANDLE token = rich(-1, TOKEN_ALL_ACCESS);
  LUID first = modified(token);
  OK(ZwAdjustPrivilegesToken(token, FALSE, two(SE_SHUTDOWN_PRIVILEGE, SE_PRIVILEGE_ENABLED, SE_CHANGE_NOTIFY_PRIVILEGE, SE_PRIVILEGE_ENABLED),
                             sizeof buffer, before, &length));
  EQ(length, 4 + 12);
  EQ(before->PrivilegeCount, 1);
  EQ(before->Privileges[0].Luid.LowPart, SE_SHUTDOWN_PRIVILEGE);
  EQ(before->Privileges[0].Attributes, 0);
  EQ(privilege_state(token, SE_SHUTDOWN_PRIVILEGE), SE_PRIVILEGE_ENABLED);
  LUID second = modified(token);
  CHECK(!RtlEqualLuid(&first, &second));
  /* What is so already changes nothing, and the state before may be put where the wishes were. */
  memcpy(buffer, two(SE_SHUTDOWN_PRIVILEGE, SE_PRIVILEGE_ENABLED, SE_CHANGE_NOTIFY_PRIVILEGE, SE_PRIVILEGE_ENABLED), 28);
  OK(NtAdjustPrivilegesToken(token, FALSE, before, sizeof buffer, before, &length));
  EQ(length, 4);
  EQ(before->PrivilegeCount, 0);
  first = modified(token);
  CHECK(RtlEqualLuid(&first, &second));
  OK(NtAdjustPrivilegesToken(token, TRUE, NULL, sizeof buffer, before, &length));
  EQ(length, 4 + 2 * 12);
  EQ(privilege_state(token, SE_CHANGE_NOTIFY_PRIVILEGE), SE_PRIVILEGE_ENABLED_BY_DEFAULT);
  /* Removing beats enabling, and is for good; others are missing, and the rest is done all the same. */
  STATUS(ZwAdjustPrivilegesToken(token, FALSE, two(SE_SHUTDOWN_PRIVILEGE, SE_PRIVILEGE_ENABLED | SE_PRIVILEGE_REMOVED, SE_TCB_PRIVILEGE, SE_PRIVILEGE_ENABLED),
                                 0, NULL, NULL), STATUS_NOT_ALL_ASSIGNED);
  EQ(privilege_state(token, SE_SHUTDOWN_PRIVILEGE), 0xEEEEEEEE);
  /* Without a place for it the length is told. */
  OK(ZwAdjustPrivilegesToken(token, FALSE, two(SE_UNDOCK_PRIVILEGE, SE_PRIVILEGE_ENABLED, SE_CHANGE_NOTIFY_PRIVILEGE, 0), 0, NULL, &length));
  EQ(length, 4 + 12);
  OK(NtClose(token));
}

TEST(privileges_are_not_adjusted_when_anything_is_wrong) {
  ULONG buffer[8] = { 7, 7 }, length = 0xEEEEEEEE;
  PTOKEN_PRIVILEGES before = (PTOKEN_PRIVILEGES)(void *)buffer;
  PTOKEN_PRIVILEGES list;
  people();
  HANDLE token = rich(-1, TOKEN_ALL_ACCESS), weak = rich(-1, TOKEN_QUERY), blind = rich(-1, TOKEN_ADJUST_PRIVILEGES);
  LUID first = modified(token);
  list = two(SE_SHUTDOWN_PRIVILEGE, SE_PRIVILEGE_ENABLED, SE_UNDOCK_PRIVILEGE, SE_PRIVILEGE_ENABLED);
  STATUS(ZwAdjustPrivilegesToken(token, FALSE, NULL, 0, NULL, &length), STATUS_INVALID_PARAMETER);
  EQ(length, 0);
  STATUS(ZwAdjustPrivilegesToken(token, FALSE, list, 4 + 2 * 12 - 1, before, &length), STATUS_BUFFER_TOO_SMALL);
  EQ(length, 4 + 2 * 12);
  STATUS(NtAdjustPrivilegesToken(token, FALSE, list, 0, before, &length), STATUS_BUFFER_TOO_SMALL);
  EQ(length, 4 + 2 * 12);
  EQ(buffer[0], 7);
  STATUS(NtAdjustPrivilegesToken(token, FALSE, list, sizeof buffer, before, NULL), STATUS_ACCESS_VIOLATION);
  vicar_findings_clear();
  length = 0xEEEEEEEE;
  STATUS(NtAdjustPrivilegesToken((HANDLE)0x7770, FALSE, list, 0, NULL, &length), STATUS_INVALID_HANDLE);
  EQ(length, 0);
  list->PrivilegeCount = 0x7FFFFFFF;
  STATUS(NtAdjustPrivilegesToken(token, FALSE, list, 0, NULL, NULL), STATUS_INVALID_PARAMETER);
  list->PrivilegeCount = 2;
  vicar_set_previous_mode(UserMode);
  STATUS(NtAdjustPrivilegesToken(token, FALSE, (PTOKEN_PRIVILEGES)(void *)((char *)buffer + 1), 0, NULL, NULL), STATUS_DATATYPE_MISALIGNMENT);
  STATUS(NtAdjustPrivilegesToken(weak, FALSE, list, 0, NULL, NULL), STATUS_ACCESS_DENIED);
  STATUS(NtAdjustPrivilegesToken(blind, FALSE, list, sizeof buffer, before, &length), STATUS_ACCESS_DENIED);
  STATUS(NtAdjustPrivilegesToken(NtCurrentThread(), FALSE, list, 0, NULL, NULL), STATUS_OBJECT_TYPE_MISMATCH);
  OK(NtAdjustPrivilegesToken(blind, FALSE, list, 0, NULL, NULL));
  vicar_set_previous_mode(KernelMode);
  vicar_findings_clear();
  LUID second = modified(token);
  CHECK(RtlEqualLuid(&first, &second));
  OK(NtClose(token));
  OK(NtClose(weak));
  OK(NtClose(blind));
}

TEST(groups_are_adjusted) {
  ULONG64 buffer[16];
  ULONG length = 0;
  PTOKEN_GROUPS before = (PTOKEN_GROUPS)(void *)buffer;
  people();
  HANDLE token = rich(-1, TOKEN_ALL_ACCESS);
  OK(ZwAdjustGroupsToken(token, FALSE, one_group("S-1-5-32-551", 0), sizeof buffer, before, &length));
  EQ(length, 8 + 16 + 16);
  EQ(before->GroupCount, 1);
  CHECK(RtlEqualSid(before->Groups[0].Sid, sid("S-1-5-32-551")));
  CHECK((UCHAR *)before->Groups[0].Sid == (UCHAR *)buffer + 24);
  CHECK(before->Groups[0].Attributes & SE_GROUP_ENABLED);
  CHECK(!(group_state(token, "S-1-5-32-551") & SE_GROUP_ENABLED));
  OK(NtAdjustGroupsToken(token, TRUE, NULL, 0, NULL, NULL));
  CHECK(group_state(token, "S-1-5-32-551") & SE_GROUP_ENABLED);
  STATUS(NtAdjustGroupsToken(token, FALSE, one_group("S-1-5-32-546", SE_GROUP_ENABLED), sizeof buffer, before, &length), STATUS_NOT_ALL_ASSIGNED);
  EQ(length, 8);
  EQ(before->GroupCount, 0);
  STATUS(ZwAdjustGroupsToken(token, FALSE, one_group(ALICE, 0), 0, NULL, NULL), STATUS_NOT_ALL_ASSIGNED);
  OK(NtClose(token));
}

TEST(groups_are_not_adjusted_when_anything_is_wrong) {
  ULONG64 buffer[16] = { 7 };
  ULONG length = 0xEEEEEEEE;
  PTOKEN_GROUPS before = (PTOKEN_GROUPS)(void *)buffer;
  UCHAR wrong[12] = { 2, 1 };
  people();
  HANDLE token = rich(-1, TOKEN_ALL_ACCESS), weak = rich(-1, TOKEN_ADJUST_PRIVILEGES | TOKEN_QUERY);
  LUID first = modified(token);
  STATUS(ZwAdjustGroupsToken(token, FALSE, NULL, 0, NULL, &length), STATUS_INVALID_PARAMETER);
  EQ(length, 0);
  STATUS(ZwAdjustGroupsToken(token, FALSE, one_group("S-1-1-0", 0), 0, NULL, NULL), STATUS_CANT_DISABLE_MANDATORY);
  STATUS(NtAdjustGroupsToken(token, FALSE, one_group("S-1-5-32-544", SE_GROUP_ENABLED), 0, NULL, NULL), STATUS_CANT_ENABLE_DENY_ONLY);
  STATUS(NtAdjustGroupsToken(token, FALSE, one_group("S-1-5-32-551", 0), 39, before, &length), STATUS_BUFFER_TOO_SMALL);
  EQ(length, 40);
  EQ(buffer[0], 7);
  PTOKEN_GROUPS list = one_group("S-1-5-32-551", 0);
  list->Groups[0].Sid = wrong;
  STATUS(NtAdjustGroupsToken(token, FALSE, list, 0, NULL, NULL), STATUS_INVALID_SID);
  list->Groups[0].Sid = NULL;
  STATUS(NtAdjustGroupsToken(token, FALSE, list, 0, NULL, NULL), STATUS_INVALID_SID);
  vicar_set_previous_mode(UserMode);
  STATUS(NtAdjustGroupsToken(weak, TRUE, NULL, 0, NULL, NULL), STATUS_ACCESS_DENIED);
  vicar_set_previous_mode(KernelMode);
  LUID second = modified(token);
  CHECK(RtlEqualLuid(&first, &second));
  OK(NtClose(token));
  OK(NtClose(weak));
}

static NTSTATUS set_sid(HANDLE token, TOKEN_INFORMATION_CLASS which, const char *whom) {
  PSID to = sid(whom);
  return ZwSetInformationToken(token, which, &to, sizeof to);
}

TEST(values_of_a_token_are_set) {
  ULONG64 buffer[32];
  ULONG length, session = 5, level[16];
  ULONG list[16];
  PACL dacl = (PACL)list;
  people();
  HANDLE token = rich(-1, TOKEN_ALL_ACCESS);
  OK(set_sid(token, TokenOwner, ALICE));
  OK(set_sid(token, TokenPrimaryGroup, "S-1-1-0"));
  OK(ZwQueryInformationToken(token, TokenPrimaryGroup, buffer, sizeof buffer, &length));
  CHECK(RtlEqualSid(((PTOKEN_PRIMARY_GROUP)(void *)buffer)->PrimaryGroup, sid("S-1-1-0")));
  OK(RtlCreateAcl(dacl, sizeof list, ACL_REVISION));
  OK(RtlAddAccessAllowedAce(dacl, ACL_REVISION, 1, sid(BOB)));
  OK(NtSetInformationToken(token, TokenDefaultDacl, &dacl, sizeof dacl));
  OK(ZwQueryInformationToken(token, TokenDefaultDacl, buffer, sizeof buffer, &length));
  EQ(((PTOKEN_DEFAULT_DACL)(void *)buffer)->DefaultDacl->AceCount, 1);
  dacl = NULL;
  OK(NtSetInformationToken(token, TokenDefaultDacl, &dacl, sizeof dacl));
  OK(ZwQueryInformationToken(token, TokenDefaultDacl, buffer, sizeof buffer, &length));
  CHECK(((PTOKEN_DEFAULT_DACL)(void *)buffer)->DefaultDacl == NULL);
  OK(ZwSetInformationToken(token, TokenSessionId, &session, sizeof session));
  session = 0;
  OK(ZwQueryInformationToken(token, TokenSessionId, &session, sizeof session, &length));
  EQ(session, 5);
  TOKEN_MANDATORY_LABEL label = { { memcpy(level, sid("S-1-16-4096"), 12), SE_GROUP_INTEGRITY } };
  OK(NtSetInformationToken(token, TokenIntegrityLevel, &label, sizeof label));
  EQ(group_state(token, "S-1-1-0") & SE_GROUP_ENABLED, SE_GROUP_ENABLED);
  /* A user may lower it, and only the system raise it. */
  vicar_set_previous_mode(UserMode);
  memcpy(level, sid("S-1-16-8192"), 12);
  STATUS(NtSetInformationToken(token, TokenIntegrityLevel, &label, sizeof label), STATUS_PRIVILEGE_NOT_HELD);
  memcpy(level, sid("S-1-16-0"), 12);
  OK(NtSetInformationToken(token, TokenIntegrityLevel, &label, sizeof label));
  STATUS(NtSetInformationToken(token, TokenSessionId, &session, sizeof session), STATUS_PRIVILEGE_NOT_HELD);
  vicar_set_previous_mode(KernelMode);
  LUID origin = { 0x3E7, 0 };
  OK(ZwSetInformationToken(token, TokenOrigin, &origin, sizeof origin));
  ULONG policy = TOKEN_MANDATORY_POLICY_NEW_PROCESS_MIN;
  OK(ZwSetInformationToken(token, TokenMandatoryPolicy, &policy, sizeof policy));
  HANDLE other = rich(-1, TOKEN_ALL_ACCESS);
  TOKEN_LINKED_TOKEN linked = { other };
  OK(ZwSetInformationToken(token, TokenLinkedToken, &linked, sizeof linked));
  OK(NtClose(other));
  OK(NtClose(token));
}

TEST(values_of_a_token_are_not_set_from_what_is_wrong) {
  ULONG number = 0x10, level[16];
  UCHAR wrong[12] = { 2, 1 };
  PVOID pointer = wrong;
  TOKEN_MANDATORY_LABEL label = { { memcpy(level, sid("S-1-5-18"), 12), 0 } };
  people();
  HANDLE token = rich(-1, TOKEN_ALL_ACCESS), weak = rich(-1, TOKEN_QUERY);
  LUID first = modified(token);
  STATUS(ZwSetInformationToken(token, TokenUser, &pointer, sizeof pointer), STATUS_INVALID_INFO_CLASS);
  STATUS(ZwSetInformationToken(token, (TOKEN_INFORMATION_CLASS)999, &pointer, sizeof pointer), STATUS_INVALID_INFO_CLASS);
  STATUS(ZwSetInformationToken(token, TokenOwner, &pointer, 7), STATUS_INFO_LENGTH_MISMATCH);
  STATUS(ZwSetInformationToken(token, TokenOwner, NULL, 7), STATUS_INFO_LENGTH_MISMATCH);
  STATUS(ZwSetInformationToken(token, TokenOwner, NULL, 8), STATUS_ACCESS_VIOLATION);
  vicar_findings_clear();
  STATUS(NtSetInformationToken(token, TokenOwner, &pointer, 8), STATUS_INVALID_SID);
  STATUS(NtSetInformationToken(token, TokenDefaultDacl, &pointer, 8), STATUS_INVALID_ACL);
  STATUS(set_sid(token, TokenOwner, BOB), STATUS_INVALID_OWNER);
  STATUS(set_sid(token, TokenOwner, "S-1-1-0"), STATUS_INVALID_OWNER);
  STATUS(set_sid(token, TokenPrimaryGroup, BOB), STATUS_INVALID_PRIMARY_GROUP);
  STATUS(NtSetInformationToken(token, TokenIntegrityLevel, &label, sizeof label), STATUS_INVALID_LABEL);
  STATUS(NtSetInformationToken(token, TokenMandatoryPolicy, &number, sizeof number), STATUS_INVALID_PARAMETER);
  STATUS(NtSetInformationToken((HANDLE)0x7770, TokenSessionId, &number, sizeof number), STATUS_INVALID_HANDLE);
  vicar_findings_clear();
  pointer = sid(ALICE);
  vicar_set_previous_mode(UserMode);
  STATUS(NtSetInformationToken(weak, TokenOwner, &pointer, 8), STATUS_ACCESS_DENIED);
  STATUS(NtSetInformationToken(token, TokenOwner, (char *)&pointer + 1, 8), STATUS_DATATYPE_MISALIGNMENT);
  vicar_set_previous_mode(KernelMode);
  LUID second = modified(token);
  CHECK(RtlEqualLuid(&first, &second));
  OK(NtClose(token));
  OK(NtClose(weak));
}

TEST(a_default_list_is_not_longer_than_a_token_takes) {
  static ULONG long_list[0x1400 / 4];
  PACL dacl = (PACL)long_list;
  people();
  HANDLE token = rich(-1, TOKEN_ALL_ACCESS);
  OK(RtlCreateAcl(dacl, sizeof long_list, ACL_REVISION));
  while (NT_SUCCESS(RtlAddAccessAllowedAce(dacl, ACL_REVISION, 1, sid(BOB)))) {}
  STATUS(ZwSetInformationToken(token, TokenDefaultDacl, &dacl, sizeof dacl), STATUS_ALLOTTED_SPACE_EXCEEDED);
  OK(NtClose(token));
}

TEST(a_token_is_filtered_by_handle) {
  HANDLE made = NULL, kernels = NULL;
  people();
  HANDLE token = rich(-1, TOKEN_DUPLICATE | TOKEN_QUERY);
  TOKEN_PRIVILEGES gone = { 1, { { { SE_SHUTDOWN_PRIVILEGE, 0 }, 0xFFFFFFFF } } };
  TOKEN_GROUPS restricting = { 1, { { sid("S-1-1-0"), 0 } } };
  vicar_set_previous_mode(UserMode);
  OK(NtFilterToken(token, 0, one_group("S-1-5-32-545", 0xFFFFFFFF), &gone, &restricting, &made));
  vicar_set_previous_mode(KernelMode);
  EQ(group_state(made, "S-1-5-32-545") & (SE_GROUP_USE_FOR_DENY_ONLY | SE_GROUP_ENABLED), SE_GROUP_USE_FOR_DENY_ONLY);
  EQ(privilege_state(made, SE_SHUTDOWN_PRIVILEGE), 0xEEEEEEEE);
  /* The new handle has the rights of the old one. */
  PVOID object = NULL;
  OBJECT_HANDLE_INFORMATION granted;
  OK(ObReferenceObjectByHandle(made, 0, *SeTokenObjectType, KernelMode, &object, &granted));
  EQ(granted.GrantedAccess, TOKEN_DUPLICATE | TOKEN_QUERY);
  CHECK(SeTokenIsRestricted(object));
  ObDereferenceObject(object);
  OK(ZwFilterToken(made, DISABLE_MAX_PRIVILEGE, NULL, NULL, NULL, &kernels));
  EQ(privilege_state(kernels, SE_UNDOCK_PRIVILEGE), 0xEEEEEEEE);
  OK(NtClose(kernels));
  OK(NtClose(made));
  OK(NtClose(token));
}

TEST(a_token_is_not_filtered_by_what_is_wrong) {
  HANDLE made = (HANDLE)1;
  ULONG64 odd[4] = { 0 };
  people();
  HANDLE token = rich(-1, TOKEN_ALL_ACCESS), weak = rich(-1, TOKEN_QUERY);
  STATUS(ZwFilterToken(token, 0, NULL, NULL, NULL, NULL), STATUS_ACCESS_VIOLATION);
  vicar_findings_clear();
  STATUS(ZwFilterToken(NULL, 0, NULL, NULL, NULL, &made), STATUS_INVALID_HANDLE);
  CHECK(made == NULL);
  STATUS(NtFilterToken(NULL, 0x100, NULL, NULL, NULL, &made), STATUS_INVALID_PARAMETER);
  STATUS(NtFilterToken(token, 0, NULL, NULL, one_group("S-1-1-0", SE_GROUP_ENABLED), &made), STATUS_INVALID_PARAMETER);
  PTOKEN_GROUPS list = one_group("S-1-1-0", 0);
  list->GroupCount = 0xFFFFFFFF;
  STATUS(NtFilterToken(token, 0, list, NULL, NULL, &made), STATUS_INVALID_PARAMETER);
  list->GroupCount = 1;
  list->Groups[0].Sid = NULL;
  STATUS(NtFilterToken(token, 0, list, NULL, NULL, &made), STATUS_INVALID_SID);
  STATUS(NtFilterToken(NtCurrentThread(), 0, NULL, NULL, NULL, &made), STATUS_OBJECT_TYPE_MISMATCH);
  vicar_set_previous_mode(UserMode);
  STATUS(NtFilterToken(weak, 0, NULL, NULL, NULL, &made), STATUS_ACCESS_DENIED);
  STATUS(NtFilterToken(token, 0, (PTOKEN_GROUPS)(void *)((char *)odd + 1), NULL, NULL, &made), STATUS_DATATYPE_MISALIGNMENT);
  CHECK(made == NULL);
  vicar_set_previous_mode(KernelMode);
  vicar_findings_clear();
  OK(NtClose(token));
  OK(NtClose(weak));
}

TEST(tokens_are_compared) {
  BOOLEAN equal = 7;
  people();
  HANDLE first = alice_at(SecurityIdentification, TOKEN_ALL_ACCESS), second = alice_at(SecurityImpersonation, TOKEN_ALL_ACCESS);
  HANDLE weaker = NULL;
  OK(NtCompareTokens(first, second, &equal));
  EQ(equal, TRUE);
  OK(ZwCompareTokens(first, first, &equal));
  EQ(equal, TRUE);
  OK(NtFilterToken(first, DISABLE_MAX_PRIVILEGE, NULL, NULL, NULL, &weaker));
  OK(ZwCompareTokens(first, weaker, &equal));
  EQ(equal, FALSE);
  OK(NtClose(weaker));
  OK(NtClose(first));
  OK(NtClose(second));
}

TEST(tokens_are_not_compared_without_the_right) {
  BOOLEAN equal = 7;
  people();
  HANDLE token = alice_at(-1, TOKEN_QUERY), blind = alice_at(-1, TOKEN_DUPLICATE);
  STATUS(ZwCompareTokens(token, token, NULL), STATUS_ACCESS_VIOLATION);
  vicar_findings_clear();
  STATUS(ZwCompareTokens(token, (HANDLE)0x7770, &equal), STATUS_INVALID_HANDLE);
  EQ(equal, FALSE);
  vicar_set_previous_mode(UserMode);
  equal = 7;
  STATUS(NtCompareTokens(token, blind, &equal), STATUS_ACCESS_DENIED);
  EQ(equal, FALSE);
  STATUS(NtCompareTokens(blind, blind, &equal), STATUS_ACCESS_DENIED);
  STATUS(NtCompareTokens(NtCurrentProcess(), token, &equal), STATUS_OBJECT_TYPE_MISMATCH);
  vicar_set_previous_mode(KernelMode);
  vicar_findings_clear();
  OK(NtClose(token));
  OK(NtClose(blind));
}

/* A set of two privileges. */
static PPRIVILEGE_SET required(ULONG control, ULONG first, ULONG second) {
  static ULONG set[8];
  ULONG made[8] = { 2, control, first, 0, 0, second, 0, 0 };
  memcpy(set, made, sizeof set);
  return (PPRIVILEGE_SET)(void *)set;
}

TEST(privileges_of_a_token_are_checked) {
  BOOLEAN holds = 7;
  people();
  HANDLE token = rich(SecurityIdentification, TOKEN_QUERY);
  PPRIVILEGE_SET set = required(0, SE_SHUTDOWN_PRIVILEGE, SE_CHANGE_NOTIFY_PRIVILEGE);
  vicar_set_previous_mode(UserMode);
  OK(NtPrivilegeCheck(token, set, &holds));
  EQ(holds, TRUE);
  EQ(set->Privilege[0].Attributes, 0);
  EQ(set->Privilege[1].Attributes, SE_PRIVILEGE_USED_FOR_ACCESS);
  vicar_set_previous_mode(KernelMode);
  /* The kernel asks about the token too. */
  OK(ZwPrivilegeCheck(token, required(PRIVILEGE_SET_ALL_NECESSARY, SE_SHUTDOWN_PRIVILEGE, SE_CHANGE_NOTIFY_PRIVILEGE), &holds));
  EQ(holds, FALSE);
  OK(NtClose(token));
  token = rich(-1, TOKEN_QUERY);
  OK(ZwPrivilegeCheck(token, required(0, SE_TCB_PRIVILEGE, SE_CHANGE_NOTIFY_PRIVILEGE), &holds));
  EQ(holds, TRUE);
  OK(NtClose(token));
}

TEST(privileges_of_an_anonymous_token_are_not_checked) {
  BOOLEAN holds = 7;
  people();
  HANDLE token = rich(SecurityAnonymous, TOKEN_QUERY), blind = rich(-1, TOKEN_DUPLICATE);
  PPRIVILEGE_SET set = required(0, SE_SHUTDOWN_PRIVILEGE, SE_CHANGE_NOTIFY_PRIVILEGE);
  STATUS(ZwPrivilegeCheck(token, set, &holds), STATUS_BAD_IMPERSONATION_LEVEL);
  EQ(holds, FALSE);
  EQ(set->Privilege[1].Attributes, 0);
  STATUS(NtPrivilegeCheck(token, set, &holds), STATUS_BAD_IMPERSONATION_LEVEL);
  STATUS(NtPrivilegeCheck(token, NULL, &holds), STATUS_ACCESS_VIOLATION);
  STATUS(ZwPrivilegeCheck(token, set, NULL), STATUS_ACCESS_VIOLATION);
  vicar_findings_clear();
  STATUS(NtPrivilegeCheck((HANDLE)0x7770, set, &holds), STATUS_INVALID_HANDLE);
  vicar_findings_clear();
  vicar_set_previous_mode(UserMode);
  STATUS(NtPrivilegeCheck(blind, set, &holds), STATUS_ACCESS_DENIED);
  set->PrivilegeCount = 0xFFFFFFFF;
  holds = 7;
  STATUS(NtPrivilegeCheck(token, set, &holds), STATUS_INVALID_PARAMETER);
  EQ(holds, FALSE);
  vicar_set_previous_mode(KernelMode);
  OK(NtClose(token));
  OK(NtClose(blind));
}

TEST(a_process_gets_another_token) {
  HANDLE made = NULL;
  people();
  PACCESS_TOKEN primary = PsReferencePrimaryToken(PsGetCurrentProcess());
  HANDLE own = handle_to(primary, TOKEN_ALL_ACCESS);
  PsDereferencePrimaryToken(primary);
  OK(NtFilterToken(own, DISABLE_MAX_PRIVILEGE, NULL, NULL, NULL, &made));
  PROCESS_ACCESS_TOKEN information = { made, NULL };
  vicar_set_previous_mode(UserMode);
  /* One's own child needs no privilege. */
  OK(NtSetInformationProcess(NtCurrentProcess(), ProcessAccessToken, &information, sizeof information));
  vicar_set_previous_mode(KernelMode);
  CHECK(!SeSinglePrivilegeCheck(SeExports->SeImpersonatePrivilege, UserMode));
  information.Token = alice_at(-1, TOKEN_ALL_ACCESS);
  OK(ZwSetInformationProcess(ZwCurrentProcess(), ProcessAccessToken, &information, sizeof information));
  primary = PsReferencePrimaryToken(PsGetCurrentProcess());
  CHECK(is_token_of(primary, ALICE));
  PsDereferencePrimaryToken(primary);
  OK(NtClose(information.Token));
  OK(NtClose(made));
  OK(NtClose(own));
}

TEST(a_process_keeps_its_token_when_anything_is_wrong) {
  people();
  PROCESS_ACCESS_TOKEN information = { alice_at(-1, TOKEN_ASSIGN_PRIMARY), NULL };
  STATUS(ZwSetInformationProcess(ZwCurrentProcess(), (PROCESSINFOCLASS)1, &information, sizeof information), STATUS_INVALID_INFO_CLASS);
  STATUS(ZwSetInformationProcess(ZwCurrentProcess(), ProcessAccessToken, &information, 8), STATUS_INFO_LENGTH_MISMATCH);
  STATUS(ZwSetInformationProcess(ZwCurrentProcess(), ProcessAccessToken, NULL, 16), STATUS_ACCESS_VIOLATION);
  vicar_findings_clear();
  STATUS(NtSetInformationProcess((HANDLE)0x7770, ProcessAccessToken, &information, 16), STATUS_INVALID_HANDLE);
  STATUS(NtSetInformationProcess(NtCurrentThread(), ProcessAccessToken, &information, 16), STATUS_OBJECT_TYPE_MISMATCH);
  vicar_findings_clear();
  vicar_set_previous_mode(UserMode);
  STATUS(NtSetInformationProcess(NtCurrentProcess(), ProcessAccessToken, &information, 16), STATUS_PRIVILEGE_NOT_HELD);
  HANDLE worn = alice_at(SecurityImpersonation, TOKEN_ALL_ACCESS), weak = alice_at(-1, TOKEN_QUERY), right = information.Token;
  information.Token = worn;
  STATUS(NtSetInformationProcess(NtCurrentProcess(), ProcessAccessToken, &information, 16), STATUS_BAD_TOKEN_TYPE);
  information.Token = weak;
  STATUS(NtSetInformationProcess(NtCurrentProcess(), ProcessAccessToken, &information, 16), STATUS_ACCESS_DENIED);
  vicar_set_previous_mode(KernelMode);
  PACCESS_TOKEN used = PsReferencePrimaryToken(IoThreadToProcess(bob));
  information.Token = handle_to(used, TOKEN_ALL_ACCESS);
  PsDereferencePrimaryToken(used);
  STATUS(ZwSetInformationProcess(ZwCurrentProcess(), ProcessAccessToken, &information, 16), STATUS_TOKEN_ALREADY_IN_USE);
  OK(NtClose(information.Token));
  used = PsReferencePrimaryToken(PsGetCurrentProcess());
  CHECK(is_token_of(used, SERVICE));
  PsDereferencePrimaryToken(used);
  OK(NtClose(worn));
  OK(NtClose(weak));
  OK(NtClose(right));
}

/* Opens a token for the thread that acts, as a user's request. */
static NTSTATUS opens(PVOID object, ACCESS_MASK access) {
  HANDLE handle = NULL;
  NTSTATUS status = ObOpenObjectByPointer(object, 0, NULL, access, *SeTokenObjectType, UserMode, &handle);
  if (NT_SUCCESS(status)) OK(NtClose(handle));
  return status;
}

TEST(a_new_token_is_protected_as_its_maker_says) {
  OBJECT_ATTRIBUTES attributes;
  HANDLE copy = NULL;
  PVOID object = NULL;
  people();
  HANDLE token = alice_at(-1, TOKEN_ALL_ACCESS);
  for (int mode = 0; mode < 2; mode++) {
    SECURITY_DESCRIPTOR asked;
    ULONG list[24];
    OK(vicar_act_as(server));
    OK(RtlCreateSecurityDescriptor(&asked, SECURITY_DESCRIPTOR_REVISION));
    OK(RtlCreateAcl((PACL)list, sizeof list, ACL_REVISION));
    OK(RtlAddAccessAllowedAce((PACL)list, ACL_REVISION, TOKEN_QUERY, sid(BOB)));
    OK(RtlAddAccessAllowedAce((PACL)list, ACL_REVISION, TOKEN_ALL_ACCESS, sid(SERVICE)));
    OK(RtlSetDaclSecurityDescriptor(&asked, TRUE, (PACL)list, FALSE));
    InitializeObjectAttributes(&attributes, NULL, 0, NULL, &asked);
    if (mode == 0) {
      OK(ZwDuplicateToken(token, TOKEN_QUERY, &attributes, FALSE, TokenPrimary, &copy));
    } else {
      vicar_set_previous_mode(UserMode);
      OK(NtDuplicateToken(token, TOKEN_QUERY, &attributes, FALSE, TokenPrimary, &copy));
      vicar_set_previous_mode(KernelMode);
    }
    OK(ObReferenceObjectByHandle(copy, 0, *SeTokenObjectType, KernelMode, &object, NULL));
    OK(vicar_act_as(bob));
    OK(opens(object, TOKEN_QUERY));
    STATUS(opens(object, TOKEN_DUPLICATE), STATUS_ACCESS_DENIED);
    /* Its own user is not named, and is refused. */
    OK(vicar_act_as(alice));
    STATUS(opens(object, TOKEN_QUERY), STATUS_ACCESS_DENIED);
    ObDereferenceObject(object);
    OK(vicar_act_as(server));
    OK(NtClose(copy));
  }
  OK(NtClose(token));
}

TEST(a_new_token_is_not_made_with_a_wrong_descriptor) {
  OBJECT_ATTRIBUTES attributes;
  SECURITY_DESCRIPTOR asked;
  HANDLE copy = (HANDLE)1;
  ULONG owner[16], list[24];
  people();
  HANDLE token = alice_at(-1, TOKEN_ALL_ACCESS);
  OK(RtlCreateSecurityDescriptor(&asked, SECURITY_DESCRIPTOR_REVISION));
  InitializeObjectAttributes(&attributes, NULL, 0, NULL, &asked);
  asked.Revision = 9;
  STATUS(ZwDuplicateToken(token, 0, &attributes, FALSE, TokenPrimary, &copy), STATUS_INVALID_SECURITY_DESCR);
  CHECK(copy == NULL);
  OK(RtlCreateSecurityDescriptor(&asked, SECURITY_DESCRIPTOR_REVISION));
  OK(RtlSetOwnerSecurityDescriptor(&asked, memcpy(owner, sid(BOB), 28), FALSE));
  vicar_set_previous_mode(UserMode);
  STATUS(NtDuplicateToken(token, 0, &attributes, FALSE, TokenPrimary, &copy), STATUS_INVALID_OWNER);
  vicar_set_previous_mode(KernelMode);
  /* The kernel may give it to anybody. */
  OK(ZwDuplicateToken(token, 0, &attributes, FALSE, TokenPrimary, &copy));
  OK(NtClose(copy));
  OK(RtlCreateSecurityDescriptor(&asked, SECURITY_DESCRIPTOR_REVISION));
  OK(RtlCreateAcl((PACL)list, sizeof list, ACL_REVISION));
  OK(RtlAddAuditAccessAce((PACL)list, ACL_REVISION, TOKEN_QUERY, sid(BOB), TRUE, FALSE));
  OK(RtlSetSaclSecurityDescriptor(&asked, TRUE, (PACL)list, FALSE));
  vicar_set_previous_mode(UserMode);
  copy = (HANDLE)1;
  STATUS(NtDuplicateToken(token, 0, &attributes, FALSE, TokenPrimary, &copy), STATUS_PRIVILEGE_NOT_HELD);
  CHECK(copy == NULL);
  vicar_set_previous_mode(KernelMode);
  OK(NtClose(token));
}

/* A user who guesses the number of a kernel's handle has nothing. */
TEST(a_handle_of_the_kernel_means_nothing_in_a_users_request) {
  HANDLE kernels = NULL, out = NULL;
  PVOID object = NULL;
  ULONG length = 7, number = 3;
  BOOLEAN answer;
  people();
  PACCESS_TOKEN token = PsReferencePrimaryToken(IoThreadToProcess(alice));
  OK(ObOpenObjectByPointer(token, OBJ_KERNEL_HANDLE, NULL, TOKEN_ALL_ACCESS, *SeTokenObjectType, KernelMode, &kernels));
  PsDereferencePrimaryToken(token);
  OK(vicar_act_as(alice));
  vicar_set_previous_mode(UserMode);
  STATUS(NtQueryInformationToken(kernels, TokenSessionId, &number, sizeof number, &length), STATUS_INVALID_HANDLE);
  STATUS(NtDuplicateToken(kernels, 0, NULL, FALSE, TokenPrimary, &out), STATUS_INVALID_HANDLE);
  STATUS(NtFilterToken(kernels, 0, NULL, NULL, NULL, &out), STATUS_INVALID_HANDLE);
  STATUS(NtCompareTokens(kernels, kernels, &answer), STATUS_INVALID_HANDLE);
  STATUS(NtSetInformationThread(NtCurrentThread(), ThreadImpersonationToken, &kernels, sizeof kernels), STATUS_INVALID_HANDLE);
  STATUS(PsAssignImpersonationToken(PsGetCurrentThread(), kernels), STATUS_INVALID_HANDLE);
  STATUS(ObReferenceObjectByHandle(kernels, 0, *SeTokenObjectType, UserMode, &object, NULL), STATUS_INVALID_HANDLE);
  STATUS(ObReferenceObjectByHandle(kernels, 0, NULL, UserMode, &object, NULL), STATUS_INVALID_HANDLE);
  STATUS(NtClose(kernels), STATUS_INVALID_HANDLE);
  /* What number a user sends is no mistake of the driver's. */
  EQ(vicar_finding_count(), 0);
  /* The kernel has it still. */
  OK(ZwQueryInformationToken(kernels, TokenSessionId, &number, sizeof number, &length));
  vicar_set_previous_mode(KernelMode);
  OK(ObReferenceObjectByHandle(kernels, 0, *SeTokenObjectType, KernelMode, &object, NULL));
  ObDereferenceObject(object);
  OK(ZwClose(kernels));
}

/* A handle to a process has what the check granted, and no more. */
TEST(a_user_gets_the_rights_to_a_process_that_were_checked) {
  PROCESS_ACCESS_TOKEN information;
  HANDLE process = NULL;
  people();
  information.Token = alice_at(-1, TOKEN_ALL_ACCESS);
  information.Thread = NULL;
  OK(ObOpenObjectByPointer(PsGetCurrentProcess(), 0, NULL, GENERIC_READ, *PsProcessType, UserMode, &process));
  vicar_set_previous_mode(UserMode);
  STATUS(NtSetInformationProcess(process, ProcessAccessToken, &information, sizeof information), STATUS_ACCESS_DENIED);
  OK(NtClose(process));
  OK(NtClose(information.Token));
  vicar_set_previous_mode(KernelMode);
  /* From below its integrity level nothing is read of it or changed, however much is asked for. */
  VICAR_PERSON low = VICAR_PERSON_OF(ALICE);
  low.Integrity = "low";
  act_as(&low);
  information.Token = alice_at(-1, TOKEN_ALL_ACCESS);
  NTSTATUS status = ObOpenObjectByPointer(IoThreadToProcess(alice), 0, NULL, MAXIMUM_ALLOWED, *PsProcessType, UserMode, &process);
  if (NT_SUCCESS(status)) {
    vicar_set_previous_mode(UserMode);
    HANDLE token = NULL;
    STATUS(NtSetInformationProcess(process, ProcessAccessToken, &information, sizeof information), STATUS_ACCESS_DENIED);
    STATUS(NtOpenProcessToken(process, TOKEN_QUERY, &token), STATUS_ACCESS_DENIED);
    OK(NtClose(process));
    vicar_set_previous_mode(KernelMode);
  }
  OK(NtClose(information.Token));
}

TEST(a_users_buffer_for_a_query_is_aligned) {
  ULONG64 buffer[8];
  ULONG length = 7;
  people();
  HANDLE token = alice_at(-1, TOKEN_QUERY);
  vicar_set_previous_mode(UserMode);
  STATUS(NtQueryInformationToken(token, TokenUser, (char *)buffer + 1, 63, &length), STATUS_DATATYPE_MISALIGNMENT);
  EQ(length, 0);
  OK(NtQueryInformationToken(token, TokenUser, buffer, sizeof buffer, &length));
  EQ(length, 16 + 28);
  vicar_set_previous_mode(KernelMode);
  OK(NtClose(token));
}
