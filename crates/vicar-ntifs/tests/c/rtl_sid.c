/* SIDs: built, compared, copied, written as text. */
#include "check.h"

static SID_IDENTIFIER_AUTHORITY nt = { SECURITY_NT_AUTHORITY };

TEST(a_sid_is_built_step_by_step) {
  ULONG memory[4];
  PSID built = memory;
  EQ(RtlLengthRequiredSid(2), sizeof memory);
  OK(RtlInitializeSid(built, &nt, 2));
  *RtlSubAuthoritySid(built, 0) = SECURITY_BUILTIN_DOMAIN_RID;
  *RtlSubAuthoritySid(built, 1) = DOMAIN_ALIAS_RID_ADMINS;
  CHECK(RtlValidSid(built));
  EQ(RtlLengthSid(built), 16);
  EQ(SeLengthSid(built), 16);
  EQ(*RtlSubAuthorityCountSid(built), 2);
  SAME(RtlIdentifierAuthoritySid(built), &nt, sizeof nt);
  CHECK(RtlEqualSid(built, sid("S-1-5-32-544")));
}

TEST(a_sid_has_at_most_fifteen_sub_authorities) {
  UCHAR memory[68] = { 0 };
  EQ(RtlLengthRequiredSid(0), 8);
  EQ(RtlLengthRequiredSid(15), SECURITY_MAX_SID_SIZE);
  STATUS(RtlInitializeSid(memory, &nt, 16), STATUS_INVALID_PARAMETER);
  EQ(memory[0], 0);
  OK(RtlInitializeSid(memory, &nt, 15));
  CHECK(RtlSubAuthoritySid(memory, 14) == (PULONG)(memory + 64));
  CHECK(RtlSubAuthoritySid(memory, 15) == NULL);
  STATUS(RtlInitializeSid(NULL, &nt, 1), STATUS_INVALID_PARAMETER);
  STATUS(RtlInitializeSid(memory, NULL, 1), STATUS_INVALID_PARAMETER);
  EQ(reported(VICAR_RULE_NULL_ARGUMENT), 2);
}

TEST(a_sid_without_sub_authorities_is_valid) {
  UCHAR memory[8];
  OK(RtlInitializeSid(memory, &nt, 0));
  CHECK(RtlValidSid(memory));
  EQ(RtlLengthSid(memory), 8);
}

TEST(nothing_behind_a_sid_is_read) {
  PSID users = guarded(sid("S-1-5-32-545"), 16);
  CHECK(RtlValidSid(users));
  EQ(RtlLengthSid(users), 16);
  CHECK(RtlEqualSid(users, sid("S-1-5-32-545")));
  CHECK(RtlEqualPrefixSid(sid("S-1-5-32-544"), users));
  ULONG memory[4];
  OK(RtlCopySid(16, memory, users));
  UCHAR count[2] = { 1, 16 };
  CHECK(!RtlValidSid(guarded(count, 2)));
  WCHAR text[4] = { L'a', L'b', L'c', 0 };
  UNICODE_STRING string;
  RtlInitUnicodeString(&string, (PCWSTR)(void *)guarded(text, sizeof text));
  EQ(string.Length, 6);
}

TEST(what_is_no_sid_is_not_valid) {
  UCHAR revision[12] = { 2, 1 }, count[12] = { 1, 16 };
  CHECK(!RtlValidSid(NULL));
  CHECK(!RtlValidSid(revision));
  CHECK(!RtlValidSid(count));
  EQ(RtlLengthSid(revision), 0);
  EQ(RtlLengthSid(count), 0);
  EQ(reported(VICAR_RULE_NULL_ARGUMENT), 0);
  EQ(RtlLengthSid(NULL), 0);
  EQ(reported(VICAR_RULE_NULL_ARGUMENT), 1);
}

TEST(places_inside_no_sid_are_null) {
  CHECK(RtlSubAuthorityCountSid(NULL) == NULL);
  CHECK(RtlIdentifierAuthoritySid(NULL) == NULL);
  CHECK(RtlSubAuthoritySid(NULL, 0) == NULL);
  EQ(reported(VICAR_RULE_NULL_ARGUMENT), 3);
}

TEST(a_sid_need_not_be_aligned) {
  UCHAR memory[3 + 16];
  PSID odd = memory + 3;
  OK(RtlCopySid(16, odd, sid("S-1-5-32-545")));
  CHECK(RtlValidSid(odd));
  CHECK(RtlEqualSid(odd, sid("S-1-5-32-545")));
  EQ(RtlLengthSid(odd), 16);
}

TEST(sids_differ_in_any_part) {
  PSID users = sid("S-1-5-32-545");
  CHECK(RtlEqualSid(users, sid("S-1-5-32-545")));
  CHECK(!RtlEqualSid(users, sid("S-1-5-32-544")));
  CHECK(!RtlEqualSid(users, sid("S-1-5-32")));
  CHECK(!RtlEqualSid(users, sid("S-1-3-32-545")));
}

TEST(prefixes_leave_the_last_number_out) {
  PSID alice = sid("S-1-5-21-7-8-9-1001");
  CHECK(RtlEqualPrefixSid(alice, sid("S-1-5-21-7-8-9-1002")));
  CHECK(!RtlEqualPrefixSid(alice, sid("S-1-5-21-7-8-10-1001")));
  CHECK(!RtlEqualPrefixSid(alice, sid("S-1-5-21-7-8-9")));
  CHECK(!RtlEqualPrefixSid(alice, sid("S-1-4-21-7-8-9-1001")));
  CHECK(RtlEqualPrefixSid(sid("S-1-5-18"), sid("S-1-5-19")));
}

