/* Objects and handles: counted, opened, closed; tokens by handle. */
#include "people.h"

static PACCESS_TOKEN token_of(const char *user, LONG level) {
  VICAR_PERSON person = VICAR_PERSON_OF(user);
  PACCESS_TOKEN token = NULL;
  person.Level = level;
  OK(vicar_token_create(&person, &token));
  return token;
}

static HANDLE handle_of(PVOID object, ACCESS_MASK access, POBJECT_TYPE type) {
  HANDLE handle = NULL;
  OK(ObOpenObjectByPointer(object, OBJ_KERNEL_HANDLE, NULL, access, type, KernelMode, &handle));
  return handle;
}

TEST(references_are_counted) {
  PACCESS_TOKEN token = token_of(ALICE, -1);
  ULONG64 before = vicar_reference_count(token);
  CHECK(ObReferenceObject(token) != 0);
  EQ(vicar_reference_count(token), before + 1);
  OK(ObReferenceObjectByPointer(token, TOKEN_QUERY, *SeTokenObjectType, KernelMode));
  EQ(vicar_reference_count(token), before + 2);
  ObDereferenceObject(token);
  ObDereferenceObject(token);
  EQ(vicar_reference_count(token), before);
  ObDereferenceObject(token);
}

TEST(what_is_no_object_is_not_counted) {
  static ULONG64 memory[8];
  EQ(ObReferenceObject(memory), 0);
  EQ(reported(VICAR_RULE_NOT_AN_OBJECT), 1);
  ObDereferenceObject(memory);
  vicar_findings_clear();
  PACCESS_TOKEN token = token_of(ALICE, -1);
  STATUS(ObReferenceObjectByPointer(token, 0, *PsThreadType, KernelMode), STATUS_OBJECT_TYPE_MISMATCH);
  STATUS(ObReferenceObjectByPointer(memory, 0, NULL, KernelMode), STATUS_INVALID_PARAMETER);
  vicar_findings_clear();
  ObDereferenceObject(token);
}

TEST(a_leaked_reference_is_found) {
  PACCESS_TOKEN token = token_of(ALICE, -1);
  CHECK(vicar_verify() >= 1);
  EQ(reported(VICAR_RULE_REFERENCE_LEAKED), 1);
  ObDereferenceObject(token);
  vicar_findings_clear();
}

TEST(a_handle_names_its_object) {
  PVOID object = NULL;
  OBJECT_HANDLE_INFORMATION information = { 7, 7 };
  PACCESS_TOKEN token = token_of(ALICE, -1);
  HANDLE handle = handle_of(token, TOKEN_QUERY, *SeTokenObjectType);
  OK(ObReferenceObjectByHandle(handle, TOKEN_QUERY, *SeTokenObjectType, KernelMode, &object, &information));
  CHECK(object == token);
  EQ(information.GrantedAccess, TOKEN_QUERY);
  ObDereferenceObject(object);
  OK(ZwClose(handle));
  ObDereferenceObject(token);
}

TEST(a_handle_is_only_what_it_is) {
  PVOID object = &object;
  PACCESS_TOKEN token = token_of(ALICE, -1);
  HANDLE handle = handle_of(token, TOKEN_QUERY, *SeTokenObjectType);
  STATUS(ObReferenceObjectByHandle(handle, 0, *PsThreadType, KernelMode, &object, NULL), STATUS_OBJECT_TYPE_MISMATCH);
  CHECK(object == NULL);
  OK(ZwClose(handle));
  STATUS(ObReferenceObjectByHandle(handle, 0, *SeTokenObjectType, KernelMode, &object, NULL), STATUS_INVALID_HANDLE);
  STATUS(ZwClose(handle), STATUS_INVALID_HANDLE);
  STATUS(NtClose((HANDLE)0x7770), STATUS_INVALID_HANDLE);
  STATUS(ZwClose(NULL), STATUS_INVALID_HANDLE);
  vicar_findings_clear();
  ObDereferenceObject(token);
}

