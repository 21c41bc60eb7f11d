/* Memory, work for the system, interrupt levels, and the test kernel itself. */
#include "people.h"

#define TAG 0x74736554

TEST(pool_is_zeroed_and_counted) {
  ULONG64 before = vicar_pool_bytes();
  UCHAR *block = (UCHAR *)ExAllocatePool2(POOL_FLAG_PAGED, 100, TAG);
  CHECK(block != NULL);
  if (block == NULL) return;
  unsigned sum = 0;
  for (unsigned index = 0; index < 100; index++) sum += block[index];
  EQ(sum, 0);
  memset(block, 0xEE, 100);
  CHECK(vicar_pool_bytes() >= before + 100);
  ExFreePoolWithTag(block, TAG);
  EQ(vicar_pool_bytes(), before);
  block = (UCHAR *)ExAllocatePoolWithTag(NonPagedPoolNx, 16, TAG);
  CHECK(block != NULL);
  ExFreePool(block);
  EQ(vicar_pool_bytes(), before);
}

TEST(pool_that_there_is_none_of_is_null) {
  vicar_fail_allocation(1, 0);
  CHECK(ExAllocatePool2(POOL_FLAG_PAGED, 100, TAG) == NULL);
  CHECK(ExAllocatePool2(POOL_FLAG_PAGED, 100, 0) == NULL);
  vicar_fail_allocation(1, 0);
  CHECK(ExAllocatePoolWithTag(PagedPool, 100, TAG) == NULL);
}

TEST(pool_is_freed_once_and_under_its_own_tag) {
  PVOID block = ExAllocatePool2(POOL_FLAG_PAGED, 100, TAG);
  ExFreePoolWithTag(block, TAG + 1);
  EQ(reported(VICAR_RULE_POOL_NOT_ALLOCATED), 1);
  ExFreePoolWithTag(block, 0);
  ExFreePool(block);
  EQ(reported(VICAR_RULE_POOL_NOT_ALLOCATED), 1);
}

TEST(pool_that_is_not_freed_is_found) {
  PVOID block = ExAllocatePool2(POOL_FLAG_PAGED, 100, TAG);
  EQ(vicar_verify(), 1);
  vicar_findings_clear();
  ExFreePool(block);
  vicar_findings_clear();
}

static int runs, was_system, argument_is_right;
static VOID NTAPI work(PVOID parameter) {
  was_system = PsIsSystemThread(PsGetCurrentThread());
  argument_is_right = parameter == (PVOID)&runs;
  __atomic_add_fetch(&runs, 1, __ATOMIC_SEQ_CST);
}

TEST(work_is_done_by_the_system) {
  WORK_QUEUE_ITEM item;
  runs = 0;
  people();
  ExInitializeWorkItem(&item, work, (PVOID)&runs);
  ExQueueWorkItem(&item, DelayedWorkQueue);
  vicar_settle();
  EQ(runs, 1);
  CHECK(was_system && argument_is_right);
  ExQueueWorkItem(&item, CriticalWorkQueue);
  vicar_settle();
  EQ(runs, 2);
}

TEST(work_without_a_routine_is_not_queued) {
  WORK_QUEUE_ITEM item;
  ExInitializeWorkItem(&item, NULL, NULL);
  ExQueueWorkItem(&item, DelayedWorkQueue);
  ExQueueWorkItem(NULL, DelayedWorkQueue);
  CHECK(vicar_finding_count() >= 1);
  vicar_settle();
  vicar_findings_clear();
}

static SECURITY_CLIENT_CONTEXT shared;
static VOID NTAPI forgetful(PVOID parameter) {
  (void)parameter;
  if (!NT_SUCCESS(SeImpersonateClientEx(&shared, NULL))) runs = 99;
}

TEST(a_worker_that_still_acts_as_a_client_is_found) {
  WORK_QUEUE_ITEM item;
  runs = 0;
  people();
  shared = client_of(alice);
  ExInitializeWorkItem(&item, forgetful, NULL);
  ExQueueWorkItem(&item, DelayedWorkQueue);
  vicar_settle();
  EQ(runs, 0);
  EQ(reported(VICAR_RULE_IMPERSONATING_WORKER_THREAD), 1);
  SeDeleteClientSecurity(&shared);
}

