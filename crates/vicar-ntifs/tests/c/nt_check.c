/* Access checks that a server makes of its own objects: by a token's handle, by type, for the client its thread acts as. */
#include "people.h"

static const GUID whole = { 1, 2, 3, { 4 } }, part = { 5, 6, 7, { 8 } }, other = { 9, 9, 9, { 9 } };
static GENERIC_MAPPING mapping = { 1, 2, 4, 0xF01FF };

static HANDLE token_at(const char *user, const char *privileges, LONG level, ACCESS_MASK access) {
  VICAR_PERSON person = VICAR_PERSON_OF(user);
  PACCESS_TOKEN token = NULL;
  HANDLE handle = NULL;
  person.Level = level;
  person.Privileges = privileges;
  OK(vicar_token_create(&person, &token));
  OK(ObOpenObjectByPointer(token, 0, NULL, access, *SeTokenObjectType, KernelMode, &handle));
  ObDereferenceObject(token);
  return handle;
}

static struct {
  ULONG room;
  ULONG set[16];
  ACCESS_MASK granted[3];
  NTSTATUS status[3];
} out;

static void forget(ULONG room) {
  memset(&out, 0xEE, sizeof out);
  out.room = room;
}

#define SET ((PPRIVILEGE_SET)(void *)out.set)

static NTSTATUS zw(PSECURITY_DESCRIPTOR descriptor, HANDLE token, ACCESS_MASK desired) {
  forget(sizeof out.set);
  return ZwAccessCheck(descriptor, token, desired, &mapping, SET, &out.room, out.granted, out.status);
}

static NTSTATUS nt(PSECURITY_DESCRIPTOR descriptor, HANDLE token, ACCESS_MASK desired) {
  NTSTATUS status;
  forget(sizeof out.set);
  vicar_set_previous_mode(UserMode);
  status = NtAccessCheck(descriptor, token, desired, &mapping, SET, &out.room, out.granted, out.status);
  vicar_set_previous_mode(KernelMode);
  return status;
}

TEST(a_server_checks_access_to_an_object_of_its_own) {
  people();
  PSECURITY_DESCRIPTOR object = readable_by(ALICE);
  for (LONG level = SecurityIdentification; level <= SecurityDelegation; level++) {
    HANDLE client = token_at(ALICE, NULL, level, TOKEN_QUERY);
    OK(nt(object, client, FILE_READ_DATA));
    EQ(out.status[0], STATUS_SUCCESS);
    EQ(out.granted[0], FILE_READ_DATA);
    EQ(out.set[0], 0);
    EQ(out.set[1], 0);
    OK(nt(object, client, FILE_WRITE_DATA));
    EQ(out.status[0], STATUS_ACCESS_DENIED);
    EQ(out.granted[0], 0);
    OK(NtClose(client));
  }
  /* It is the token that is asked, also by the kernel, and not the caller. */
  HANDLE client = token_at(BOB, NULL, SecurityIdentification, TOKEN_QUERY);
  OK(zw(object, client, FILE_READ_DATA));
  EQ(out.status[0], STATUS_ACCESS_DENIED);
  OK(zw(object, client, 0));
  EQ(out.status[0], STATUS_ACCESS_DENIED);
  OK(NtClose(client));
  client = token_at(BOB, "SeSecurityPrivilege SeTakeOwnershipPrivilege", SecurityImpersonation, TOKEN_QUERY);
  OK(zw(object, client, ACCESS_SYSTEM_SECURITY | WRITE_OWNER));
  EQ(out.status[0], STATUS_SUCCESS);
  EQ(SET->PrivilegeCount, 2);
  EQ(SET->Privilege[0].Attributes, SE_PRIVILEGE_USED_FOR_ACCESS);
  OK(NtClose(client));
}

