/* Checks that follow one another: what a check keeps for the next one never answers for anything else. With the verifier and without. */
#define _GNU_SOURCE
#include <pthread.h>

#include "people.h"

/* A descriptor in one block that lets one user read a file, on a page end: nothing behind it can be read. */
static UCHAR *block_for(const char *whom) {
  UCHAR buffer[400];
  ULONG length = sizeof buffer;
  OK(RtlAbsoluteToSelfRelativeSD(readable_by(whom), buffer, &length));
  return guarded(buffer, length);
}

static void check_in_place(void) {
  SECURITY_SUBJECT_CONTEXT subject;
  SECURITY_DESCRIPTOR_RELATIVE *head;
  PACL dacl;
  PULONG mask;
  UCHAR *block;
  people();
  OK(vicar_act_as(alice));
  block = block_for(ALICE);
  head = (SECURITY_DESCRIPTOR_RELATIVE *)block;
  dacl = (PACL)(block + head->Dacl);
  mask = (PULONG)((UCHAR *)dacl + sizeof(ACL) + 4);
  OK(may_read(block));
  OK(may_read(block));
  /* One byte of a mask. */
  *(UCHAR *)mask = 0;
  STATUS(may_read(block), STATUS_ACCESS_DENIED);
  *(UCHAR *)mask = FILE_READ_DATA;
  OK(may_read(block));
  /* The size of the list, without its entry and too short for it. */
  USHORT size = dacl->AclSize, count = dacl->AceCount;
  dacl->AclSize = sizeof(ACL);
  STATUS(may_read(block), STATUS_INVALID_SECURITY_DESCR);
  dacl->AceCount = 0;
  STATUS(may_read(block), STATUS_ACCESS_DENIED);
  dacl->AclSize = size, dacl->AceCount = count;
  OK(may_read(block));
  /* The owner: no SID any more, of no known form, and himself again. */
  ULONG owner = head->Owner;
  block[owner + 1] = 16;
  STATUS(may_read(block), STATUS_INVALID_SECURITY_DESCR);
  block[owner + 1] = 1;
  block[owner] = 2;
  STATUS(may_read(block), STATUS_INVALID_SECURITY_DESCR);
  block[owner] = 1;
  block[owner + 1] = 1;
  OK(may_read(block));
  /* Who is meant: the last part of the SID. */
  PULONG last = (PULONG)((UCHAR *)mask + sizeof(ULONG) + RtlLengthSid(mask + 1)) - 1;
  ULONG who = *last;
  *last = 77;
  STATUS(may_read(block), STATUS_ACCESS_DENIED);
  *last = who;
  OK(may_read(block));
  /* Another one at the same address, and another length. */
  CHECK(block_for(BOB) == block);
  STATUS(may_read(block), STATUS_ACCESS_DENIED);
  (void)block_for("S-1-1-0");
  CHECK(block_for(ALICE) == block);
  OK(may_read(block));
  SeCaptureSubjectContext(&subject);
  SeReleaseSubjectContext(&subject);
}

static void check_moved_parts(void) {
  static ULONG here[20], there[20];
  SECURITY_DESCRIPTOR *made;
  people();
  OK(vicar_act_as(alice));
  made = (SECURITY_DESCRIPTOR *)readable_by(ALICE);
  OK(may_read(made));
  memcpy(here, made->Dacl, sizeof here);
  memcpy(there, made->Dacl, sizeof there);
  /* The same list elsewhere, then another list there. */
  made->Dacl = (PACL)here;
  OK(may_read(made));
  made->Dacl = (PACL)there;
  OK(may_read(made));
  ((PULONG)there)[3] = 0;
  STATUS(may_read(made), STATUS_ACCESS_DENIED);
  made->Dacl = (PACL)here;
  OK(may_read(made));
  *(UCHAR *)here = 0xEE;
  STATUS(may_read(made), STATUS_INVALID_SECURITY_DESCR);
}