static DEVICE_OBJECT device;
static int device_is_right;
static VOID NTAPI device_work(PDEVICE_OBJECT object, PVOID context) {
  device_is_right = object == &device && context == (PVOID)&runs;
  __atomic_add_fetch(&runs, 1, __ATOMIC_SEQ_CST);
}
static VOID NTAPI device_work_ex(PVOID object, PVOID context, PIO_WORKITEM item) {
  device_is_right = object == &device && context == (PVOID)&runs;
  __atomic_add_fetch(&runs, 1, __ATOMIC_SEQ_CST);
  IoFreeWorkItem(item);
}

TEST(work_of_a_device_gets_the_device) {
  runs = 0;
  PIO_WORKITEM item = IoAllocateWorkItem(&device);
  CHECK(item != NULL);
  IoQueueWorkItem(item, device_work, DelayedWorkQueue, (PVOID)&runs);
  vicar_settle();
  EQ(runs, 1);
  CHECK(device_is_right);
  IoFreeWorkItem(item);
  item = IoAllocateWorkItem(&device);
  IoQueueWorkItemEx(item, device_work_ex, DelayedWorkQueue, (PVOID)&runs);
  vicar_settle();
  EQ(runs, 2);
  CHECK(device_is_right);
}

TEST(work_of_a_device_needs_memory_and_a_routine) {
  vicar_fail_allocation(1, 0);
  CHECK(IoAllocateWorkItem(&device) == NULL);
  PIO_WORKITEM item = IoAllocateWorkItem(&device);
  IoQueueWorkItem(item, NULL, DelayedWorkQueue, NULL);
  CHECK(vicar_finding_count() >= 1);
  vicar_findings_clear();
  IoQueueWorkItemEx(item, NULL, DelayedWorkQueue, NULL);
  CHECK(vicar_finding_count() >= 1);
  vicar_settle();
  vicar_findings_clear();
  IoFreeWorkItem(item);
  IoFreeWorkItem(NULL);
  vicar_findings_clear();
}

TEST(a_request_is_somebodys) {
  IRP irp;
  people();
  memset(&irp, 0, sizeof irp);
  irp.Tail.Overlay.Thread = alice;
  CHECK(IoGetRequestorProcess(&irp) == IoThreadToProcess(alice));
}

TEST(a_request_of_nobody_has_no_process) {
  IRP irp;
  memset(&irp, 0, sizeof irp);
  CHECK(IoGetRequestorProcess(&irp) == NULL);
  CHECK(IoGetRequestorProcess(NULL) == NULL);
  vicar_findings_clear();
}

TEST(the_interrupt_level_goes_up_and_down) {
  KIRQL old = 9;
  EQ(KeGetCurrentIrql(), PASSIVE_LEVEL);
  PAGED_CODE();
  KeRaiseIrql(DISPATCH_LEVEL, &old);
  EQ(old, PASSIVE_LEVEL);
  EQ(KeGetCurrentIrql(), DISPATCH_LEVEL);
  CHECK(KeAreApcsDisabled());
  KeLowerIrql(old);
  EQ(KeGetCurrentIrql(), PASSIVE_LEVEL);
  CHECK(!KeAreApcsDisabled());
  KeEnterCriticalRegion();
  CHECK(KeAreApcsDisabled());
  KeLeaveCriticalRegion();
  CHECK(!KeAreApcsDisabled());
}

TEST(a_call_at_too_high_a_level_is_found) {
  KIRQL old;
  people();
  KeRaiseIrql(DISPATCH_LEVEL, &old);
  PAGED_CODE();
  EQ(reported(VICAR_RULE_WRONG_IRQL), 1);
  SeStopImpersonatingClient();
  EQ(reported(VICAR_RULE_WRONG_IRQL), 1);
  KeLowerIrql(old);
}

TEST(levels_in_the_wrong_order_are_found) {
  KIRQL old;
  KeRaiseIrql(DISPATCH_LEVEL, &old);
  KIRQL raised;
  KeRaiseIrql(APC_LEVEL, &raised);
  EQ(reported(VICAR_RULE_IRQL_ORDER), 1);
  KeLowerIrql(PASSIVE_LEVEL);
  KeLowerIrql(DISPATCH_LEVEL);
  EQ(reported(VICAR_RULE_IRQL_ORDER), 1);
  KeLowerIrql(PASSIVE_LEVEL);
  KeLeaveCriticalRegion();
  EQ(reported(VICAR_RULE_CRITICAL_REGION), 1);
  vicar_findings_clear();
  KeEnterCriticalRegion();
  people();
  KeEnterCriticalRegion();
  vicar_return_to_user_mode();
  EQ(reported(VICAR_RULE_CRITICAL_REGION), 1);
  CHECK(!KeAreApcsDisabled());
}