TEST(a_user_needs_rights_in_the_handle) {
  HANDLE handle = NULL, copy = NULL;
  ULONG length = 0;
  UCHAR buffer[8];
  people();
  vicar_set_previous_mode(UserMode);
  EQ(ExGetPreviousMode(), UserMode);
  OK(NtOpenProcessTokenEx(NtCurrentProcess(), TOKEN_QUERY_SOURCE, 0, &handle));
  STATUS(NtQueryInformationToken(handle, TokenUser, buffer, 0, &length), STATUS_ACCESS_DENIED);
  STATUS(NtDuplicateToken(handle, 0, NULL, FALSE, TokenPrimary, &copy), STATUS_ACCESS_DENIED);
  OK(NtClose(handle));
  EQ(vicar_set_previous_mode(KernelMode), UserMode);
}

TEST(whose_request_it_is_is_said_by_the_test) {
  people();
  EQ(ExGetPreviousMode(), KernelMode);
  EQ(vicar_set_previous_mode(UserMode), KernelMode);
  EQ(ExGetPreviousMode(), UserMode);
  EQ(vicar_set_previous_mode(KernelMode), UserMode);
}

TEST(an_object_is_not_opened_as_another) {
  HANDLE handle = (HANDLE)1;
  people();
  STATUS(ObOpenObjectByPointer(alice, OBJ_KERNEL_HANDLE, NULL, 0, *SeTokenObjectType, KernelMode, &handle), STATUS_OBJECT_TYPE_MISMATCH);
  CHECK(handle == NULL);
  STATUS(ObOpenObjectByPointer(alice, OBJ_KERNEL_HANDLE, NULL, 0, *PsThreadType, KernelMode, NULL), STATUS_INVALID_PARAMETER);
  vicar_findings_clear();
  PACCESS_TOKEN token = PsReferencePrimaryToken(IoThreadToProcess(bob));
  OK(vicar_act_as(alice));
  STATUS(ObOpenObjectByPointer(token, 0, NULL, TOKEN_ALL_ACCESS, *SeTokenObjectType, UserMode, &handle), STATUS_ACCESS_DENIED);
  PsDereferencePrimaryToken(token);
}

TEST(the_token_of_a_thread_is_opened) {
  HANDLE handle = NULL, same = NULL;
  people();
  SECURITY_CLIENT_CONTEXT client = client_of(alice);
  OK(SeImpersonateClientEx(&client, NULL));
  OK(ZwOpenThreadTokenEx(ZwCurrentThread(), TOKEN_ALL_ACCESS, TRUE, OBJ_KERNEL_HANDLE, &handle));
  PVOID token = NULL;
  OK(ObReferenceObjectByHandle(handle, 0, *SeTokenObjectType, KernelMode, &token, NULL));
  CHECK(token != client.ClientToken && is_token_of(token, ALICE));
  ObDereferenceObject(token);
  vicar_set_previous_mode(UserMode);
  OK(NtOpenThreadTokenEx(NtCurrentThread(), TOKEN_QUERY, TRUE, 0, &same));
  OK(NtClose(same));
  vicar_set_previous_mode(KernelMode);
  OK(ZwClose(handle));
  SeStopImpersonatingClient();
  SeDeleteClientSecurity(&client);
}

TEST(no_token_is_opened_where_there_is_none) {
  SECURITY_QUALITY_OF_SERVICE qos = quality(SecurityAnonymous, SECURITY_STATIC_TRACKING);
  SECURITY_CLIENT_CONTEXT client;
  HANDLE handle = NULL;
  people();
  STATUS(ZwOpenThreadTokenEx(ZwCurrentThread(), TOKEN_QUERY, TRUE, OBJ_KERNEL_HANDLE, &handle), STATUS_NO_TOKEN);
  STATUS(NtOpenThreadTokenEx((HANDLE)0x7770, TOKEN_QUERY, TRUE, OBJ_KERNEL_HANDLE, &handle), STATUS_INVALID_HANDLE);
  STATUS(ZwOpenThreadTokenEx(ZwCurrentProcess(), TOKEN_QUERY, TRUE, OBJ_KERNEL_HANDLE, &handle), STATUS_OBJECT_TYPE_MISMATCH);
  STATUS(ZwOpenThreadTokenEx(ZwCurrentThread(), TOKEN_QUERY, TRUE, OBJ_KERNEL_HANDLE, NULL), STATUS_ACCESS_VIOLATION);
  vicar_findings_clear();
  OK(SeCreateClientSecurity(alice, &qos, FALSE, &client));
  OK(SeImpersonateClientEx(&client, NULL));
  STATUS(ZwOpenThreadTokenEx(ZwCurrentThread(), TOKEN_QUERY, TRUE, OBJ_KERNEL_HANDLE, &handle), STATUS_CANT_OPEN_ANONYMOUS);
  SeStopImpersonatingClient();
  SeDeleteClientSecurity(&client);
}

