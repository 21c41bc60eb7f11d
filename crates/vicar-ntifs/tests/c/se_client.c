/* Clients: captured, taken on, given back. */
#include "people.h"

/* The scenario of the SeImpersonateClientEx page: a service captures its client, acts as it, stops, and forgets it. */
TEST(a_client_is_captured_taken_on_and_given_back) {
  SECURITY_CLIENT_CONTEXT client;
  SECURITY_QUALITY_OF_SERVICE qos = quality(SecurityImpersonation, SECURITY_STATIC_TRACKING);
  people();
  LONG64 before = vicar_balance();
  STATUS(may_read(readable_by(ALICE)), STATUS_ACCESS_DENIED);
  OK(SeCreateClientSecurity(alice, &qos, FALSE, &client));
  OK(SeImpersonateClientEx(&client, NULL));
  acts_at(SecurityImpersonation);
  OK(may_read(readable_by(ALICE)));
  STATUS(may_read(readable_by(SERVICE)), STATUS_ACCESS_DENIED);
  SeStopImpersonatingClient();
  acts_at(-1);
  STATUS(may_read(readable_by(ALICE)), STATUS_ACCESS_DENIED);
  SeDeleteClientSecurity(&client);
  EQ(vicar_balance(), before);
}

TEST(the_functions_behind_the_macros_do_the_same) {
  people();
  SECURITY_CLIENT_CONTEXT client = client_of(alice);
  OK(SeImpersonateClientEx(&client, NULL));
  (SeDeleteClientSecurity)(&client);
  acts_at(SecurityImpersonation);
  (SeStopImpersonatingClient)();
  acts_at(-1);
}

TEST(another_thread_can_be_made_to_act) {
  people();
  SECURITY_CLIENT_CONTEXT client = client_of(alice);
  PETHREAD other = NULL;
  OK(vicar_thread_create(IoThreadToProcess(server), &other));
  OK(SeImpersonateClientEx(&client, other));
  acts_at(-1);
  CHECK(PsIsThreadImpersonating(other));
  OK(vicar_act_as(other));
  acts_at(SecurityImpersonation);
  SeStopImpersonatingClient();
  SeDeleteClientSecurity(&client);
}

TEST(a_server_without_the_privilege_is_silently_lowered) {
  people();
  SECURITY_CLIENT_CONTEXT client = client_of(alice);
  OK(vicar_act_as(bob));
  OK(SeImpersonateClientEx(&client, NULL));
  acts_at(SecurityIdentification);
  STATUS(may_read(readable_by(ALICE)), STATUS_BAD_IMPERSONATION_LEVEL);
  SeStopImpersonatingClient();
  SeDeleteClientSecurity(&client);
}

TEST(tracking_says_which_token_is_kept) {
  SECURITY_QUALITY_OF_SERVICE qos = quality(SecurityImpersonation, SECURITY_DYNAMIC_TRACKING);
  SECURITY_CLIENT_CONTEXT client;
  people();
  PACCESS_TOKEN primary = PsReferencePrimaryToken(IoThreadToProcess(alice));
  OK(SeCreateClientSecurity(alice, &qos, FALSE, &client));
  CHECK(client.DirectlyAccessClientToken && client.ClientToken == primary);
  EQ(SeTokenType(client.ClientToken), TokenPrimary);
  SeDeleteClientSecurity(&client);
  CHECK(client.ClientToken == NULL);
  OK(SeCreateClientSecurity(alice, &qos, TRUE, &client));
  CHECK(!client.DirectlyAccessClientToken && client.ClientToken != primary && client.ServerIsRemote);
  SeDeleteClientSecurity(&client);
  client = client_of(alice);
  CHECK(!client.DirectlyAccessClientToken && client.ClientToken != primary);
  EQ(SeTokenType(client.ClientToken), TokenImpersonation);
  EQ(SeTokenImpersonationLevel(client.ClientToken), SecurityImpersonation);
  EQ(client.SecurityQos.Length, sizeof(SECURITY_QUALITY_OF_SERVICE));
  SeDeleteClientSecurity(&client);
  PsDereferencePrimaryToken(primary);
}

