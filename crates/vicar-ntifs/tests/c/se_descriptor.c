/* The security of objects: assigned, changed, queried. */
#include "check.h"

static GENERIC_MAPPING file = { FILE_GENERIC_READ, FILE_GENERIC_WRITE, FILE_GENERIC_EXECUTE, FILE_ALL_ACCESS };
#define ALICE "S-1-5-21-7-8-9-1001"
#define BOB "S-1-5-21-7-8-9-1002"

/* A descriptor in parts with an owner, a group and one entry. */
static struct {
  SECURITY_DESCRIPTOR head;
  UCHAR owner[68], group[68];
  ULONG dacl[32];
} made;

static PSECURITY_DESCRIPTOR descriptor(const char *owner, ULONG flags, ACCESS_MASK mask, const char *whose) {
  memset(&made, 0, sizeof made);
  OK(RtlCreateSecurityDescriptor(&made.head, SECURITY_DESCRIPTOR_REVISION));
  OK(RtlCreateAcl((PACL)made.dacl, sizeof made.dacl, ACL_REVISION));
  OK(RtlAddAccessAllowedAceEx((PACL)made.dacl, ACL_REVISION, flags, mask, sid(whose)));
  OK(RtlSetDaclSecurityDescriptor(&made.head, TRUE, (PACL)made.dacl, FALSE));
  if (owner != NULL) {
    OK(RtlCopySid(68, made.owner, sid(owner)));
    OK(RtlCopySid(68, made.group, sid("S-1-5-32-545")));
    OK(RtlSetOwnerSecurityDescriptor(&made.head, made.owner, FALSE));
    OK(RtlSetGroupSecurityDescriptor(&made.head, made.group, FALSE));
  }
  return &made.head;
}

/* The only entry of a descriptor's DACL, or NULL. */
static PACCESS_ALLOWED_ACE entry(PSECURITY_DESCRIPTOR of) {
  BOOLEAN present = FALSE, defaulted;
  PACL acl = NULL;
  PVOID found = NULL;
  OK(RtlGetDaclSecurityDescriptor(of, &present, &acl, &defaulted));
  CHECK(present && acl != NULL && acl->AceCount == 1);
  if (present && acl != NULL && acl->AceCount == 1) OK(RtlGetAce(acl, 0, &found));
  return (PACCESS_ALLOWED_ACE)found;
}

static int is_owned_by(PSECURITY_DESCRIPTOR descriptor_of, const char *whom) {
  PSID owner = NULL;
  BOOLEAN defaulted;
  OK(RtlGetOwnerSecurityDescriptor(descriptor_of, &owner, &defaulted));
  return owner != NULL && RtlEqualSid(owner, sid(whom));
}

static NTSTATUS assign(PSECURITY_DESCRIPTOR parent, PSECURITY_DESCRIPTOR explicitly, PSECURITY_DESCRIPTOR *new_one, BOOLEAN directory) {
  SECURITY_SUBJECT_CONTEXT subject;
  SeCaptureSubjectContext(&subject);
  NTSTATUS status = SeAssignSecurity(parent, explicitly, new_one, directory, &subject, &file, PagedPool);
  SeReleaseSubjectContext(&subject);
  return status;
}

TEST(a_new_object_inherits) {
  VICAR_PERSON alice = VICAR_PERSON_OF(ALICE);
  PSECURITY_DESCRIPTOR assigned = NULL;
  act_as(&alice);
  OK(assign(descriptor(BOB, OBJECT_INHERIT_ACE, GENERIC_READ, "S-1-1-0"), NULL, &assigned, FALSE));
  CHECK(is_owned_by(assigned, ALICE));
  PACCESS_ALLOWED_ACE inherited = entry(assigned);
  if (inherited != NULL) {
    EQ(inherited->Mask, FILE_GENERIC_READ);
    EQ(inherited->Header.AceFlags, 0);
  }
  EQ(((SECURITY_DESCRIPTOR_RELATIVE *)assigned)->Control, SE_SELF_RELATIVE | SE_DACL_PRESENT);
  OK(SeDeassignSecurity(&assigned));
  CHECK(assigned == NULL);
}

