/* Access lists: made, filled, walked, cut, judged. */
#include "check.h"

#define EVERYONE sid("S-1-1-0")
#define ADMINS sid("S-1-5-32-544")

/* A list of so many bytes. */
static PACL list(ULONG bytes) {
  static ULONG memory[16384];
  memset(memory, 0xEE, sizeof memory);
  OK(RtlCreateAcl((PACL)memory, bytes, ACL_REVISION));
  return (PACL)memory;
}

static PACE_HEADER ace(PACL from, ULONG index) {
  PVOID found = NULL;
  OK(RtlGetAce(from, index, &found));
  return (PACE_HEADER)found;
}

/* An entry with these contents stands at an index. */
static void is_ace(PACL in, ULONG index, UCHAR type, UCHAR flags, ACCESS_MASK mask, PSID whose) {
  PACCESS_ALLOWED_ACE found = (PACCESS_ALLOWED_ACE)ace(in, index);
  if (found == NULL) return;
  EQ(found->Header.AceType, type);
  EQ(found->Header.AceFlags, flags);
  EQ(found->Header.AceSize, 8 + RtlLengthSid(whose));
  EQ(found->Mask, mask);
  CHECK(RtlEqualSid(&found->SidStart, whose));
}

TEST(an_empty_list_is_made) {
  PACL made = list(100);
  EQ(made->AclRevision, ACL_REVISION);
  EQ(made->AclSize, 100);
  EQ(made->AceCount, 0);
  CHECK(RtlValidAcl(made));
  OK(RtlCreateAcl(made, 103, ACL_REVISION_DS));
  EQ(made->AclRevision, ACL_REVISION_DS);
  EQ(made->AclSize, 100);
  OK(RtlCreateAcl(made, 8, ACL_REVISION));
  CHECK(RtlValidAcl(made));
}

TEST(a_list_is_not_made_of_wrong_numbers) {
  ULONG memory[2] = { 0, 0 };
  STATUS(RtlCreateAcl((PACL)memory, 7, ACL_REVISION), STATUS_BUFFER_TOO_SMALL);
  STATUS(RtlCreateAcl((PACL)memory, 8, 1), STATUS_INVALID_PARAMETER);
  STATUS(RtlCreateAcl((PACL)memory, 8, 5), STATUS_INVALID_PARAMETER);
  STATUS(RtlCreateAcl((PACL)memory, 65536, ACL_REVISION), STATUS_INVALID_PARAMETER);
  EQ(memory[0], 0);
  STATUS(RtlCreateAcl(NULL, 8, ACL_REVISION), STATUS_INVALID_PARAMETER);
  EQ(reported(VICAR_RULE_NULL_ARGUMENT), 1);
}

TEST(entries_stand_in_the_order_they_were_added) {
  PACL made = list(200);
  OK(RtlAddAccessAllowedAce(made, ACL_REVISION, FILE_READ_DATA, EVERYONE));
  OK(RtlAddAccessDeniedAce(made, ACL_REVISION, FILE_WRITE_DATA, ADMINS));
  OK(RtlAddAuditAccessAce(made, ACL_REVISION, DELETE, EVERYONE, TRUE, FALSE));
  EQ(made->AceCount, 3);
  CHECK(RtlValidAcl(made));
  is_ace(made, 0, ACCESS_ALLOWED_ACE_TYPE, 0, FILE_READ_DATA, EVERYONE);
  is_ace(made, 1, ACCESS_DENIED_ACE_TYPE, 0, FILE_WRITE_DATA, ADMINS);
  is_ace(made, 2, SYSTEM_AUDIT_ACE_TYPE, SUCCESSFUL_ACCESS_ACE_FLAG, DELETE, EVERYONE);
}