TEST(a_server_is_not_answered_when_it_asks_wrongly) {
  SECURITY_DESCRIPTOR ownerless;
  people();
  PSECURITY_DESCRIPTOR object = readable_by(ALICE);
  HANDLE client = token_at(ALICE, NULL, SecurityIdentification, TOKEN_QUERY), blind = token_at(ALICE, NULL, SecurityIdentification, TOKEN_DUPLICATE);
  HANDLE primary = token_at(ALICE, NULL, -1, TOKEN_QUERY), anonymous = token_at(ALICE, NULL, SecurityAnonymous, TOKEN_QUERY);
  /* The first that is wrong is told: generic rights, the handle, its right, type, level, room, object. */
  STATUS(nt(NULL, (HANDLE)0x7770, GENERIC_READ), STATUS_GENERIC_NOT_MAPPED);
  EQ(out.granted[0], 0);
  EQ(out.status[0], STATUS_GENERIC_NOT_MAPPED);
  STATUS(nt(NULL, (HANDLE)0x7770, FILE_READ_DATA), STATUS_INVALID_HANDLE);
  vicar_findings_clear();
  STATUS(nt(NULL, NtCurrentThread(), FILE_READ_DATA), STATUS_OBJECT_TYPE_MISMATCH);
  STATUS(nt(NULL, blind, FILE_READ_DATA), STATUS_ACCESS_DENIED);
  STATUS(zw(NULL, primary, FILE_READ_DATA), STATUS_NO_IMPERSONATION_TOKEN);
  STATUS(nt(NULL, anonymous, FILE_READ_DATA), STATUS_BAD_IMPERSONATION_LEVEL);
  forget(19);
  STATUS(ZwAccessCheck(NULL, client, FILE_READ_DATA, &mapping, SET, &out.room, out.granted, out.status), STATUS_BUFFER_TOO_SMALL);
  EQ(out.room, sizeof(PRIVILEGE_SET));
  EQ(out.granted[0], 0);
  EQ(out.status[0], STATUS_BUFFER_TOO_SMALL);
  STATUS(zw(NULL, client, FILE_READ_DATA), STATUS_ACCESS_DENIED);
  OK(RtlCreateSecurityDescriptor(&ownerless, SECURITY_DESCRIPTOR_REVISION));
  STATUS(zw(&ownerless, client, FILE_READ_DATA), STATUS_INVALID_SECURITY_DESCR);
  ownerless.Revision = 3;
  STATUS(nt(&ownerless, client, FILE_READ_DATA), STATUS_INVALID_SECURITY_DESCR);
  STATUS(nt(object, client, ACCESS_SYSTEM_SECURITY), STATUS_SUCCESS);
  EQ(out.status[0], STATUS_PRIVILEGE_NOT_HELD);
  /* Pointers come before everything. */
  forget(0);
  STATUS(ZwAccessCheck(object, client, GENERIC_READ, &mapping, NULL, NULL, out.granted, out.status), STATUS_ACCESS_VIOLATION);
  EQ(out.status[0], STATUS_ACCESS_VIOLATION);
  STATUS(ZwAccessCheck(object, client, GENERIC_READ, NULL, SET, &out.room, out.granted, out.status), STATUS_ACCESS_VIOLATION);
  STATUS(ZwAccessCheck(object, client, 1, &mapping, NULL, &out.room, out.granted, out.status), STATUS_BUFFER_TOO_SMALL);
  STATUS(ZwAccessCheck(object, client, 1, &mapping, NULL, &out.room, out.granted, out.status), STATUS_ACCESS_VIOLATION);
  forget(sizeof out.set);
  STATUS(ZwAccessCheck(object, client, 1, &mapping, SET, &out.room, NULL, out.status), STATUS_ACCESS_VIOLATION);
  EQ(out.status[0], STATUS_ACCESS_VIOLATION);
  STATUS(NtAccessCheck(object, client, 1, &mapping, SET, &out.room, out.granted, NULL), STATUS_ACCESS_VIOLATION);
  EQ(out.granted[0], 0);
  vicar_findings_clear();
  OK(NtClose(client));
  OK(NtClose(blind));
  OK(NtClose(primary));
  OK(NtClose(anonymous));
}

