/* Counted strings and masks. */
#include "check.h"

TEST(a_string_stands_for_a_text) {
  WCHAR text[] = L"\\Device\\Pipe";
  UNICODE_STRING string;
  RtlInitUnicodeString(&string, text);
  EQ(string.Length, 24);
  EQ(string.MaximumLength, 26);
  CHECK(string.Buffer == text);
  UNICODE_STRING constant = RTL_CONSTANT_STRING(L"\\Device\\Pipe");
  EQ(constant.Length, 24);
  EQ(constant.MaximumLength, 26);
}

TEST(a_string_of_nothing_is_empty) {
  UNICODE_STRING string = { 1, 1, (PWSTR)1 };
  RtlInitUnicodeString(&string, NULL);
  CHECK(string.Length == 0 && string.MaximumLength == 0 && string.Buffer == NULL);
  RtlFreeUnicodeString(&string);
  RtlInitUnicodeString(NULL, L"");
  RtlFreeUnicodeString(NULL);
  EQ(reported(VICAR_RULE_NULL_ARGUMENT), 2);
}

TEST(a_string_counts_to_its_limit) {
  static WCHAR text[40000];
  UNICODE_STRING string;
  for (unsigned index = 0; index < 39999; index++) text[index] = L'x';
  RtlInitUnicodeString(&string, text);
  EQ(string.Length, 65532);
  EQ(string.MaximumLength, 65534);
  text[32766] = 0;
  RtlInitUnicodeString(&string, text);
  EQ(string.Length, 65532);
}

TEST(freeing_what_was_not_allocated_is_found) {
  WCHAR text[] = L"x";
  UNICODE_STRING string;
  RtlInitUnicodeString(&string, text);
  RtlFreeUnicodeString(&string);
  EQ(reported(VICAR_RULE_POOL_NOT_ALLOCATED), 1);
}

static GENERIC_MAPPING file = { FILE_GENERIC_READ, FILE_GENERIC_WRITE, FILE_GENERIC_EXECUTE, FILE_ALL_ACCESS };

TEST(generic_rights_are_mapped) {
  ACCESS_MASK mask = GENERIC_READ | FILE_WRITE_DATA;
  RtlMapGenericMask(&mask, &file);
  EQ(mask, FILE_GENERIC_READ | FILE_WRITE_DATA);
  RtlMapGenericMask(&mask, &file);
  EQ(mask, FILE_GENERIC_READ | FILE_WRITE_DATA);
  mask = GENERIC_ALL | MAXIMUM_ALLOWED;
  RtlMapGenericMask(&mask, &file);
  EQ(mask, FILE_ALL_ACCESS | MAXIMUM_ALLOWED);
}

TEST(nothing_is_mapped_without_a_mapping) {
  ACCESS_MASK mask = GENERIC_READ;
  RtlMapGenericMask(&mask, NULL);
  EQ(mask, GENERIC_READ);
  RtlMapGenericMask(NULL, &file);
  EQ(reported(VICAR_RULE_NULL_ARGUMENT), 2);
}

TEST(all_rights_or_any) {
  CHECK(RtlAreAllAccessesGranted(FILE_ALL_ACCESS, FILE_READ_DATA | DELETE));
  CHECK(RtlAreAllAccessesGranted(0, 0));
  CHECK(RtlAreAnyAccessesGranted(FILE_READ_DATA, FILE_READ_DATA | DELETE));
}

TEST(not_all_rights_or_none) {
  CHECK(!RtlAreAllAccessesGranted(FILE_READ_DATA, FILE_READ_DATA | DELETE));
  CHECK(!RtlAreAnyAccessesGranted(FILE_READ_DATA, DELETE));
  CHECK(!RtlAreAnyAccessesGranted(FILE_ALL_ACCESS, 0));
}
