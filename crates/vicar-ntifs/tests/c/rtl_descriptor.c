/* Security descriptors: made, filled, looked into, judged, changed in form. */
#include "check.h"

#define ALICE sid("S-1-5-21-7-8-9-1001")
#define USERS sid("S-1-5-32-545")

/* A descriptor in parts with everything in it, kept in memory of the test. */
static struct {
  SECURITY_DESCRIPTOR head;
  UCHAR owner[68], group[68];
  ULONG dacl[16], sacl[16];
} made;

static PSECURITY_DESCRIPTOR parts(void) {
  memset(&made, 0, sizeof made);
  OK(RtlCreateSecurityDescriptor(&made.head, SECURITY_DESCRIPTOR_REVISION));
  OK(RtlCopySid(68, made.owner, ALICE));
  OK(RtlCopySid(68, made.group, USERS));
  OK(RtlCreateAcl((PACL)made.dacl, 28, ACL_REVISION));
  OK(RtlAddAccessAllowedAce((PACL)made.dacl, ACL_REVISION, GENERIC_READ, sid("S-1-1-0")));
  OK(RtlCreateAcl((PACL)made.sacl, 28, ACL_REVISION));
  OK(RtlAddAuditAccessAce((PACL)made.sacl, ACL_REVISION, DELETE, sid("S-1-1-0"), TRUE, TRUE));
  OK(RtlSetOwnerSecurityDescriptor(&made.head, made.owner, FALSE));
  OK(RtlSetGroupSecurityDescriptor(&made.head, made.group, TRUE));
  OK(RtlSetDaclSecurityDescriptor(&made.head, TRUE, (PACL)made.dacl, FALSE));
  OK(RtlSetSaclSecurityDescriptor(&made.head, TRUE, (PACL)made.sacl, TRUE));
  return &made.head;
}

/* The same in one block. */
static ULONG memory[64];
static ULONG block(void) {
  ULONG length = sizeof memory;
  memset(memory, 0xEE, sizeof memory);
  OK(RtlAbsoluteToSelfRelativeSD(parts(), memory, &length));
  return RtlLengthSecurityDescriptor(memory);
}

/* What the getters say of a descriptor of either form. */
static void has_everything(PSECURITY_DESCRIPTOR descriptor) {
  BOOLEAN present = FALSE, defaulted = 7;
  PACL acl = NULL;
  PSID name = NULL;
  OK(RtlGetDaclSecurityDescriptor(descriptor, &present, &acl, &defaulted));
  CHECK(present == TRUE && defaulted == FALSE && acl != NULL && acl->AceCount == 1);
  OK(RtlGetSaclSecurityDescriptor(descriptor, &present, &acl, &defaulted));
  CHECK(present == TRUE && defaulted == TRUE && acl != NULL && acl->AceCount == 1);
  OK(RtlGetOwnerSecurityDescriptor(descriptor, &name, &defaulted));
  CHECK(RtlEqualSid(name, ALICE) && defaulted == FALSE);
  OK(RtlGetGroupSecurityDescriptor(descriptor, &name, &defaulted));
  CHECK(RtlEqualSid(name, USERS) && defaulted == TRUE);
}

TEST(a_descriptor_is_put_together) {
  PSECURITY_DESCRIPTOR whole = parts();
  CHECK(RtlValidSecurityDescriptor(whole));
  EQ(made.head.Control, SE_DACL_PRESENT | SE_SACL_PRESENT | SE_SACL_DEFAULTED | SE_GROUP_DEFAULTED);
  has_everything(whole);
  EQ(RtlLengthSecurityDescriptor(whole), 40 + 28 + 16 + 28 + 28);
}