/* Two privileges used and room for one. */
TEST(a_server_without_room_for_the_privileges_is_told_how_much_it_needs) {
  people();
  HANDLE client = token_at(BOB, "SeSecurityPrivilege SeTakeOwnershipPrivilege", SecurityImpersonation, TOKEN_QUERY);
  forget(31);
  STATUS(ZwAccessCheck(readable_by(ALICE), client, ACCESS_SYSTEM_SECURITY | WRITE_OWNER, &mapping, SET, &out.room, out.granted, out.status),
         STATUS_BUFFER_TOO_SMALL);
  EQ(out.room, 8 + 2 * 12);
  EQ(out.granted[0], 0);
  EQ(out.set[0], 0xEEEEEEEE);
  OK(ZwAccessCheck(readable_by(ALICE), client, ACCESS_SYSTEM_SECURITY | WRITE_OWNER, &mapping, SET, &out.room, out.granted, out.status));
  EQ(SET->PrivilegeCount, 2);
  OK(NtClose(client));
}

/* Everybody reads the object, and one property of it is written by whom it is about. */
static PSECURITY_DESCRIPTOR typed(void) {
  static struct {
    SECURITY_DESCRIPTOR head;
    ULONG dacl[40], sacl[20], owner[17];
  } made;
  OK(RtlCreateSecurityDescriptor(&made.head, SECURITY_DESCRIPTOR_REVISION));
  OK(RtlCreateAcl((PACL)made.dacl, sizeof made.dacl, ACL_REVISION_DS));
  OK(RtlAddAccessAllowedAce((PACL)made.dacl, ACL_REVISION_DS, 1, sid("S-1-1-0")));
  /* Type 5, 40 bytes, write, the type is there. */
  ULONG entry[10] = { 5 | 40u << 16, 2, 1 };
  memcpy(entry + 3, &part, 16);
  memcpy(entry + 7, sid("S-1-5-10"), 12);
  OK(RtlAddAce((PACL)made.dacl, ACL_REVISION_DS, MAXULONG, entry, sizeof entry));
  OK(RtlCreateAcl((PACL)made.sacl, sizeof made.sacl, ACL_REVISION));
  OK(RtlAddAuditAccessAce((PACL)made.sacl, ACL_REVISION, 2, sid("S-1-1-0"), TRUE, FALSE));
  OK(RtlCopySid(sizeof made.owner, made.owner, sid("S-1-5-18")));
  OK(RtlSetOwnerSecurityDescriptor(&made.head, made.owner, FALSE));
  OK(RtlSetGroupSecurityDescriptor(&made.head, made.owner, FALSE));
  OK(RtlSetDaclSecurityDescriptor(&made.head, TRUE, (PACL)made.dacl, FALSE));
  OK(RtlSetSaclSecurityDescriptor(&made.head, TRUE, (PACL)made.sacl, FALSE));
  return &made.head;
}

static OBJECT_TYPE_LIST tree[3] = { { 0, 0, (GUID *)&whole }, { 1, 0, (GUID *)&part }, { 1, 0, (GUID *)&other } };