TEST(the_token_of_a_process_is_opened) {
  HANDLE handle = NULL;
  PVOID token = NULL;
  people();
  OK(ZwOpenProcessTokenEx(ZwCurrentProcess(), TOKEN_QUERY, OBJ_KERNEL_HANDLE, &handle));
  OK(ObReferenceObjectByHandle(handle, TOKEN_QUERY, *SeTokenObjectType, KernelMode, &token, NULL));
  CHECK(is_token_of(token, SERVICE));
  ObDereferenceObject(token);
  OK(ZwClose(handle));
  OK(NtOpenProcessTokenEx(NtCurrentProcess(), TOKEN_QUERY, OBJ_KERNEL_HANDLE, &handle));
  OK(NtClose(handle));
}

TEST(no_token_is_opened_of_no_process) {
  HANDLE handle = NULL, odd[2] = { NULL, NULL };
  people();
  STATUS(ZwOpenProcessTokenEx((HANDLE)0x7770, TOKEN_QUERY, OBJ_KERNEL_HANDLE, &handle), STATUS_INVALID_HANDLE);
  STATUS(NtOpenProcessTokenEx((HANDLE)0x7770, TOKEN_QUERY, OBJ_KERNEL_HANDLE, &handle), STATUS_INVALID_HANDLE);
  STATUS(ZwOpenProcessTokenEx(ZwCurrentThread(), TOKEN_QUERY, OBJ_KERNEL_HANDLE, &handle), STATUS_OBJECT_TYPE_MISMATCH);
  STATUS(ZwOpenProcessTokenEx(ZwCurrentProcess(), TOKEN_QUERY, 0, &handle), STATUS_INVALID_PARAMETER);
  vicar_set_previous_mode(UserMode);
  STATUS(NtOpenProcessTokenEx(NtCurrentProcess(), TOKEN_QUERY, 0, (PHANDLE)(void *)((char *)odd + 1)), STATUS_DATATYPE_MISALIGNMENT);
  STATUS(NtOpenProcessTokenEx(NtCurrentProcess(), TOKEN_QUERY, 0, NULL), STATUS_ACCESS_VIOLATION);
  vicar_set_previous_mode(KernelMode);
  vicar_findings_clear();
}

TEST(a_token_is_duplicated_at_a_level) {
  SECURITY_QUALITY_OF_SERVICE qos = quality(SecurityIdentification, SECURITY_STATIC_TRACKING);
  OBJECT_ATTRIBUTES attributes;
  HANDLE copy = NULL;
  PVOID object = NULL;
  PACCESS_TOKEN token = token_of(ALICE, SecurityImpersonation);
  HANDLE handle = handle_of(token, TOKEN_ALL_ACCESS, *SeTokenObjectType);
  InitializeObjectAttributes(&attributes, NULL, OBJ_KERNEL_HANDLE, NULL, NULL);
  attributes.SecurityQualityOfService = &qos;
  OK(ZwDuplicateToken(handle, TOKEN_ALL_ACCESS, &attributes, FALSE, TokenImpersonation, &copy));
  OK(ObReferenceObjectByHandle(copy, 0, *SeTokenObjectType, KernelMode, &object, NULL));
  EQ(SeTokenImpersonationLevel(object), SecurityIdentification);
  CHECK(is_token_of(object, ALICE));
  ObDereferenceObject(object);
  OK(ZwClose(copy));
  OK(NtDuplicateToken(handle, TOKEN_ALL_ACCESS, &attributes, FALSE, TokenImpersonation, &copy));
  OK(NtClose(copy));
  OK(ZwClose(handle));
  ObDereferenceObject(token);
}

