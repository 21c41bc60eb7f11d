/* A server that may impersonate, a client, a stranger, and their threads. */
#ifndef PEOPLE_H
#define PEOPLE_H

#include "check.h"

#define ALICE "S-1-5-21-7-8-9-1001"
#define BOB "S-1-5-21-7-8-9-1002"
#define SERVICE "S-1-5-21-7-8-9-900"

static PETHREAD server, alice, bob;
static GENERIC_MAPPING file_mapping = { FILE_GENERIC_READ, FILE_GENERIC_WRITE, FILE_GENERIC_EXECUTE, FILE_ALL_ACCESS };

static inline PETHREAD thread_of(const char *user, const char *privileges) {
  VICAR_PERSON person = VICAR_PERSON_OF(user);
  PETHREAD thread = NULL;
  person.Privileges = privileges;
  OK(vicar_user_thread(&person, &thread));
  return thread;
}

/* Everybody is there, and the test acts as the server. */
static inline __attribute__((unused)) void people(void) {
  server = thread_of(SERVICE, "SeImpersonatePrivilege SeChangeNotifyPrivilege");
  alice = thread_of(ALICE, NULL);
  bob = thread_of(BOB, NULL);
  OK(vicar_act_as(server));
}

static inline __attribute__((unused)) SECURITY_QUALITY_OF_SERVICE quality(SECURITY_IMPERSONATION_LEVEL level, BOOLEAN tracking) {
  SECURITY_QUALITY_OF_SERVICE qos = { sizeof qos, level, tracking, FALSE };
  return qos;
}

/* A client of a thread at level Impersonation. */
static inline __attribute__((unused)) SECURITY_CLIENT_CONTEXT client_of(PETHREAD thread) {
  SECURITY_QUALITY_OF_SERVICE qos = quality(SecurityImpersonation, SECURITY_STATIC_TRACKING);
  SECURITY_CLIENT_CONTEXT client;
  OK(SeCreateClientSecurity(thread, &qos, FALSE, &client));
  return client;
}

/* The thread that acts is `whose`, at a level; -1: it acts as nobody. */
static inline __attribute__((unused)) void acts_at(int level) {
  SECURITY_SUBJECT_CONTEXT subject;
  SeCaptureSubjectContext(&subject);
  EQ(subject.ClientToken == NULL ? -1 : (int)subject.ImpersonationLevel, level);
  EQ(PsIsThreadImpersonating(PsGetCurrentThread()), level >= 0);
  SeReleaseSubjectContext(&subject);
}

/* Whether a token is somebody's. */
static inline __attribute__((unused)) int is_token_of(PACCESS_TOKEN token, const char *whom) {
  PVOID information = NULL;
  int is_same;
  OK(SeQueryInformationToken(token, TokenUser, &information));
  is_same = RtlEqualSid(((PTOKEN_USER)information)->User.Sid, sid(whom));
  ExFreePool(information);
  return is_same;
}

/* A descriptor that lets one user read a file. */
static inline __attribute__((unused)) PSECURITY_DESCRIPTOR readable_by(const char *whom) {
  static struct {
    SECURITY_DESCRIPTOR head;
    ULONG dacl[20], owner[17];
  } made;
  OK(RtlCreateSecurityDescriptor(&made.head, SECURITY_DESCRIPTOR_REVISION));
  OK(RtlCreateAcl((PACL)made.dacl, sizeof made.dacl, ACL_REVISION));
  OK(RtlAddAccessAllowedAce((PACL)made.dacl, ACL_REVISION, FILE_READ_DATA, sid(whom)));
  OK(RtlCopySid(sizeof made.owner, made.owner, sid("S-1-5-18")));
  OK(RtlSetOwnerSecurityDescriptor(&made.head, made.owner, FALSE));
  OK(RtlSetGroupSecurityDescriptor(&made.head, made.owner, FALSE));
  OK(RtlSetDaclSecurityDescriptor(&made.head, TRUE, (PACL)made.dacl, FALSE));
  return &made.head;
}

/* What SeAccessCheck says of the thread that acts, as a request of a user. */
static inline __attribute__((unused)) NTSTATUS may_read(PSECURITY_DESCRIPTOR descriptor) {
  SECURITY_SUBJECT_CONTEXT subject;
  ACCESS_MASK granted = 0xEEEEEEEE;
  NTSTATUS status = (NTSTATUS)0xEEEEEEEE;
  BOOLEAN may;
  SeCaptureSubjectContext(&subject);
  may = SeAccessCheck(descriptor, &subject, FALSE, FILE_READ_DATA, 0, NULL, &file_mapping, UserMode, &granted, &status);
  SeReleaseSubjectContext(&subject);
  EQ(may, status == STATUS_SUCCESS);
  EQ(granted, may ? FILE_READ_DATA : 0);
  return status;
}

#endif
