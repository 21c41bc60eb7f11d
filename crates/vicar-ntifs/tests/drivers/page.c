/* The page of SeImpersonateClientEx, line by line: examples/drivers/page.c. */
#include "scene.h"
#include "../../examples/drivers/page.h"

static const FAULT_OF_DRIVER faults[] = {
  { "the routine as it should be", { 0 }, NULL },
  { "no end of the impersonation", { VICAR_RULE_MISSING_REVERT }, NULL },
  { "a client that is never let go", { VICAR_RULE_CONTEXT_NOT_DELETED }, NULL },
  { "a worker that returns as the client", { VICAR_RULE_IMPERSONATING_WORKER_THREAD }, NULL },
};

static SERVER made;

static NTSTATUS serve(void) {
  NTSTATUS status = ServerServe(&made, NULL);
  vicar_return_to_user_mode();
  if (FAULT != 0) PsRevertToSelf();
  return status;
}
static void meet(PETHREAD client, BOOLEAN tracking) {
  memset(&made, 0, sizeof made);
  made.OpenFile = open_stand_in;
  OK(ServerMeet(&made, client, tracking));
}

/* ServerThread is optional: without it, the calling thread is meant. */
SCENE(the_calling_thread_acts_as_the_client_and_stops) {
  meet(alice, SECURITY_STATIC_TRACKING);
  RIGHT(serve(), server_may() ? STATUS_SUCCESS : STATUS_BAD_IMPERSONATION_LEVEL);
  acts_at(-1);
  ServerPart(&made);
  meet(bob, SECURITY_STATIC_TRACKING);
  RIGHT(serve(), server_may() ? STATUS_ACCESS_DENIED : STATUS_BAD_IMPERSONATION_LEVEL);
  ServerPart(&made);
}

/* With it, that thread does, and the calling one does not. */
SCENE(a_thread_that_is_named_acts_as_the_client) {
  meet(alice, SECURITY_STATIC_TRACKING);
  PETHREAD worker = thread_of(SERVICE, "SeImpersonatePrivilege");
  OK(SeImpersonateClientEx(&made.Client, worker));
  acts_at(-1);
  EQ(PsIsThreadImpersonating(worker), TRUE);
  PsRevertThreadToSelf(worker);
  ServerPart(&made);
}

/* The statuses that the page lists: the thread is whoever it was. */
SCENE(a_refusal_leaves_the_thread_as_it_was) {
  static const NTSTATUS listed[] = { STATUS_ACCESS_DENIED, STATUS_NO_MEMORY };
  meet(alice, SECURITY_STATIC_TRACKING);
  for (unsigned index = 0; index < 2; index++) {
    OK(vicar_fail_routine("SeImpersonateClientEx", listed[index]));
    RIGHT(serve(), listed[index]);
    acts_at(-1);
  }
  RIGHT(opened, 0);
  ServerPart(&made);
}

/* The context is taken to be up to date: what the client's thread has become meanwhile is not looked at. */
SCENE(the_context_is_taken_to_be_up_to_date) {
  SECURITY_CLIENT_CONTEXT other;
  BOOLEAN copy, effective;
  SECURITY_IMPERSONATION_LEVEL level = SecurityAnonymous;
  meet(alice, SECURITY_STATIC_TRACKING);
  other = client_of(bob);
  OK(SeImpersonateClientEx(&other, alice));
  /* alice's process may act as others on the oldest systems only. */
  PsDereferenceImpersonationToken(PsReferenceImpersonationToken(alice, &copy, &effective, &level));
  EQ(level, place.profile == VICAR_PROFILE_NT4_TO_XP ? SecurityImpersonation : SecurityIdentification);
  RIGHT(serve(), server_may() ? STATUS_SUCCESS : STATUS_BAD_IMPERSONATION_LEVEL);
  PsRevertThreadToSelf(alice);
  SeDeleteClientSecurity(&other);
  ServerPart(&made);
}

/* A thread acts as one client: the next takes the place of the last, and to stop is to stop all of it. */
SCENE(the_next_client_takes_the_place_of_the_last) {
  SECURITY_CLIENT_CONTEXT first, second;
  BOOLEAN copy, effective;
  SECURITY_IMPERSONATION_LEVEL level;
  first = client_of(alice);
  second = client_of(bob);
  OK(SeImpersonateClientEx(&first, NULL));
  (void)may_read(readable_by(ALICE));
  OK(SeImpersonateClientEx(&second, NULL));
  SeDeleteClientSecurity(&first);
  SeDeleteClientSecurity(&second);
  PACCESS_TOKEN worn = PsReferenceImpersonationToken(PsGetCurrentThread(), &copy, &effective, &level);
  CHECK(is_token_of(worn, BOB));
  EQ(copy, TRUE);
  PsDereferenceImpersonationToken(worn);
  SeStopImpersonatingClient();
  acts_at(-1);
}

/* The caution: what needs more than the client has goes to a system worker, which impersonates nobody. */
SCENE(more_than_the_client_has_is_a_workers) {
  meet(alice, SECURITY_STATIC_TRACKING);
  EQ(SeSinglePrivilegeCheck(SeExports->SeTcbPrivilege, UserMode), FALSE);
  ServerElevate(&made);
  vicar_settle();
  RIGHT(made.WorkStatus, STATUS_SUCCESS);
  acts_at(-1);
  ServerPart(&made);
}

DRIVER_MAIN("page.c", faults)