TEST(an_empty_descriptor_has_nothing) {
  SECURITY_DESCRIPTOR empty;
  BOOLEAN present = 7, defaulted = 7;
  PACL acl = (PACL)&empty;
  PSID name = &empty;
  memset(&empty, 0xEE, sizeof empty);
  OK(RtlCreateSecurityDescriptor(&empty, SECURITY_DESCRIPTOR_REVISION));
  CHECK(RtlValidSecurityDescriptor(&empty));
  EQ(RtlLengthSecurityDescriptor(&empty), 40);
  OK(RtlGetDaclSecurityDescriptor(&empty, &present, &acl, &defaulted));
  CHECK(present == FALSE && acl == (PACL)&empty && defaulted == 7);
  OK(RtlGetSaclSecurityDescriptor(&empty, &present, &acl, &defaulted));
  CHECK(present == FALSE && acl == (PACL)&empty && defaulted == 7);
  OK(RtlGetOwnerSecurityDescriptor(&empty, &name, &defaulted));
  CHECK(name == NULL && defaulted == FALSE);
  OK(RtlGetGroupSecurityDescriptor(&empty, &name, &defaulted));
  CHECK(name == NULL && defaulted == FALSE);
}

TEST(another_revision_is_unknown) {
  SECURITY_DESCRIPTOR other;
  BOOLEAN present = 7, defaulted = 7;
  PACL acl = NULL;
  PSID name = &other;
  STATUS(RtlCreateSecurityDescriptor(&other, 2), STATUS_UNKNOWN_REVISION);
  STATUS(RtlCreateSecurityDescriptor(NULL, 1), STATUS_INVALID_PARAMETER);
  EQ(reported(VICAR_RULE_NULL_ARGUMENT), 1);
  OK(RtlCreateSecurityDescriptor(&other, 1));
  other.Revision = 2;
  STATUS(RtlSetDaclSecurityDescriptor(&other, TRUE, NULL, FALSE), STATUS_UNKNOWN_REVISION);
  STATUS(RtlSetSaclSecurityDescriptor(&other, TRUE, NULL, FALSE), STATUS_UNKNOWN_REVISION);
  STATUS(RtlSetOwnerSecurityDescriptor(&other, NULL, FALSE), STATUS_UNKNOWN_REVISION);
  STATUS(RtlSetGroupSecurityDescriptor(&other, NULL, FALSE), STATUS_UNKNOWN_REVISION);
  STATUS(RtlGetDaclSecurityDescriptor(&other, &present, &acl, &defaulted), STATUS_UNKNOWN_REVISION);
  EQ(present, FALSE);
  STATUS(RtlGetSaclSecurityDescriptor(&other, &present, &acl, &defaulted), STATUS_UNKNOWN_REVISION);
  STATUS(RtlGetOwnerSecurityDescriptor(&other, &name, &defaulted), STATUS_UNKNOWN_REVISION);
  CHECK(name == NULL);
  STATUS(RtlGetGroupSecurityDescriptor(&other, &name, &defaulted), STATUS_UNKNOWN_REVISION);
  CHECK(!RtlValidSecurityDescriptor(&other));
  EQ(RtlLengthSecurityDescriptor(&other), 0);
}

TEST(nothing_is_read_from_null) {
  BOOLEAN present = 7, defaulted;
  PACL acl;
  PSID name;
  PSECURITY_DESCRIPTOR whole = parts();
  STATUS(RtlSetDaclSecurityDescriptor(NULL, TRUE, NULL, FALSE), STATUS_INVALID_SECURITY_DESCR);
  STATUS(RtlGetDaclSecurityDescriptor(NULL, &present, &acl, &defaulted), STATUS_INVALID_SECURITY_DESCR);
  EQ(present, FALSE);
  EQ(RtlLengthSecurityDescriptor(NULL), 0);
  EQ(reported(VICAR_RULE_NULL_ARGUMENT), 3);
  STATUS(RtlGetDaclSecurityDescriptor(whole, NULL, &acl, &defaulted), STATUS_INVALID_PARAMETER);
  STATUS(RtlGetSaclSecurityDescriptor(whole, &present, NULL, &defaulted), STATUS_INVALID_PARAMETER);
  STATUS(RtlGetOwnerSecurityDescriptor(whole, NULL, &defaulted), STATUS_INVALID_PARAMETER);
  STATUS(RtlGetGroupSecurityDescriptor(whole, &name, NULL), STATUS_INVALID_PARAMETER);
  EQ(reported(VICAR_RULE_NULL_ARGUMENT), 4);
  CHECK(!RtlValidSecurityDescriptor(NULL));
}