TEST(entries_have_inheritance_flags) {
  PACL made = list(200);
  OK(RtlAddAccessAllowedAceEx(made, ACL_REVISION, OBJECT_INHERIT_ACE | CONTAINER_INHERIT_ACE, GENERIC_READ, EVERYONE));
  OK(RtlAddAccessDeniedAceEx(made, ACL_REVISION, INHERITED_ACE, GENERIC_ALL, ADMINS));
  OK(RtlAddAuditAccessAceEx(made, ACL_REVISION, INHERIT_ONLY_ACE | SUCCESSFUL_ACCESS_ACE_FLAG, DELETE, EVERYONE, FALSE, 7));
  is_ace(made, 0, ACCESS_ALLOWED_ACE_TYPE, 3, GENERIC_READ, EVERYONE);
  is_ace(made, 1, ACCESS_DENIED_ACE_TYPE, INHERITED_ACE, GENERIC_ALL, ADMINS);
  is_ace(made, 2, SYSTEM_AUDIT_ACE_TYPE, 0xC8, DELETE, EVERYONE);
}

TEST(a_label_is_added) {
  PACL made = list(100);
  PSID low = sid("S-1-16-4096");
  OK(RtlAddMandatoryAce(made, ACL_REVISION, 0, low, SYSTEM_MANDATORY_LABEL_ACE_TYPE, SYSTEM_MANDATORY_LABEL_NO_WRITE_UP));
  is_ace(made, 0, SYSTEM_MANDATORY_LABEL_ACE_TYPE, 0, SYSTEM_MANDATORY_LABEL_NO_WRITE_UP, low);
}

TEST(what_is_no_label_is_not_added) {
  PACL made = list(100);
  PSID low = sid("S-1-16-4096");
  STATUS(RtlAddMandatoryAce(made, ACL_REVISION, 0, EVERYONE, SYSTEM_MANDATORY_LABEL_ACE_TYPE, 1), STATUS_INVALID_PARAMETER);
  STATUS(RtlAddMandatoryAce(made, ACL_REVISION, 0, low, SYSTEM_AUDIT_ACE_TYPE, 1), STATUS_INVALID_PARAMETER);
  STATUS(RtlAddMandatoryAce(made, ACL_REVISION, 0, low, SYSTEM_MANDATORY_LABEL_ACE_TYPE, 8), STATUS_INVALID_PARAMETER);
  STATUS(RtlAddMandatoryAce(made, ACL_REVISION, 0x40, low, SYSTEM_MANDATORY_LABEL_ACE_TYPE, 1), STATUS_INVALID_PARAMETER);
  STATUS(RtlAddMandatoryAce(made, ACL_REVISION, 0, NULL, SYSTEM_MANDATORY_LABEL_ACE_TYPE, 1), STATUS_INVALID_SID);
  EQ(made->AceCount, 0);
}

TEST(an_entry_that_does_not_fit_changes_nothing) {
  PACL made = list(27);
  UCHAR before[28], *bytes = (UCHAR *)made;
  memcpy(before, bytes, sizeof before);
  STATUS(RtlAddAccessAllowedAce(made, ACL_REVISION, 1, EVERYONE), STATUS_ALLOTTED_SPACE_EXCEEDED);
  STATUS(RtlAddAccessDeniedAce(made, ACL_REVISION, 1, EVERYONE), STATUS_ALLOTTED_SPACE_EXCEEDED);
  STATUS(RtlAddAuditAccessAce(made, ACL_REVISION, 1, EVERYONE, TRUE, TRUE), STATUS_ALLOTTED_SPACE_EXCEEDED);
  STATUS(RtlAddAccessAllowedAceEx(made, ACL_REVISION, 0, 1, EVERYONE), STATUS_ALLOTTED_SPACE_EXCEEDED);
  SAME(before, bytes, sizeof before);
  made = list(28);
  OK(RtlAddAccessAllowedAce(made, ACL_REVISION, 1, EVERYONE));
  EQ(bytes[28], 0xEE);
}