TEST(a_level_that_cannot_be_passed_on_is_refused) {
  SECURITY_QUALITY_OF_SERVICE qos = quality(SecurityIdentification, SECURITY_STATIC_TRACKING);
  SECURITY_CLIENT_CONTEXT client, onward;
  static const SECURITY_CLIENT_CONTEXT nothing;
  people();
  OK(SeCreateClientSecurity(alice, &qos, FALSE, &client));
  OK(SeImpersonateClientEx(&client, NULL));
  qos.ImpersonationLevel = SecurityImpersonation;
  memset(&onward, 0xEE, sizeof onward);
  STATUS(SeCreateClientSecurity(server, &qos, FALSE, &onward), STATUS_BAD_IMPERSONATION_LEVEL);
  SAME(&onward, &nothing, sizeof onward);
  qos.ImpersonationLevel = (SECURITY_IMPERSONATION_LEVEL)4;
  STATUS(SeCreateClientSecurity(alice, &qos, FALSE, &onward), STATUS_INVALID_PARAMETER);
  SeStopImpersonatingClient();
  SeDeleteClientSecurity(&client);
}

TEST(no_client_is_captured_from_null_or_without_memory) {
  SECURITY_QUALITY_OF_SERVICE qos = quality(SecurityImpersonation, SECURITY_STATIC_TRACKING);
  SECURITY_CLIENT_CONTEXT client;
  people();
  LONG64 before = vicar_balance();
  STATUS(SeCreateClientSecurity(alice, NULL, FALSE, &client), STATUS_INVALID_PARAMETER);
  STATUS(SeCreateClientSecurity(alice, &qos, FALSE, NULL), STATUS_INVALID_PARAMETER);
  EQ(reported(VICAR_RULE_NULL_ARGUMENT), 2);
  STATUS(SeCreateClientSecurity(NULL, &qos, FALSE, &client), STATUS_INVALID_PARAMETER);
  vicar_findings_clear();
  vicar_fail_allocation(1, 0);
  STATUS(SeCreateClientSecurity(alice, &qos, FALSE, &client), STATUS_INSUFFICIENT_RESOURCES);
  CHECK(client.ClientToken == NULL);
  EQ(vicar_balance(), before);
}

TEST(a_subject_is_captured_as_a_client) {
  SECURITY_QUALITY_OF_SERVICE qos = quality(SecurityImpersonation, SECURITY_STATIC_TRACKING);
  SECURITY_SUBJECT_CONTEXT subject;
  SECURITY_CLIENT_CONTEXT client;
  people();
  OK(vicar_act_as(alice));
  SeCaptureSubjectContext(&subject);
  OK(vicar_act_as(server));
  OK(SeCreateClientSecurityFromSubjectContext(&subject, &qos, FALSE, &client));
  SeReleaseSubjectContext(&subject);
  OK(SeImpersonateClientEx(&client, NULL));
  OK(may_read(readable_by(ALICE)));
  SeStopImpersonatingClient();
  SeDeleteClientSecurity(&client);
}

TEST(a_subject_at_too_low_a_level_is_not) {
  SECURITY_QUALITY_OF_SERVICE qos = quality(SecurityImpersonation, SECURITY_STATIC_TRACKING);
  SECURITY_SUBJECT_CONTEXT subject;
  SECURITY_CLIENT_CONTEXT client = { 0 }, made = { 0 };
  people();
  client = client_of(alice);
  OK(SeImpersonateClientEx(&client, NULL));
  SeCaptureSubjectContext(&subject);
  subject.ImpersonationLevel = SecurityIdentification;
  STATUS(SeCreateClientSecurityFromSubjectContext(&subject, &qos, FALSE, &made), STATUS_BAD_IMPERSONATION_LEVEL);
  STATUS(SeCreateClientSecurityFromSubjectContext(NULL, &qos, FALSE, &made), STATUS_INVALID_PARAMETER);
  EQ(reported(VICAR_RULE_NULL_ARGUMENT), 1);
  SeReleaseSubjectContext(&subject);
  SeStopImpersonatingClient();
  SeDeleteClientSecurity(&client);
}