TEST(a_token_is_not_duplicated_upwards) {
  SECURITY_QUALITY_OF_SERVICE qos = quality(SecurityDelegation, SECURITY_STATIC_TRACKING);
  OBJECT_ATTRIBUTES attributes;
  HANDLE copy = (HANDLE)1;
  PACCESS_TOKEN token = token_of(ALICE, SecurityIdentification);
  HANDLE handle = handle_of(token, TOKEN_ALL_ACCESS, *SeTokenObjectType);
  InitializeObjectAttributes(&attributes, NULL, OBJ_KERNEL_HANDLE, NULL, NULL);
  attributes.SecurityQualityOfService = &qos;
  STATUS(ZwDuplicateToken(handle, 0, &attributes, FALSE, TokenImpersonation, &copy), STATUS_BAD_IMPERSONATION_LEVEL);
  CHECK(copy == NULL);
  STATUS(ZwDuplicateToken(handle, 0, NULL, FALSE, TokenPrimary, &copy), STATUS_BAD_IMPERSONATION_LEVEL);
  STATUS(ZwDuplicateToken(handle, 0, NULL, FALSE, (TOKEN_TYPE)3, &copy), STATUS_INVALID_PARAMETER);
  STATUS(ZwDuplicateToken(handle, 0, NULL, FALSE, TokenPrimary, NULL), STATUS_ACCESS_VIOLATION);
  qos.Length = 8;
  STATUS(ZwDuplicateToken(handle, 0, &attributes, FALSE, TokenImpersonation, &copy), STATUS_INVALID_PARAMETER);
  STATUS(NtDuplicateToken((HANDLE)0x7770, 0, NULL, FALSE, TokenPrimary, &copy), STATUS_INVALID_HANDLE);
  vicar_findings_clear();
  OK(ZwClose(handle));
  ObDereferenceObject(token);
}

TEST(a_token_is_queried_by_handle) {
  ULONG64 buffer[16];
  ULONG length = 0;
  PACCESS_TOKEN token = token_of(ALICE, -1);
  HANDLE handle = handle_of(token, TOKEN_QUERY, *SeTokenObjectType);
  OK(ZwQueryInformationToken(handle, TokenUser, buffer, sizeof buffer, &length));
  EQ(length, 16 + 28);
  CHECK(RtlEqualSid(((PTOKEN_USER)(void *)buffer)->User.Sid, sid(ALICE)));
  OK(NtQueryInformationToken(handle, TokenUser, buffer, sizeof buffer, &length));
  OK(ZwClose(handle));
  ObDereferenceObject(token);
}

TEST(a_query_that_does_not_fit_says_how_much_it_needs) {
  ULONG64 buffer[16];
  ULONG length = 0;
  PACCESS_TOKEN token = token_of(ALICE, -1);
  HANDLE handle = handle_of(token, TOKEN_QUERY, *SeTokenObjectType);
  STATUS(ZwQueryInformationToken(handle, TokenUser, buffer, 43, &length), STATUS_BUFFER_TOO_SMALL);
  EQ(length, 44);
  STATUS(ZwQueryInformationToken(handle, TokenUser, NULL, 0, &length), STATUS_BUFFER_TOO_SMALL);
  STATUS(ZwQueryInformationToken(handle, (TOKEN_INFORMATION_CLASS)999, buffer, sizeof buffer, &length), STATUS_INVALID_INFO_CLASS);
  STATUS(ZwQueryInformationToken((HANDLE)0x7770, TokenUser, buffer, sizeof buffer, &length), STATUS_INVALID_HANDLE);
  EQ(length, 0);
  STATUS(ZwQueryInformationToken(handle, TokenUser, buffer, sizeof buffer, NULL), STATUS_ACCESS_VIOLATION);
  vicar_findings_clear();
  OK(ZwClose(handle));
  ObDereferenceObject(token);
}

TEST(a_thread_is_given_a_token_by_handle) {
  HANDLE nothing = NULL;
  people();
  PACCESS_TOKEN token = token_of(ALICE, SecurityImpersonation);
  HANDLE handle = handle_of(token, TOKEN_ALL_ACCESS, *SeTokenObjectType);
  OK(ZwSetInformationThread(ZwCurrentThread(), ThreadImpersonationToken, &handle, sizeof handle));
  acts_at(SecurityImpersonation);
  OK(ZwSetInformationThread(ZwCurrentThread(), ThreadImpersonationToken, &nothing, sizeof nothing));
  acts_at(-1);
  OK(NtSetInformationThread(NtCurrentThread(), ThreadImpersonationToken, &handle, sizeof handle));
  acts_at(SecurityImpersonation);
  OK(NtSetInformationThread(NtCurrentThread(), ThreadImpersonationToken, &nothing, sizeof nothing));
  OK(ZwClose(handle));
  ObDereferenceObject(token);
}