TEST(what_is_no_sid_equals_nothing) {
  UCHAR wrong[12] = { 1, 16 };
  CHECK(!RtlEqualSid(wrong, wrong));
  CHECK(!RtlEqualPrefixSid(wrong, wrong));
  EQ(reported(VICAR_RULE_NULL_ARGUMENT), 0);
  CHECK(!RtlEqualSid(NULL, NULL));
  CHECK(!RtlEqualPrefixSid(NULL, sid("S-1-1-0")));
  EQ(reported(VICAR_RULE_NULL_ARGUMENT), 3);
}

TEST(a_sid_is_copied_where_there_is_room) {
  UCHAR memory[20];
  memset(memory, 0xEE, sizeof memory);
  OK(RtlCopySid(16, memory, sid("S-1-5-32-544")));
  CHECK(RtlEqualSid(memory, sid("S-1-5-32-544")));
  EQ(memory[16], 0xEE);
}

TEST(a_sid_that_does_not_fit_is_not_copied) {
  UCHAR memory[16] = { 0 }, wrong[12] = { 3 };
  STATUS(RtlCopySid(15, memory, sid("S-1-5-32-544")), STATUS_BUFFER_TOO_SMALL);
  EQ(memory[0], 0);
  STATUS(RtlCopySid(16, memory, wrong), STATUS_INVALID_SID);
  STATUS(RtlCopySid(16, memory, NULL), STATUS_INVALID_SID);
  STATUS(RtlCopySid(16, NULL, sid("S-1-1-0")), STATUS_INVALID_PARAMETER);
  EQ(memory[0], 0);
  EQ(reported(VICAR_RULE_NULL_ARGUMENT), 2);
}

static int is_text(const UNICODE_STRING *string, const WCHAR *text, USHORT characters) {
  return string->Length == 2 * characters && memcmp(string->Buffer, text, string->Length) == 0;
}

TEST(a_sid_is_written_as_text) {
  WCHAR memory[9];
  UNICODE_STRING text = { 0, sizeof memory, memory };
  memset(memory, 0xEE, sizeof memory);
  OK(RtlConvertSidToUnicodeString(&text, sid("S-1-5-18"), FALSE));
  CHECK(is_text(&text, L"S-1-5-18", 8));
  EQ(memory[8], 0);
  EQ(text.MaximumLength, sizeof memory);
  text.MaximumLength = 16;
  memory[8] = 0xEEEE;
  OK(RtlConvertSidToUnicodeString(&text, sid("S-1-5-19"), FALSE));
  CHECK(is_text(&text, L"S-1-5-19", 8));
  EQ(memory[8], 0xEEEE);
}

TEST(a_sid_is_written_into_memory_of_the_pool) {
  UNICODE_STRING text = { 1, 1, NULL };
  ULONG64 before = vicar_pool_bytes();
  OK(RtlConvertSidToUnicodeString(&text, sid("S-1-0x500000000-32-579"), TRUE));
  CHECK(is_text(&text, L"S-1-0x500000000-32-579", 22));
  EQ(text.MaximumLength, 46);
  EQ(text.Buffer[22], 0);
  CHECK(vicar_pool_bytes() > before);
  RtlFreeUnicodeString(&text);
  CHECK(text.Buffer == NULL && text.Length == 0 && text.MaximumLength == 0);
  EQ(vicar_pool_bytes(), before);
}

TEST(a_text_that_does_not_fit_is_not_written) {
  WCHAR memory[8] = { 7 };
  UCHAR wrong[12] = { 9 };
  UNICODE_STRING text = { 3, 14, memory };
  STATUS(RtlConvertSidToUnicodeString(&text, sid("S-1-5-18"), FALSE), STATUS_BUFFER_OVERFLOW);
  EQ(text.Length, 3);
  EQ(memory[0], 7);
  STATUS(RtlConvertSidToUnicodeString(&text, wrong, FALSE), STATUS_INVALID_SID);
  vicar_fail_allocation(1, 0);
  STATUS(RtlConvertSidToUnicodeString(&text, sid("S-1-5-18"), TRUE), STATUS_NO_MEMORY);
  CHECK(text.Buffer == memory);
  STATUS(RtlConvertSidToUnicodeString(NULL, sid("S-1-5-18"), TRUE), STATUS_INVALID_PARAMETER);
  EQ(reported(VICAR_RULE_NULL_ARGUMENT), 1);
}

TEST(a_service_has_a_sid_by_its_name) {
  UNICODE_STRING name = RTL_CONSTANT_STRING(L"TrustedInstaller");
  ULONG memory[8], length = sizeof memory;
  OK(RtlCreateServiceSid(&name, memory, &length));
  EQ(length, 32);
  CHECK(RtlEqualSid(memory, sid("S-1-5-80-956008885-3418522649-1831038044-1853292631-2271478464")));
}

TEST(a_sid_of_a_service_that_does_not_fit_is_not_written) {
  UNICODE_STRING name = RTL_CONSTANT_STRING(L"TrustedInstaller");
  ULONG memory[8] = { 0 }, length = 31;
  STATUS(RtlCreateServiceSid(&name, memory, &length), STATUS_BUFFER_TOO_SMALL);
  EQ(length, 32);
  EQ(memory[0], 0);
  STATUS(RtlCreateServiceSid(NULL, memory, &length), STATUS_INVALID_PARAMETER);
  STATUS(RtlCreateServiceSid(&name, NULL, &length), STATUS_INVALID_PARAMETER);
  STATUS(RtlCreateServiceSid(&name, memory, NULL), STATUS_INVALID_PARAMETER);
  EQ(reported(VICAR_RULE_NULL_ARGUMENT), 3);
}