TEST(a_context_of_nothing_is_not_taken_on) {
  static SECURITY_CLIENT_CONTEXT nothing;
  people();
  STATUS(SeImpersonateClientEx(&nothing, NULL), STATUS_INVALID_PARAMETER);
  EQ(reported(VICAR_RULE_CONTEXT_NOT_CREATED), 1);
  STATUS(SeImpersonateClientEx(NULL, NULL), STATUS_INVALID_PARAMETER);
  EQ(reported(VICAR_RULE_NULL_ARGUMENT), 1);
  acts_at(-1);
}

TEST(a_failed_impersonation_leaves_the_thread_as_it_was) {
  people();
  SECURITY_CLIENT_CONTEXT first = client_of(alice), second = client_of(bob);
  OK(SeImpersonateClientEx(&first, NULL));
  OK(vicar_fail_routine("SeImpersonateClientEx", STATUS_NO_MEMORY));
  STATUS(SeImpersonateClientEx(&second, NULL), STATUS_NO_MEMORY);
  OK(may_read(readable_by(ALICE)));
  OK(SeImpersonateClientEx(&second, NULL));
  OK(may_read(readable_by(BOB)));
  SeStopImpersonatingClient();
  SeDeleteClientSecurity(&first);
  SeDeleteClientSecurity(&second);
}

TEST(a_context_is_deleted_once) {
  people();
  SECURITY_CLIENT_CONTEXT client = client_of(alice);
  SeDeleteClientSecurity(&client);
  SeDeleteClientSecurity(&client);
  EQ(reported(VICAR_RULE_CONTEXT_DELETED_TWICE), 1);
  SeDeleteClientSecurity(NULL);
  EQ(reported(VICAR_RULE_NULL_ARGUMENT), 1);
}

TEST(a_context_that_is_not_deleted_is_found) {
  people();
  SECURITY_CLIENT_CONTEXT client = client_of(alice);
  CHECK(vicar_verify() >= 1);
  VICAR_FINDING finding;
  char text[400];
  OK(vicar_finding(0, &finding));
  EQ(finding.Rule, VICAR_RULE_CONTEXT_NOT_DELETED);
  CHECK(vicar_finding_text(0, VICAR_FINDING_RULE, text, sizeof text) > 0);
  CHECK(strcmp(text, "context-not-deleted") == 0);
  vicar_findings_clear();
  SeDeleteClientSecurity(&client);
  vicar_findings_clear();
}

TEST(stopping_is_harmless_when_there_is_nothing_to_stop) {
  people();
  SeStopImpersonatingClient();
  SeStopImpersonatingClient();
  acts_at(-1);
}

#pragma GCC diagnostic push
#pragma GCC diagnostic ignored "-Wdeprecated-declarations"
TEST(the_void_routine_takes_a_client_on_too) {
  people();
  SECURITY_CLIENT_CONTEXT client = client_of(alice);
  SeImpersonateClient(&client, NULL);
  EQ(reported(VICAR_RULE_RESULT_UNSEEN), 1);
  acts_at(SecurityImpersonation);
  SeStopImpersonatingClient();
  SeDeleteClientSecurity(&client);
}

TEST(the_void_routine_does_not_say_that_it_failed) {
  static SECURITY_CLIENT_CONTEXT nothing;
  people();
  SeImpersonateClient(&nothing, NULL);
  acts_at(-1);
  EQ(vicar_finding_count(), 2);
  EQ(reported(VICAR_RULE_CONTEXT_NOT_CREATED), 1);
  EQ(reported(VICAR_RULE_RESULT_UNSEEN), 1);
  vicar_findings_clear();
}
#pragma GCC diagnostic pop