TEST(no_entry_is_added_with_wrong_numbers) {
  PACL made = list(100);
  UCHAR wrong[12] = { 1, 16 };
  STATUS(RtlAddAccessAllowedAce(made, 1, 1, EVERYONE), STATUS_REVISION_MISMATCH);
  STATUS(RtlAddAccessAllowedAce(made, 5, 1, EVERYONE), STATUS_REVISION_MISMATCH);
  STATUS(RtlAddAccessAllowedAce(made, ACL_REVISION, 1, wrong), STATUS_INVALID_SID);
  STATUS(RtlAddAccessDeniedAce(made, ACL_REVISION, 1, wrong), STATUS_INVALID_SID);
  STATUS(RtlAddAuditAccessAce(made, ACL_REVISION, 1, NULL, TRUE, TRUE), STATUS_INVALID_SID);
  STATUS(RtlAddAccessAllowedAceEx(made, ACL_REVISION, 0x20, 1, EVERYONE), STATUS_INVALID_PARAMETER);
  STATUS(RtlAddAccessDeniedAceEx(made, ACL_REVISION, 0x100, 1, EVERYONE), STATUS_INVALID_PARAMETER);
  STATUS(RtlAddAuditAccessAceEx(made, ACL_REVISION, 0x20, 1, EVERYONE, TRUE, TRUE), STATUS_INVALID_PARAMETER);
  EQ(made->AceCount, 0);
  STATUS(RtlAddAccessAllowedAce(NULL, ACL_REVISION, 1, EVERYONE), STATUS_INVALID_ACL);
  STATUS(RtlAddAccessDeniedAceEx(NULL, ACL_REVISION, 0, 1, EVERYONE), STATUS_INVALID_ACL);
  EQ(reported(VICAR_RULE_NULL_ARGUMENT), 2);
}

TEST(nothing_is_added_to_a_malformed_list) {
  PACL made = list(100);
  OK(RtlAddAccessAllowedAce(made, ACL_REVISION, 1, EVERYONE));
  ace(made, 0)->AceSize = 12;
  CHECK(!RtlValidAcl(made));
  STATUS(RtlAddAccessAllowedAce(made, ACL_REVISION, 1, EVERYONE), STATUS_INVALID_ACL);
  STATUS(RtlAddAccessDeniedAce(made, ACL_REVISION, 1, EVERYONE), STATUS_INVALID_ACL);
}

TEST(malformed_lists_are_not_valid) {
  PACL made = list(28);
  CHECK(!RtlValidAcl(NULL));
  OK(RtlAddAccessAllowedAce(made, ACL_REVISION, 1, EVERYONE));
  CHECK(RtlValidAcl(made));
  made->AclRevision = 1;
  CHECK(!RtlValidAcl(made));
  made->AclRevision = 5;
  CHECK(!RtlValidAcl(made));
  made->AclRevision = 2;
  made->AclSize = 24;
  CHECK(!RtlValidAcl(made));
  made->AclSize = 4;
  CHECK(!RtlValidAcl(made));
  made->AclSize = 28;
  made->AceCount = 2;
  CHECK(!RtlValidAcl(made));
}