TEST(a_thread_is_not_given_what_is_no_token) {
  HANDLE handle = (HANDLE)0x7770;
  people();
  STATUS(ZwSetInformationThread(ZwCurrentThread(), ThreadImpersonationToken, &handle, 4), STATUS_INFO_LENGTH_MISMATCH);
  STATUS(ZwSetInformationThread(ZwCurrentThread(), (THREADINFOCLASS)99, &handle, sizeof handle), STATUS_INVALID_INFO_CLASS);
  STATUS(ZwSetInformationThread(ZwCurrentThread(), ThreadImpersonationToken, &handle, sizeof handle), STATUS_INVALID_HANDLE);
  STATUS(NtSetInformationThread(NtCurrentThread(), ThreadImpersonationToken, NULL, sizeof handle), STATUS_ACCESS_VIOLATION);
  STATUS(NtSetInformationThread((HANDLE)0x7770, ThreadImpersonationToken, &handle, sizeof handle), STATUS_INVALID_HANDLE);
  acts_at(-1);
  vicar_findings_clear();
}

TEST(a_thread_acts_as_another) {
  SECURITY_QUALITY_OF_SERVICE qos = quality(SecurityImpersonation, SECURITY_STATIC_TRACKING);
  people();
  HANDLE client = handle_of(alice, THREAD_ALL_ACCESS, *PsThreadType);
  OK(ZwImpersonateThread(ZwCurrentThread(), client, &qos));
  OK(may_read(readable_by(ALICE)));
  PsRevertToSelf();
  OK(NtImpersonateThread(NtCurrentThread(), client, &qos));
  acts_at(SecurityImpersonation);
  PsRevertToSelf();
  OK(ZwClose(client));
}

TEST(a_thread_does_not_act_as_what_is_no_thread) {
  SECURITY_QUALITY_OF_SERVICE qos = quality(SecurityImpersonation, SECURITY_STATIC_TRACKING);
  people();
  STATUS(ZwImpersonateThread(ZwCurrentThread(), (HANDLE)0x7770, &qos), STATUS_INVALID_HANDLE);
  STATUS(NtImpersonateThread(NtCurrentThread(), (HANDLE)0x7770, &qos), STATUS_INVALID_HANDLE);
  STATUS(ZwImpersonateThread(ZwCurrentThread(), ZwCurrentThread(), NULL), STATUS_ACCESS_VIOLATION);
  qos.Length = 11;
  STATUS(ZwImpersonateThread(ZwCurrentThread(), ZwCurrentThread(), &qos), STATUS_INVALID_PARAMETER);
  acts_at(-1);
  vicar_findings_clear();
}

TEST(a_thread_acts_as_nobody) {
  people();
  OK(NtImpersonateAnonymousToken(NtCurrentThread()));
  acts_at(SecurityImpersonation);
  STATUS(may_read(readable_by(SERVICE)), STATUS_ACCESS_DENIED);
  OK(may_read(readable_by("S-1-5-7")));
  PsRevertToSelf();
  OK(ZwImpersonateAnonymousToken(ZwCurrentThread()));
  acts_at(SecurityImpersonation);
  PsRevertToSelf();
}

TEST(a_restricted_process_does_not_act_as_nobody) {
  VICAR_PERSON person = VICAR_PERSON_OF(ALICE);
  person.Restricted = ALICE;
  act_as(&person);
  STATUS(NtImpersonateAnonymousToken(NtCurrentThread()), STATUS_ACCESS_DENIED);
  STATUS(NtImpersonateAnonymousToken(NULL), STATUS_INVALID_HANDLE);
  STATUS(ZwImpersonateAnonymousToken(NULL), STATUS_INVALID_HANDLE);
  acts_at(-1);
  vicar_findings_clear();
}