TEST(a_creators_descriptor_comes_first) {
  VICAR_PERSON alice = VICAR_PERSON_OF(ALICE);
  PSECURITY_DESCRIPTOR assigned = NULL;
  act_as(&alice);
  OK(assign(NULL, descriptor(ALICE, 0, GENERIC_ALL, BOB), &assigned, FALSE));
  PACCESS_ALLOWED_ACE given = entry(assigned);
  if (given != NULL) {
    EQ(given->Mask, FILE_ALL_ACCESS);
    CHECK(RtlEqualSid(&given->SidStart, sid(BOB)));
  }
  OK(SeDeassignSecurity(&assigned));
}

TEST(what_inherits_says_so_when_asked_to) {
  VICAR_PERSON alice = VICAR_PERSON_OF(ALICE);
  SECURITY_SUBJECT_CONTEXT subject;
  PSECURITY_DESCRIPTOR assigned = NULL;
  act_as(&alice);
  SeCaptureSubjectContext(&subject);
  OK(SeAssignSecurityEx(descriptor(BOB, CONTAINER_INHERIT_ACE, FILE_READ_DATA, "S-1-1-0"), NULL, &assigned, NULL, TRUE,
                        SEF_DACL_AUTO_INHERIT, &subject, &file, PagedPool));
  PACCESS_ALLOWED_ACE inherited = entry(assigned);
  if (inherited != NULL) EQ(inherited->Header.AceFlags, CONTAINER_INHERIT_ACE | INHERITED_ACE);
  CHECK(((SECURITY_DESCRIPTOR_RELATIVE *)assigned)->Control & SE_DACL_AUTO_INHERITED);
  OK(SeDeassignSecurity(&assigned));
  SeReleaseSubjectContext(&subject);
}

TEST(a_creator_cannot_name_a_stranger_owner) {
  VICAR_PERSON alice = VICAR_PERSON_OF(ALICE);
  PSECURITY_DESCRIPTOR assigned = &made;
  act_as(&alice);
  STATUS(assign(NULL, descriptor(BOB, 0, GENERIC_ALL, BOB), &assigned, FALSE), STATUS_INVALID_OWNER);
  CHECK(assigned == NULL);
  alice.Privileges = "SeRestorePrivilege";
  act_as(&alice);
  OK(assign(NULL, descriptor(BOB, 0, GENERIC_ALL, BOB), &assigned, FALSE));
  CHECK(is_owned_by(assigned, BOB));
  OK(SeDeassignSecurity(&assigned));
}

TEST(nothing_is_assigned_from_what_is_malformed) {
  VICAR_PERSON alice = VICAR_PERSON_OF(ALICE);
  SECURITY_SUBJECT_CONTEXT subject;
  PSECURITY_DESCRIPTOR assigned = &made;
  PSECURITY_DESCRIPTOR wrong = descriptor(ALICE, 0, 1, BOB);
  act_as(&alice);
  made.head.Revision = 2;
  STATUS(assign(NULL, wrong, &assigned, FALSE), STATUS_UNKNOWN_REVISION);
  STATUS(assign(wrong, NULL, &assigned, FALSE), STATUS_UNKNOWN_REVISION);
  made.head.Revision = 1;
  made.owner[1] = 16;
  STATUS(assign(NULL, wrong, &assigned, FALSE), STATUS_INVALID_SECURITY_DESCR);
  CHECK(assigned == NULL);
  SeCaptureSubjectContext(&subject);
  STATUS(SeAssignSecurityEx(NULL, NULL, &assigned, NULL, FALSE, 0x80000000u, &subject, &file, PagedPool), STATUS_INVALID_PARAMETER);
  STATUS(SeAssignSecurityEx(NULL, NULL, NULL, NULL, FALSE, 0, &subject, &file, PagedPool), STATUS_INVALID_PARAMETER);
  STATUS(SeAssignSecurity(NULL, NULL, &assigned, FALSE, &subject, NULL, PagedPool), STATUS_INVALID_PARAMETER);
  SeReleaseSubjectContext(&subject);
  EQ(reported(VICAR_RULE_NULL_ARGUMENT), 2);
}