static void check_rewritten_client(void) {
  SECURITY_CLIENT_CONTEXT client, other;
  PACCESS_TOKEN kept;
  people();
  client = client_of(alice), other = client_of(bob);
  for (int round = 0; round < 3; round++) {
    OK(SeImpersonateClientEx(&client, NULL));
    acts_at(SecurityImpersonation);
    OK(may_read(block_for(ALICE)));
    STATUS(may_read(block_for(BOB)), STATUS_ACCESS_DENIED);
    SeStopImpersonatingClient();
    client.SecurityQos.ImpersonationLevel = SecurityIdentification;
    OK(SeImpersonateClientEx(&client, NULL));
    acts_at(SecurityIdentification);
    STATUS(may_read(block_for(ALICE)), STATUS_BAD_IMPERSONATION_LEVEL);
    SeStopImpersonatingClient();
    client.SecurityQos.ImpersonationLevel = SecurityImpersonation;
    /* Two contexts change tokens. */
    kept = client.ClientToken, client.ClientToken = other.ClientToken, other.ClientToken = kept;
    OK(SeImpersonateClientEx(&client, NULL));
    OK(may_read(block_for(BOB)));
    STATUS(may_read(block_for(ALICE)), STATUS_ACCESS_DENIED);
    SeStopImpersonatingClient();
    kept = client.ClientToken, client.ClientToken = other.ClientToken, other.ClientToken = kept;
  }
  SeDeleteClientSecurity(&client);
  SeDeleteClientSecurity(&other);
}

/* Two threads take turns: each changes the descriptor that the other has just asked about. */
static struct {
  pthread_mutex_t lock;
  pthread_cond_t moved;
  int turn;
  UCHAR *block;
  UCHAR *mask;
} turns = { PTHREAD_MUTEX_INITIALIZER, PTHREAD_COND_INITIALIZER, 0, NULL, NULL };

enum { ROUNDS = 200 };

static void *take_turns(void *argument) {
  int mine = *(int *)argument;
  OK(vicar_act_as(alice));
  for (int round = 0; round < ROUNDS; round++) {
    pthread_mutex_lock(&turns.lock);
    while (turns.turn % 2 != mine) pthread_cond_wait(&turns.moved, &turns.lock);
    STATUS(may_read(turns.block), *turns.mask == 0 ? STATUS_ACCESS_DENIED : STATUS_SUCCESS);
    if (turns.turn % 3 != 0) *turns.mask ^= FILE_READ_DATA;
    STATUS(may_read(turns.block), *turns.mask == 0 ? STATUS_ACCESS_DENIED : STATUS_SUCCESS);
    turns.turn++;
    pthread_cond_broadcast(&turns.moved);
    pthread_mutex_unlock(&turns.lock);
  }
  OK(vicar_act_as(NULL));
  return NULL;
}

static void check_two_threads(void) {
  int numbers[] = { 0, 1 };
  pthread_t other;
  people();
  turns.turn = 0;
  turns.block = block_for(ALICE);
  turns.mask = turns.block + ((SECURITY_DESCRIPTOR_RELATIVE *)turns.block)->Dacl + sizeof(ACL) + 4;
  EQ(pthread_create(&other, NULL, take_turns, &numbers[1]), 0);
  take_turns(&numbers[0]);
  pthread_join(other, NULL);
  EQ(turns.turn, 2 * ROUNDS);
}

#define BOTH(title, run)                                        \
  TEST(title##_verified) { run(); }                             \
  TEST(title##_unverified) {                                    \
    world(VICAR_PROFILE_WINDOWS_10, VICAR_VERIFIER_OFF);        \
    run();                                                      \
  }

BOTH(a_descriptor_that_changes_in_place_is_another, check_in_place)
BOTH(a_part_that_moves_is_followed, check_moved_parts)
BOTH(a_client_context_is_live, check_rewritten_client)
BOTH(what_one_thread_changes_the_other_sees, check_two_threads)