TEST(parts_are_taken_out_again) {
  SECURITY_DESCRIPTOR *whole = (SECURITY_DESCRIPTOR *)parts();
  OK(RtlSetDaclSecurityDescriptor(whole, FALSE, (PACL)made.dacl, TRUE));
  OK(RtlSetSaclSecurityDescriptor(whole, FALSE, NULL, FALSE));
  OK(RtlSetOwnerSecurityDescriptor(whole, NULL, FALSE));
  OK(RtlSetGroupSecurityDescriptor(whole, NULL, FALSE));
  EQ(whole->Control, 0);
  EQ(RtlLengthSecurityDescriptor(whole), 40);
}

TEST(a_null_dacl_is_present) {
  SECURITY_DESCRIPTOR open;
  BOOLEAN present, defaulted;
  PACL acl = (PACL)&open;
  OK(RtlCreateSecurityDescriptor(&open, 1));
  OK(RtlSetDaclSecurityDescriptor(&open, TRUE, NULL, FALSE));
  OK(RtlGetDaclSecurityDescriptor(&open, &present, &acl, &defaulted));
  CHECK(present && acl == NULL);
  CHECK(RtlValidSecurityDescriptor(&open));
}

TEST(a_descriptor_is_put_into_one_block) {
  ULONG length = block();
  SECURITY_DESCRIPTOR_RELATIVE *head = (SECURITY_DESCRIPTOR_RELATIVE *)memory;
  EQ(length, 20 + 28 + 28 + 28 + 16);
  EQ(head->Control, made.head.Control | SE_SELF_RELATIVE);
  EQ(head->Sacl, 20);
  EQ(head->Dacl, 48);
  EQ(head->Owner, 76);
  EQ(head->Group, 104);
  EQ(((UCHAR *)memory)[length], 0xEE);
  CHECK(RtlValidSecurityDescriptor(memory));
  has_everything(memory);
}

TEST(a_block_is_not_made_where_it_does_not_fit) {
  ULONG length = 119;
  PSECURITY_DESCRIPTOR whole = parts();
  memset(memory, 0, sizeof memory);
  STATUS(RtlAbsoluteToSelfRelativeSD(whole, memory, &length), STATUS_BUFFER_TOO_SMALL);
  EQ(length, 120);
  EQ(memory[0], 0);
  OK(RtlAbsoluteToSelfRelativeSD(whole, memory, &length));
  STATUS(RtlAbsoluteToSelfRelativeSD(memory, memory, &length), STATUS_BAD_DESCRIPTOR_FORMAT);
  STATUS(RtlAbsoluteToSelfRelativeSD(whole, NULL, &length), STATUS_INVALID_PARAMETER);
  STATUS(RtlAbsoluteToSelfRelativeSD(whole, memory, NULL), STATUS_INVALID_PARAMETER);
  STATUS(RtlAbsoluteToSelfRelativeSD(NULL, memory, &length), STATUS_INVALID_SECURITY_DESCR);
  EQ(reported(VICAR_RULE_NULL_ARGUMENT), 3);
  made.owner[1] = 16;
  STATUS(RtlAbsoluteToSelfRelativeSD(whole, memory, &length), STATUS_INVALID_SECURITY_DESCR);
}