TEST(a_thread_that_goes_back_impersonating_is_found) {
  people();
  SECURITY_CLIENT_CONTEXT client = client_of(alice);
  OK(SeImpersonateClientEx(&client, NULL));
  vicar_return_to_user_mode();
  EQ(reported(VICAR_RULE_MISSING_REVERT), 1);
  SeStopImpersonatingClient();
  vicar_return_to_user_mode();
  SeDeleteClientSecurity(&client);
}

TEST(a_world_is_built) {
  VICAR_PERSON person = VICAR_PERSON_OF(ALICE);
  PACCESS_TOKEN token = NULL, refused = NULL;
  PEPROCESS process = NULL;
  PETHREAD thread = NULL, user = NULL;
  ULONG64 tried = vicar_allocation_count();
  OK(vicar_token_create(&person, &token));
  CHECK(vicar_allocation_count() > tried);
  CHECK(vicar_balance() > 0 && vicar_pool_bytes() > 0 && vicar_reference_count(token) >= 1);
  OK(vicar_process_create(token, &process));
  OK(vicar_thread_create(process, &thread));
  OK(vicar_act_as(thread));
  CHECK(PsGetCurrentThread() == thread && PsGetCurrentProcess() == process);
  vicar_return_to_user_mode();
  OK(vicar_act_as(NULL));
  vicar_thread_exit(thread);
  vicar_process_exit(process);
  OK(vicar_user_thread(&person, &user));
  OK(vicar_fail_routine("SeQuerySessionIdToken", STATUS_UNSUCCESSFUL));
  ULONG session;
  STATUS(SeQuerySessionIdToken(token, &session), STATUS_UNSUCCESSFUL);
  OK(SeQuerySessionIdToken(token, &session));
  vicar_fail_allocation(1, STATUS_QUOTA_EXCEEDED);
  STATUS(vicar_token_create(&person, &refused), STATUS_QUOTA_EXCEEDED);
  vicar_settle();
  EQ(vicar_verify(), 1);
  EQ(vicar_finding_count(), 1);
  vicar_findings_clear();
  EQ(vicar_finding_count(), 0);
  ObDereferenceObject(token);
}

TEST(worlds_differ_by_their_windows) {
  VICAR_WORLD early = { sizeof early, VICAR_PROFILE_NT4_TO_XP, VICAR_VERIFIER_COLLECT, 0 };
  OK(vicar_reset(&early));
  people();
  SECURITY_CLIENT_CONTEXT client = client_of(alice);
  OK(vicar_act_as(bob));
  OK(SeImpersonateClientEx(&client, NULL));
  acts_at(SecurityImpersonation);
  SeStopImpersonatingClient();
  SeDeleteClientSecurity(&client);
}

TEST(a_world_is_not_built_of_words_that_mean_nothing) {
  VICAR_PERSON person = VICAR_PERSON_OF("nobody");
  VICAR_WORLD made = { sizeof made, 9, VICAR_VERIFIER_COLLECT, 0 };
  VICAR_FINDING finding;
  PACCESS_TOKEN token = &made;
  PEPROCESS process;
  PETHREAD thread;
  char text[4] = "xyz";
  STATUS(vicar_token_create(&person, &token), STATUS_INVALID_PARAMETER);
  CHECK(token == NULL);
  STATUS(vicar_user_thread(&person, &thread), STATUS_INVALID_PARAMETER);
  STATUS(vicar_token_create(NULL, &token), STATUS_INVALID_PARAMETER);
  STATUS(vicar_process_create(NULL, &process), STATUS_INVALID_PARAMETER);
  STATUS(vicar_thread_create(NULL, &thread), STATUS_INVALID_PARAMETER);
  STATUS(vicar_act_as((PETHREAD)8), STATUS_INVALID_PARAMETER);
  STATUS(vicar_fail_routine(NULL, 0), STATUS_INVALID_PARAMETER);
  vicar_process_exit(NULL);
  vicar_thread_exit(NULL);
  EQ(vicar_reference_count(NULL), 0);
  vicar_findings_clear();
  STATUS(vicar_finding(0, &finding), STATUS_NOT_FOUND);
  EQ(vicar_finding_text(0, VICAR_FINDING_WHOLE, text, sizeof text), 0);
  EQ(text[0], 0);
  STATUS(vicar_reset(&made), STATUS_INVALID_PARAMETER);
}