TEST(a_server_checks_access_by_type) {
  people();
  HANDLE client = token_at(ALICE, NULL, SecurityIdentification, TOKEN_QUERY);
  OBJECT_TYPE_LIST one[2] = { { 0, 0, (GUID *)&whole }, { 1, 0, (GUID *)&part } };
  ULONG self[16];
  memcpy(self, sid(ALICE), 28);
  forget(sizeof out.set);
  OK(ZwAccessCheckByType(typed(), self, client, 1, tree, 3, &mapping, SET, &out.room, out.granted, out.status));
  EQ(out.status[0], STATUS_SUCCESS);
  EQ(out.granted[0], 1);
  /* The only child has it, so the whole has. */
  OK(NtAccessCheckByType(typed(), self, client, 2, one, 2, &mapping, SET, &out.room, out.granted, out.status));
  EQ(out.status[0], STATUS_SUCCESS);
  OK(NtAccessCheckByType(typed(), NULL, client, 2, one, 2, &mapping, SET, &out.room, out.granted, out.status));
  EQ(out.status[0], STATUS_ACCESS_DENIED);
  OK(NtAccessCheckByType(typed(), NULL, client, 1, NULL, 0, &mapping, SET, &out.room, out.granted, out.status));
  EQ(out.status[0], STATUS_SUCCESS);
  vicar_set_previous_mode(UserMode);
  OK(NtAccessCheckByTypeResultList(typed(), self, client, 3, tree, 3, &mapping, SET, &out.room, out.granted, out.status));
  vicar_set_previous_mode(KernelMode);
  EQ(out.status[0], STATUS_ACCESS_DENIED);
  EQ(out.granted[0], 1);
  EQ(out.status[1], STATUS_SUCCESS);
  EQ(out.granted[1], 3);
  EQ(out.status[2], STATUS_ACCESS_DENIED);
  EQ(out.granted[2], 1);
  OK(ZwAccessCheckByTypeResultList(typed(), self, client, 0, tree, 3, &mapping, SET, &out.room, out.granted, out.status));
  EQ(out.status[2], STATUS_ACCESS_DENIED);
  EQ(out.granted[1], 0);
  OK(NtClose(client));
}

TEST(the_privileges_of_a_result_list_are_told) {
  people();
  HANDLE client = token_at(BOB, "SeTakeOwnershipPrivilege", SecurityImpersonation, TOKEN_QUERY);
  forget(sizeof out.set);
  OK(ZwAccessCheckByTypeResultList(typed(), NULL, client, WRITE_OWNER | 4, tree, 3, &mapping, SET, &out.room, out.granted, out.status));
  EQ(out.status[0], STATUS_ACCESS_DENIED);
  EQ(out.granted[0], WRITE_OWNER);
  EQ(SET->PrivilegeCount, 1);
  EQ(SET->Privilege[0].Luid.LowPart, SE_TAKE_OWNERSHIP_PRIVILEGE);
  OK(NtClose(client));
}

TEST(a_server_is_not_answered_about_types_that_are_no_tree) {
  people();
  HANDLE client = token_at(ALICE, NULL, SecurityIdentification, TOKEN_QUERY), primary = token_at(ALICE, NULL, -1, TOKEN_QUERY);
  OBJECT_TYPE_LIST wrong[2] = { { 1, 0, (GUID *)&whole }, { 0, 0, (GUID *)&part } }, nameless[1] = { { 0, 0, NULL } };
  UCHAR no_sid[8] = { 2, 0 };
  forget(sizeof out.set);
  STATUS(ZwAccessCheckByType(typed(), NULL, client, 1, wrong, 2, &mapping, SET, &out.room, out.granted, out.status), STATUS_INVALID_PARAMETER);
  EQ(out.granted[0], 0);
  EQ(out.status[0], STATUS_INVALID_PARAMETER);
  STATUS(NtAccessCheckByType(typed(), NULL, client, 1, nameless, 1, &mapping, SET, &out.room, out.granted, out.status), STATUS_INVALID_PARAMETER);
  STATUS(NtAccessCheckByType(typed(), NULL, client, 1, NULL, 1, &mapping, SET, &out.room, out.granted, out.status), STATUS_ACCESS_VIOLATION);
  STATUS(NtAccessCheckByType(typed(), NULL, client, 1, tree, 0xFFFFFFFF, &mapping, SET, &out.room, out.granted, out.status), STATUS_INVALID_PARAMETER);
  STATUS(NtAccessCheckByType(typed(), no_sid, client, 1, tree, 3, &mapping, SET, &out.room, out.granted, out.status), STATUS_INVALID_SID);
  STATUS(ZwAccessCheckByTypeResultList(typed(), NULL, client, 1, wrong, 2, &mapping, SET, &out.room, out.granted, out.status), STATUS_INVALID_PARAMETER);
  EQ(out.granted[1], 0);
  EQ(out.granted[2], 0xEEEEEEEE);
  STATUS(ZwAccessCheckByTypeResultList(typed(), NULL, client, 1, NULL, 0, &mapping, SET, &out.room, out.granted, out.status), STATUS_INVALID_PARAMETER);
  STATUS(NtAccessCheckByTypeResultList(typed(), NULL, primary, 1, tree, 3, &mapping, SET, &out.room, out.granted, out.status), STATUS_NO_IMPERSONATION_TOKEN);
  EQ(out.granted[2], 0);
  EQ(out.status[2], STATUS_NO_IMPERSONATION_TOKEN);
  vicar_findings_clear();
  OK(NtClose(client));
  OK(NtClose(primary));
}