TEST(only_parts_can_be_changed) {
  (void)block();
  STATUS(RtlSetDaclSecurityDescriptor(memory, TRUE, NULL, FALSE), STATUS_INVALID_SECURITY_DESCR);
  STATUS(RtlSetSaclSecurityDescriptor(memory, TRUE, NULL, FALSE), STATUS_INVALID_SECURITY_DESCR);
  STATUS(RtlSetOwnerSecurityDescriptor(memory, NULL, FALSE), STATUS_INVALID_SECURITY_DESCR);
  STATUS(RtlSetGroupSecurityDescriptor(memory, NULL, FALSE), STATUS_INVALID_SECURITY_DESCR);
  has_everything(memory);
}

TEST(a_block_is_taken_apart) {
  SECURITY_DESCRIPTOR head;
  ULONG dacl[7], sacl[7], owner[7], group[4];
  ULONG sizes[5] = { sizeof head, sizeof dacl, sizeof sacl, sizeof owner, sizeof group };
  (void)block();
  OK(RtlSelfRelativeToAbsoluteSD(memory, &head, &sizes[0], (PACL)dacl, &sizes[1], (PACL)sacl, &sizes[2], owner, &sizes[3], group, &sizes[4]));
  EQ(head.Control, made.head.Control);
  CHECK(head.Dacl == (PACL)dacl && head.Sacl == (PACL)sacl && head.Owner == owner && head.Group == group);
  has_everything(&head);
}

TEST(a_block_is_not_taken_apart_into_too_little) {
  SECURITY_DESCRIPTOR head;
  ULONG sizes[5] = { sizeof head, 0, 0, 0, 0 };
  memset(&head, 0xEE, sizeof head);
  (void)block();
  STATUS(RtlSelfRelativeToAbsoluteSD(memory, &head, &sizes[0], NULL, &sizes[1], NULL, &sizes[2], NULL, &sizes[3], NULL, &sizes[4]), STATUS_BUFFER_TOO_SMALL);
  CHECK(sizes[0] == 40 && sizes[1] == 28 && sizes[2] == 28 && sizes[3] == 28 && sizes[4] == 16);
  EQ(head.Revision, 0xEE);
  STATUS(RtlSelfRelativeToAbsoluteSD(memory, &head, &sizes[0], NULL, &sizes[1], NULL, &sizes[2], NULL, &sizes[3], NULL, &sizes[4]), STATUS_INVALID_PARAMETER);
  STATUS(RtlSelfRelativeToAbsoluteSD(memory, &head, NULL, NULL, &sizes[1], NULL, &sizes[2], NULL, &sizes[3], NULL, &sizes[4]), STATUS_INVALID_PARAMETER);
  EQ(reported(VICAR_RULE_NULL_ARGUMENT), 2);
  STATUS(RtlSelfRelativeToAbsoluteSD(parts(), &head, &sizes[0], NULL, &sizes[1], NULL, &sizes[2], NULL, &sizes[3], NULL, &sizes[4]), STATUS_BAD_DESCRIPTOR_FORMAT);
  memory[0] = 2;
  STATUS(RtlSelfRelativeToAbsoluteSD(memory, &head, &sizes[0], NULL, &sizes[1], NULL, &sizes[2], NULL, &sizes[3], NULL, &sizes[4]), STATUS_UNKNOWN_REVISION);
}

TEST(bytes_of_a_stranger_are_judged_within_their_bounds) {
  const SECURITY_INFORMATION all = OWNER_SECURITY_INFORMATION | GROUP_SECURITY_INFORMATION | DACL_SECURITY_INFORMATION | SACL_SECURITY_INFORMATION;
  ULONG length = block();
  UCHAR *exact = guarded(memory, length);
  CHECK(RtlValidRelativeSecurityDescriptor(exact, length, 0));
  CHECK(RtlValidRelativeSecurityDescriptor(exact, length, all));
  CHECK(SeValidSecurityDescriptor(length, exact));
  EQ(RtlLengthSecurityDescriptor(exact), length);
  for (ULONG cut = 0; cut < length; cut++) {
    UCHAR *less = guarded(memory, cut);
    CHECK(!RtlValidRelativeSecurityDescriptor(less, cut, 0));
    CHECK(!SeValidSecurityDescriptor(cut, less));
  }
}