TEST(no_memory_is_told_and_nothing_is_kept) {
  VICAR_PERSON alice = VICAR_PERSON_OF(ALICE);
  SECURITY_SUBJECT_CONTEXT subject;
  PSECURITY_DESCRIPTOR assigned = &made;
  act_as(&alice);
  ULONG64 before = vicar_pool_bytes();
  SeCaptureSubjectContext(&subject);
  vicar_fail_allocation(1, 0);
  STATUS(SeAssignSecurity(NULL, NULL, &assigned, FALSE, &subject, &file, PagedPool), STATUS_INSUFFICIENT_RESOURCES);
  CHECK(assigned == NULL);
  EQ(vicar_pool_bytes(), before);
  SeReleaseSubjectContext(&subject);
}

TEST(nothing_is_freed_where_nothing_is) {
  PSECURITY_DESCRIPTOR none = NULL;
  OK(SeDeassignSecurity(&none));
  STATUS(SeDeassignSecurity(NULL), STATUS_INVALID_PARAMETER);
  EQ(reported(VICAR_RULE_NULL_ARGUMENT), 1);
}

/* Alice's file, as it is stored. */
static PSECURITY_DESCRIPTOR stored(void) {
  PSECURITY_DESCRIPTOR assigned = NULL;
  OK(assign(NULL, descriptor(ALICE, 0, FILE_ALL_ACCESS, ALICE), &assigned, FALSE));
  return assigned;
}

TEST(a_part_is_replaced) {
  VICAR_PERSON alice = VICAR_PERSON_OF(ALICE);
  SECURITY_INFORMATION what = DACL_SECURITY_INFORMATION;
  act_as(&alice);
  PSECURITY_DESCRIPTOR current = stored(), old = current;
  OK(SeSetSecurityDescriptorInfo(NULL, &what, descriptor(BOB, 0, GENERIC_READ, BOB), &current, PagedPool, &file));
  CHECK(current != old);
  CHECK(is_owned_by(current, ALICE));
  PACCESS_ALLOWED_ACE replaced = entry(current);
  if (replaced != NULL) EQ(replaced->Mask, FILE_GENERIC_READ);
  ExFreePool(old);
  OK(SeDeassignSecurity(&current));
}

TEST(inherited_entries_stay_when_asked_to) {
  VICAR_PERSON alice = VICAR_PERSON_OF(ALICE);
  SECURITY_INFORMATION what = DACL_SECURITY_INFORMATION;
  SECURITY_SUBJECT_CONTEXT subject;
  PSECURITY_DESCRIPTOR current = NULL;
  act_as(&alice);
  SeCaptureSubjectContext(&subject);
  OK(SeAssignSecurityEx(descriptor(BOB, OBJECT_INHERIT_ACE, FILE_READ_DATA, "S-1-1-0"), NULL, &current, NULL, FALSE, SEF_DACL_AUTO_INHERIT, &subject, &file, PagedPool));
  SeReleaseSubjectContext(&subject);
  PSECURITY_DESCRIPTOR old = current;
  OK(SeSetSecurityDescriptorInfoEx(NULL, &what, descriptor(NULL, 0, DELETE, BOB), &current, SEF_DACL_AUTO_INHERIT, PagedPool, &file));
  BOOLEAN present, defaulted;
  PACL acl = NULL;
  OK(RtlGetDaclSecurityDescriptor(current, &present, &acl, &defaulted));
  EQ(acl->AceCount, 2);
  ExFreePool(old);
  OK(SeDeassignSecurity(&current));
}

TEST(what_may_not_be_set_is_not) {
  VICAR_PERSON alice = VICAR_PERSON_OF(ALICE);
  SECURITY_INFORMATION what = OWNER_SECURITY_INFORMATION;
  act_as(&alice);
  PSECURITY_DESCRIPTOR current = stored(), old = current, none = NULL, in_parts;
  STATUS(SeSetSecurityDescriptorInfo(NULL, &what, descriptor(BOB, 0, 1, BOB), &current, PagedPool, &file), STATUS_INVALID_OWNER);
  STATUS(SeSetSecurityDescriptorInfo(NULL, &what, descriptor(ALICE, 0, 1, BOB), &none, PagedPool, &file), STATUS_NO_SECURITY_ON_OBJECT);
  in_parts = descriptor(ALICE, 0, 1, BOB);
  STATUS(SeSetSecurityDescriptorInfo(NULL, &what, in_parts, &in_parts, PagedPool, &file), STATUS_BAD_DESCRIPTOR_FORMAT);
  STATUS(SeSetSecurityDescriptorInfoEx(NULL, &what, in_parts, &current, 0x4000, PagedPool, &file), STATUS_INVALID_PARAMETER);
  vicar_fail_allocation(1, 0);
  STATUS(SeSetSecurityDescriptorInfo(NULL, &what, in_parts, &current, PagedPool, &file), STATUS_INSUFFICIENT_RESOURCES);
  CHECK(current == old);
  STATUS(SeSetSecurityDescriptorInfo(NULL, NULL, in_parts, &current, PagedPool, &file), STATUS_INVALID_PARAMETER);
  STATUS(SeSetSecurityDescriptorInfo(NULL, &what, NULL, &current, PagedPool, &file), STATUS_INVALID_SECURITY_DESCR);
  STATUS(SeSetSecurityDescriptorInfo(NULL, &what, in_parts, NULL, PagedPool, &file), STATUS_INVALID_PARAMETER);
  EQ(reported(VICAR_RULE_NULL_ARGUMENT), 3);
  OK(SeDeassignSecurity(&current));
}