TEST(nothing_behind_a_list_is_read) {
  PACL made = list(48);
  PVOID found = NULL;
  OK(RtlAddAccessAllowedAce(made, ACL_REVISION, 1, EVERYONE));
  OK(RtlAddAccessAllowedAce(made, ACL_REVISION, 2, EVERYONE));
  EQ(made->AclSize, 48);
  /* Every byte of the head and the entries set to something else: whatever it says, the list ends where it ends. */
  for (unsigned at = 0; at < 48; at++) {
    for (unsigned value = 0; value < 256; value += at < 8 ? 1 : 15) {
      UCHAR bytes[48];
      memcpy(bytes, made, sizeof bytes);
      bytes[at] = (UCHAR)value;
      if (bytes[2] + 256 * bytes[3] > 48) continue;
      PACL changed = (PACL)(void *)guarded(bytes, sizeof bytes);
      if (!RtlValidAcl(changed)) {
        CHECK(!RtlFirstFreeAce(changed, &found));
        STATUS(RtlGetAce(changed, 0, &found), STATUS_INVALID_PARAMETER);
        STATUS(RtlDeleteAce(changed, 0), STATUS_INVALID_PARAMETER);
        STATUS(RtlAddAccessAllowedAce(changed, ACL_REVISION, 1, EVERYONE), STATUS_INVALID_ACL);
      } else if (RtlGetAce(changed, 1, &found) == STATUS_SUCCESS) {
        CHECK((UCHAR *)found + ((PACE_HEADER)found)->AceSize <= (UCHAR *)changed + 48);
        OK(RtlDeleteAce(changed, 1));
      }
    }
  }
}

TEST(the_free_end_of_a_list_is_found) {
  PACL made = list(28);
  PVOID end = made;
  CHECK(RtlFirstFreeAce(made, &end));
  CHECK(end == (UCHAR *)made + 8);
  OK(RtlAddAccessAllowedAce(made, ACL_REVISION, 1, EVERYONE));
  CHECK(RtlFirstFreeAce(made, &end));
  CHECK(end == NULL);
}

TEST(a_malformed_list_has_no_free_end) {
  PACL made = list(28);
  PVOID end = made;
  made->AceCount = 1;
  CHECK(!RtlFirstFreeAce(made, &end));
  CHECK(end == NULL);
  CHECK(!RtlFirstFreeAce(NULL, &end));
  made->AceCount = 0;
  CHECK(!RtlFirstFreeAce(made, NULL));
  EQ(reported(VICAR_RULE_NULL_ARGUMENT), 1);
}

TEST(an_entry_is_deleted_and_the_others_move_up) {
  PACL made = list(200);
  OK(RtlAddAccessAllowedAce(made, ACL_REVISION, 1, EVERYONE));
  OK(RtlAddAccessAllowedAce(made, ACL_REVISION, 2, ADMINS));
  OK(RtlAddAccessAllowedAce(made, ACL_REVISION, 4, EVERYONE));
  OK(RtlDeleteAce(made, 1));
  EQ(made->AceCount, 2);
  is_ace(made, 0, ACCESS_ALLOWED_ACE_TYPE, 0, 1, EVERYONE);
  is_ace(made, 1, ACCESS_ALLOWED_ACE_TYPE, 0, 4, EVERYONE);
  OK(RtlDeleteAce(made, 1));
  OK(RtlDeleteAce(made, 0));
  EQ(made->AceCount, 0);
  EQ(made->AclSize, 200);
}

TEST(there_is_no_entry_behind_the_last) {
  PACL made = list(100);
  PVOID found = made;
  OK(RtlAddAccessAllowedAce(made, ACL_REVISION, 1, EVERYONE));
  STATUS(RtlGetAce(made, 1, &found), STATUS_INVALID_PARAMETER);
  CHECK(found == NULL);
  STATUS(RtlGetAce(made, MAXULONG, &found), STATUS_INVALID_PARAMETER);
  STATUS(RtlGetAce(made, 0, NULL), STATUS_INVALID_PARAMETER);
  STATUS(RtlDeleteAce(made, 1), STATUS_INVALID_PARAMETER);
  EQ(made->AceCount, 1);
  STATUS(RtlGetAce(NULL, 0, &found), STATUS_INVALID_PARAMETER);
  STATUS(RtlDeleteAce(NULL, 0), STATUS_INVALID_PARAMETER);
  EQ(reported(VICAR_RULE_NULL_ARGUMENT), 2);
}