static WCHAR letters[] = L"File";
static UNICODE_STRING name = { 8, 10, letters };
static BOOLEAN on_close;

static NTSTATUS zw_alarm(PSECURITY_DESCRIPTOR object, ACCESS_MASK desired) {
  forget(0);
  on_close = 7;
  return ZwAccessCheckAndAuditAlarm(&name, NULL, &name, &name, object, desired, &mapping, FALSE, out.granted, out.status, &on_close);
}

static NTSTATUS nt_alarm(PSECURITY_DESCRIPTOR object, ACCESS_MASK desired) {
  NTSTATUS status;
  forget(0);
  on_close = 7;
  vicar_set_previous_mode(UserMode);
  status = NtAccessCheckAndAuditAlarm(&name, NULL, &name, &name, object, desired, &mapping, FALSE, out.granted, out.status, &on_close);
  vicar_set_previous_mode(KernelMode);
  return status;
}

static NTSTATUS by_type(int list, AUDIT_EVENT_TYPE type, ULONG flags, ACCESS_MASK desired) {
  NTSTATUS status;
  ULONG self[16];
  memcpy(self, sid(ALICE), 28);
  forget(0);
  on_close = 7;
  vicar_set_previous_mode(UserMode);
  status = list ? NtAccessCheckByTypeResultListAndAuditAlarm(&name, NULL, &name, &name, typed(), self, desired, type, flags, tree, 3, &mapping, FALSE,
                                                             out.granted, out.status, &on_close)
                : NtAccessCheckByTypeAndAuditAlarm(&name, NULL, &name, &name, typed(), self, desired, type, flags, tree, 2, &mapping, FALSE,
                                                   out.granted, out.status, &on_close);
  vicar_set_previous_mode(KernelMode);
  return status;
}

/* A thread of a service that acts as a client at some level. */
static SECURITY_CLIENT_CONTEXT serve(const char *privileges, SECURITY_IMPERSONATION_LEVEL level) {
  SECURITY_QUALITY_OF_SERVICE qos = quality(level, SECURITY_STATIC_TRACKING);
  SECURITY_CLIENT_CONTEXT client;
  people();
  OK(vicar_act_as(thread_of(SERVICE, privileges)));
  OK(SeCreateClientSecurity(alice, &qos, FALSE, &client));
  OK(SeImpersonateClientEx(&client, NULL));
  return client;
}