TEST(parts_are_queried) {
  VICAR_PERSON alice = VICAR_PERSON_OF(ALICE);
  SECURITY_INFORMATION what = OWNER_SECURITY_INFORMATION;
  ULONG memory[64], length = sizeof memory;
  BOOLEAN present = 7, defaulted;
  PACL acl;
  act_as(&alice);
  PSECURITY_DESCRIPTOR current = stored();
  OK(SeQuerySecurityDescriptorInfo(&what, memory, &length, &current));
  EQ(length, 20 + 28);
  CHECK(is_owned_by(memory, ALICE));
  OK(RtlGetDaclSecurityDescriptor(memory, &present, &acl, &defaulted));
  EQ(present, FALSE);
  OK(SeDeassignSecurity(&current));
}

TEST(what_does_not_fit_is_not_answered) {
  VICAR_PERSON alice = VICAR_PERSON_OF(ALICE);
  SECURITY_INFORMATION what = OWNER_SECURITY_INFORMATION;
  ULONG memory[64] = { 0 }, length = 47;
  PSECURITY_DESCRIPTOR none = NULL, in_parts;
  act_as(&alice);
  PSECURITY_DESCRIPTOR current = stored();
  STATUS(SeQuerySecurityDescriptorInfo(&what, memory, &length, &current), STATUS_BUFFER_TOO_SMALL);
  EQ(length, 48);
  EQ(memory[0], 0);
  STATUS(SeQuerySecurityDescriptorInfo(&what, memory, &length, &none), STATUS_NO_SECURITY_ON_OBJECT);
  in_parts = descriptor(ALICE, 0, 1, BOB);
  STATUS(SeQuerySecurityDescriptorInfo(&what, memory, &length, &in_parts), STATUS_BAD_DESCRIPTOR_FORMAT);
  STATUS(SeQuerySecurityDescriptorInfo(&what, NULL, &length, &current), STATUS_INVALID_PARAMETER);
  STATUS(SeQuerySecurityDescriptorInfo(NULL, memory, &length, &current), STATUS_INVALID_PARAMETER);
  STATUS(SeQuerySecurityDescriptorInfo(&what, memory, NULL, &current), STATUS_INVALID_PARAMETER);
  EQ(reported(VICAR_RULE_NULL_ARGUMENT), 3);
  OK(SeDeassignSecurity(&current));
}

TEST(rights_for_parts_are_told) {
  ACCESS_MASK mask = 0;
  SeQuerySecurityAccessMask(OWNER_SECURITY_INFORMATION | SACL_SECURITY_INFORMATION, &mask);
  EQ(mask, READ_CONTROL | ACCESS_SYSTEM_SECURITY);
  SeSetSecurityAccessMask(OWNER_SECURITY_INFORMATION | DACL_SECURITY_INFORMATION, &mask);
  EQ(mask, WRITE_OWNER | WRITE_DAC);
  SeQuerySecurityAccessMask(0, &mask);
  EQ(mask, 0);
}

TEST(rights_for_parts_go_nowhere_for_null) {
  SeQuerySecurityAccessMask(OWNER_SECURITY_INFORMATION, NULL);
  SeSetSecurityAccessMask(OWNER_SECURITY_INFORMATION, NULL);
  EQ(reported(VICAR_RULE_NULL_ARGUMENT), 2);
}