TEST(whole_entries_are_added_anywhere) {
  ULONG memory[50];
  PACL from = (PACL)memory, to = list(200);
  OK(RtlCreateAcl(from, sizeof memory, ACL_REVISION));
  OK(RtlAddAccessDeniedAce(from, ACL_REVISION, 1, EVERYONE));
  OK(RtlAddAccessDeniedAce(from, ACL_REVISION, 2, ADMINS));
  OK(RtlAddAccessAllowedAce(to, ACL_REVISION, 4, EVERYONE));
  OK(RtlAddAce(to, ACL_REVISION, 0, from + 1, 44));
  OK(RtlAddAce(to, ACL_REVISION, MAXULONG, from + 1, 20));
  EQ(to->AceCount, 4);
  is_ace(to, 0, ACCESS_DENIED_ACE_TYPE, 0, 1, EVERYONE);
  is_ace(to, 1, ACCESS_DENIED_ACE_TYPE, 0, 2, ADMINS);
  is_ace(to, 2, ACCESS_ALLOWED_ACE_TYPE, 0, 4, EVERYONE);
  is_ace(to, 3, ACCESS_DENIED_ACE_TYPE, 0, 1, EVERYONE);
}

TEST(an_object_entry_raises_the_revision) {
  struct {
    ACCESS_ALLOWED_OBJECT_ACE head;
    ULONG rest[2];
  } entry;
  PACL made = list(100);
  memset(&entry, 0, sizeof entry);
  entry.head.Header.AceType = ACCESS_ALLOWED_OBJECT_ACE_TYPE;
  entry.head.Header.AceSize = sizeof entry;
  entry.head.Flags = ACE_OBJECT_TYPE_PRESENT | ACE_INHERITED_OBJECT_TYPE_PRESENT;
  memcpy(&entry.head.SidStart, EVERYONE, 12);
  STATUS(RtlAddAce(made, ACL_REVISION, MAXULONG, &entry, sizeof entry), STATUS_INVALID_PARAMETER);
  OK(RtlAddAce(made, ACL_REVISION_DS, MAXULONG, &entry, sizeof entry));
  EQ(made->AclRevision, ACL_REVISION_DS);
  CHECK(RtlValidAcl(made));
}

TEST(entries_that_are_none_are_not_added) {
  ULONG memory[50] = { 0 };
  PACL from = (PACL)memory, to = list(60);
  OK(RtlCreateAcl(from, sizeof memory, ACL_REVISION));
  OK(RtlAddAccessDeniedAce(from, ACL_REVISION, 1, EVERYONE));
  STATUS(RtlAddAce(to, ACL_REVISION, 0, from + 1, 16), STATUS_INVALID_PARAMETER);
  STATUS(RtlAddAce(to, ACL_REVISION, 0, from + 1, 24), STATUS_INVALID_PARAMETER);
  STATUS(RtlAddAce(to, 5, 0, from + 1, 20), STATUS_INVALID_PARAMETER);
  STATUS(RtlAddAce(to, ACL_REVISION, 0, NULL, 20), STATUS_INVALID_PARAMETER);
  OK(RtlAddAce(to, ACL_REVISION, 0, from + 1, 20));
  OK(RtlAddAce(to, ACL_REVISION, 0, from + 1, 20));
  STATUS(RtlAddAce(to, ACL_REVISION, 0, from + 1, 20), STATUS_BUFFER_TOO_SMALL);
  EQ(to->AceCount, 2);
  STATUS(RtlAddAce(NULL, ACL_REVISION, 0, from + 1, 20), STATUS_INVALID_PARAMETER);
  EQ(reported(VICAR_RULE_NULL_ARGUMENT), 1);
}

TEST(a_list_holds_as_many_entries_as_fit) {
  PACL made = list(65535);
  unsigned count = 0;
  EQ(made->AclSize, 65532);
  while (RtlAddAccessAllowedAce(made, ACL_REVISION, 1, EVERYONE) == STATUS_SUCCESS) count++;
  EQ(count, (65532 - 8) / 20);
  EQ(made->AceCount, count);
  CHECK(RtlValidAcl(made));
}