TEST(a_server_checks_access_for_the_client_it_acts_as) {
  SECURITY_CLIENT_CONTEXT client = serve("SeImpersonatePrivilege SeAuditPrivilege", SecurityIdentification);
  OK(nt_alarm(typed(), 1));
  EQ(out.status[0], STATUS_SUCCESS);
  EQ(out.granted[0], 1);
  EQ(on_close, FALSE);
  OK(zw_alarm(readable_by(BOB), FILE_READ_DATA));
  EQ(out.status[0], STATUS_ACCESS_DENIED);
  /* The audit list wants to know who writes. */
  OK(by_type(0, AuditEventObjectAccess, 0, 3));
  EQ(out.status[0], STATUS_SUCCESS);
  EQ(on_close, TRUE);
  OK(by_type(1, AuditEventDirectoryServiceAccess, AUDIT_ALLOW_NO_PRIVILEGE, 2));
  EQ(out.status[1], STATUS_SUCCESS);
  EQ(out.status[2], STATUS_ACCESS_DENIED);
  EQ(on_close, TRUE);
  OK(ZwAccessCheckByTypeAndAuditAlarm(&name, NULL, &name, &name, typed(), NULL, 2, AuditEventObjectAccess, 0, tree, 3, &mapping, FALSE, out.granted,
                                      out.status, &on_close));
  EQ(out.status[0], STATUS_ACCESS_DENIED);
  OK(ZwAccessCheckByTypeResultListAndAuditAlarm(&name, NULL, &name, &name, typed(), sid(ALICE), 2, AuditEventObjectAccess, 0, tree, 3, &mapping, FALSE,
                                                out.granted, out.status, &on_close));
  EQ(out.status[1], STATUS_SUCCESS);
  SeStopImpersonatingClient();
  SeDeleteClientSecurity(&client);
}

TEST(a_server_is_not_answered_for_nobody_and_not_without_the_audit_privilege) {
  SECURITY_CLIENT_CONTEXT client = serve("SeImpersonatePrivilege", SecurityImpersonation);
  STATUS(nt_alarm(typed(), GENERIC_READ), STATUS_GENERIC_NOT_MAPPED);
  STATUS(nt_alarm(NULL, 1), STATUS_PRIVILEGE_NOT_HELD);
  EQ(out.granted[0], 0);
  EQ(out.status[0], STATUS_PRIVILEGE_NOT_HELD);
  EQ(on_close, FALSE);
  /* The kernel needs no privilege, and who says so in advance is answered without a record. */
  OK(zw_alarm(typed(), 1));
  STATUS(by_type(0, AuditEventObjectAccess, 0, 3), STATUS_PRIVILEGE_NOT_HELD);
  OK(by_type(0, AuditEventObjectAccess, AUDIT_ALLOW_NO_PRIVILEGE, 3));
  EQ(on_close, FALSE);
  STATUS(by_type(1, (AUDIT_EVENT_TYPE)2, 0, 3), STATUS_INVALID_PARAMETER);
  EQ(out.granted[2], 0);
  STATUS(by_type(1, AuditEventObjectAccess, 2, 3), STATUS_INVALID_PARAMETER);
  STATUS(ZwAccessCheckByTypeAndAuditAlarm(&name, NULL, &name, NULL, typed(), NULL, 2, AuditEventObjectAccess, 0, tree, 3, &mapping, FALSE,
                                          out.granted, out.status, &on_close), STATUS_ACCESS_VIOLATION);
  on_close = 7;
  STATUS(ZwAccessCheckByTypeResultListAndAuditAlarm(&name, NULL, &name, &name, typed(), NULL, 2, AuditEventObjectAccess, 0, tree, 0, &mapping, FALSE,
                                                    out.granted, out.status, &on_close), STATUS_INVALID_PARAMETER);
  EQ(on_close, FALSE);
  vicar_findings_clear();
  name.Length = 12;
  STATUS(zw_alarm(typed(), 1), STATUS_INVALID_PARAMETER);
  name.Length = 8;
  SeStopImpersonatingClient();
  STATUS(nt_alarm(typed(), 1), STATUS_NO_IMPERSONATION_TOKEN);
  STATUS(zw_alarm(typed(), 1), STATUS_NO_IMPERSONATION_TOKEN);
  EQ(out.status[0], STATUS_NO_IMPERSONATION_TOKEN);
  SeDeleteClientSecurity(&client);
  client = serve("SeImpersonatePrivilege SeAuditPrivilege", SecurityAnonymous);
  STATUS(nt_alarm(typed(), 1), STATUS_BAD_IMPERSONATION_LEVEL);
  SeStopImpersonatingClient();
  SeDeleteClientSecurity(&client);
}