TEST(parts_that_are_required_must_be_there) {
  ULONG length = block();
  SECURITY_DESCRIPTOR_RELATIVE *head = (SECURITY_DESCRIPTOR_RELATIVE *)memory;
  head->Control = (USHORT)(head->Control & ~SE_SACL_PRESENT);
  CHECK(!RtlValidRelativeSecurityDescriptor(memory, length, SACL_SECURITY_INFORMATION));
  head->Dacl = 0;
  CHECK(!RtlValidRelativeSecurityDescriptor(memory, length, DACL_SECURITY_INFORMATION));
  head->Group = 0;
  CHECK(!RtlValidRelativeSecurityDescriptor(memory, length, GROUP_SECURITY_INFORMATION));
  CHECK(SeValidSecurityDescriptor(length, memory));
  head->Owner = 0;
  CHECK(!RtlValidRelativeSecurityDescriptor(memory, length, OWNER_SECURITY_INFORMATION));
  CHECK(RtlValidRelativeSecurityDescriptor(memory, length, 0));
  CHECK(!SeValidSecurityDescriptor(length, memory));
  CHECK(!RtlValidRelativeSecurityDescriptor(NULL, length, 0));
  CHECK(!SeValidSecurityDescriptor(length, NULL));
}

TEST(wrong_offsets_are_refused) {
  const ULONG offsets[] = { 4, 19, 21, 78, 116, 120, 0x7FFFFFFC, 0xFFFFFFFC };
  for (unsigned index = 0; index < sizeof offsets / sizeof offsets[0]; index++) {
    ULONG length = block();
    SECURITY_DESCRIPTOR_RELATIVE *head = (SECURITY_DESCRIPTOR_RELATIVE *)memory;
    head->Owner = offsets[index];
    CHECK(!RtlValidRelativeSecurityDescriptor(guarded(memory, length), length, 0));
    CHECK(!SeValidSecurityDescriptor(length, guarded(memory, length)));
    length = block();
    head->Dacl = offsets[index];
    CHECK(!RtlValidRelativeSecurityDescriptor(guarded(memory, length), length, 0));
  }
}

TEST(parts_that_are_malformed_are_not_valid) {
  PSECURITY_DESCRIPTOR whole = parts();
  made.group[0] = 2;
  CHECK(!RtlValidSecurityDescriptor(whole));
  EQ(RtlLengthSecurityDescriptor(whole), 0);
  whole = parts();
  ((PACL)made.dacl)->AceCount = 2;
  CHECK(!RtlValidSecurityDescriptor(whole));
  made.head.Control = (USHORT)(made.head.Control & ~SE_DACL_PRESENT);
  CHECK(RtlValidSecurityDescriptor(whole));
}

/* The parts are written over the block that they are read from. */
TEST(a_block_is_taken_apart_in_its_own_memory) {
  ULONG memory[40], sizes[5] = { 40, 0, 0, 16, 16 }, head[10];
  ULONG made[20] = { 0x80000001, 20, 32, 0, 0 };
  memcpy(made + 5, sid("S-1-5-18"), 12);
  memcpy(made + 8, sid("S-1-5-19"), 12);
  memcpy(memory, made, sizeof made);
  /* The owner goes where the group is. */
  OK(RtlSelfRelativeToAbsoluteSD(memory, (PSECURITY_DESCRIPTOR)head, &sizes[0], NULL, &sizes[1], NULL, &sizes[2], memory + 8, &sizes[3], memory + 20,
                                 &sizes[4]));
  CHECK(RtlEqualSid(memory + 8, sid("S-1-5-18")));
  CHECK(RtlEqualSid(memory + 20, sid("S-1-5-19")));
}
