/* Events, waiting, and locks: what they do, and what is said of those who misuse them. */
#include "people.h"

#include <pthread.h>

/* A thread of the program, and where it has got to. */
static struct {
  KEVENT begun, go_on, passed;
  volatile LONG count;
} scene;

static LARGE_INTEGER at_once(void) {
  LARGE_INTEGER timeout;
  timeout.QuadPart = 0;
  return timeout;
}
static NTSTATUS wait_for(PVOID object, PLARGE_INTEGER timeout) { return KeWaitForSingleObject(object, Executive, KernelMode, FALSE, timeout); }

static void set_scene(EVENT_TYPE type) {
  scene.count = 0;
  KeInitializeEvent(&scene.begun, NotificationEvent, FALSE);
  KeInitializeEvent(&scene.go_on, type, FALSE);
  KeInitializeEvent(&scene.passed, SynchronizationEvent, FALSE);
}

TEST(an_event_stays_set_or_lets_one_through) {
  KEVENT event;
  LARGE_INTEGER zero = at_once();
  KeInitializeEvent(&event, NotificationEvent, FALSE);
  EQ(KeReadStateEvent(&event), 0);
  STATUS(wait_for(&event, &zero), STATUS_TIMEOUT);
  EQ(KeSetEvent(&event, 0, FALSE), 0);
  CHECK(KeSetEvent(&event, 0, FALSE) != 0);
  OK(wait_for(&event, &zero));
  OK(wait_for(&event, NULL));
  CHECK(KeReadStateEvent(&event) != 0);
  CHECK(KeResetEvent(&event) != 0);
  EQ(KeResetEvent(&event), 0);
  KeInitializeEvent(&event, SynchronizationEvent, TRUE);
  OK(wait_for(&event, &zero));
  STATUS(wait_for(&event, &zero), STATUS_TIMEOUT);
  EQ(KeSetEvent(&event, 0, FALSE), 0);
  KeClearEvent(&event);
  STATUS(wait_for(&event, &zero), STATUS_TIMEOUT);
}

TEST(a_wait_ends_when_its_time_has_come) {
  KEVENT event;
  LARGE_INTEGER timeout;
  KeInitializeEvent(&event, SynchronizationEvent, FALSE);
  timeout.QuadPart = -10000;
  STATUS(wait_for(&event, &timeout), STATUS_TIMEOUT);
  /* A moment of 1601 has passed, and one that is far off is not waited for when the event is set. */
  timeout.QuadPart = 1;
  STATUS(wait_for(&event, &timeout), STATUS_TIMEOUT);
  KeSetEvent(&event, 0, FALSE);
  timeout.QuadPart = 0x7FFFFFFFFFFFFFFF;
  OK(wait_for(&event, &timeout));
  EQ(KeReadStateEvent(&event), 0);
}

static VOID NTAPI waits_once(PVOID context) {
  (void)context;
  KeSetEvent(&scene.begun, 0, FALSE);
  OK(wait_for(&scene.go_on, NULL));
  __atomic_add_fetch(&scene.count, 1, __ATOMIC_SEQ_CST);
  KeSetEvent(&scene.passed, 0, FALSE);
}

/* A system thread, as an object that the caller references. */
static PETHREAD start(PKSTART_ROUTINE routine, PVOID context) {
  HANDLE handle = NULL;
  PVOID thread = NULL;
  OK(PsCreateSystemThread(&handle, THREAD_ALL_ACCESS, NULL, NULL, NULL, routine, context));
  OK(ObReferenceObjectByHandle(handle, SYNCHRONIZE, *PsThreadType, KernelMode, &thread, NULL));
  OK(ZwClose(handle));
  return (PETHREAD)thread;
}

TEST(a_thread_is_waited_for_until_it_has_ended) {
  LARGE_INTEGER zero = at_once();
  PETHREAD thread;
  set_scene(SynchronizationEvent);
  thread = start(waits_once, NULL);
  OK(wait_for(&scene.begun, NULL));
  STATUS(wait_for(thread, &zero), STATUS_TIMEOUT);
  KeSetEvent(&scene.go_on, 0, FALSE);
  OK(wait_for(thread, NULL));
  OK(wait_for(thread, &zero));
  EQ(scene.count, 1);
  ObDereferenceObject(thread);
}

TEST(a_thread_is_waited_for_with_the_verifier_off) {
  PETHREAD thread;
  world(VICAR_PROFILE_WINDOWS_10, VICAR_VERIFIER_OFF);
  set_scene(NotificationEvent);
  thread = start(waits_once, NULL);
  KeSetEvent(&scene.go_on, 0, FALSE);
  OK(wait_for(thread, NULL));
  EQ(scene.count, 1);
  ObDereferenceObject(thread);
}

TEST(a_set_event_lets_through_who_waits_even_if_it_is_reset_at_once) {
  PETHREAD threads[4];
  set_scene(NotificationEvent);
  for (int index = 0; index < 4; index++) {
    KeClearEvent(&scene.begun);
    threads[index] = start(waits_once, NULL);
    OK(wait_for(&scene.begun, NULL));
  }
  /* Those who have begun may not stand in line yet: until all are through it is set again. */
  while (__atomic_load_n(&scene.count, __ATOMIC_SEQ_CST) < 4) {
    KeSetEvent(&scene.go_on, 0, FALSE);
    KeClearEvent(&scene.go_on);
  }
  for (int index = 0; index < 4; index++) {
    OK(wait_for(threads[index], NULL));
    ObDereferenceObject(threads[index]);
  }
}

TEST(a_synchronization_event_lets_through_as_many_as_it_is_set) {
  PETHREAD threads[4];
  set_scene(SynchronizationEvent);
  for (int index = 0; index < 4; index++) threads[index] = start(waits_once, NULL);
  for (int index = 0; index < 4; index++) {
    KeSetEvent(&scene.go_on, 0, FALSE);
    OK(wait_for(&scene.passed, NULL));
    EQ(scene.count, index + 1);
  }
  for (int index = 0; index < 4; index++) {
    OK(wait_for(threads[index], NULL));
    ObDereferenceObject(threads[index]);
  }
}

TEST(what_is_no_event_is_not_waited_for) {
  static KEVENT never;
  LARGE_INTEGER zero = at_once();
  PACCESS_TOKEN token;
  people();
  STATUS(wait_for(NULL, &zero), STATUS_INVALID_PARAMETER);
  EQ(reported(VICAR_RULE_NULL_ARGUMENT), 1);
  STATUS(wait_for(&never, &zero), STATUS_INVALID_PARAMETER);
  EQ(reported(VICAR_RULE_NOT_AN_OBJECT), 1);
  EQ(KeSetEvent(&never, 0, FALSE), 0);
  EQ(KeReadStateEvent(&never), 0);
  EQ(KeResetEvent(&never), 0);
  KeClearEvent(&never);
  EQ(reported(VICAR_RULE_NOT_AN_OBJECT), 4);
  EQ(KeSetEvent(NULL, 0, FALSE), 0);
  EQ(KeReadStateEvent(NULL), 0);
  EQ(KeResetEvent(NULL), 0);
  KeClearEvent(NULL);
  KeInitializeEvent(NULL, NotificationEvent, FALSE);
  EQ(reported(VICAR_RULE_NULL_ARGUMENT), 5);
  token = PsReferencePrimaryToken(IoThreadToProcess(alice));
  STATUS(wait_for(token, &zero), STATUS_INVALID_PARAMETER);
  EQ(reported(VICAR_RULE_WRONG_OBJECT_TYPE), 1);
  PsDereferencePrimaryToken(token);
}

TEST(a_wait_at_a_raised_level_is_found) {
  KEVENT event;
  LARGE_INTEGER zero = at_once(), soon;
  KIRQL irql;
  soon.QuadPart = -1;
  KeInitializeEvent(&event, NotificationEvent, FALSE);
  KeRaiseIrql(DISPATCH_LEVEL, &irql);
  STATUS(wait_for(&event, &zero), STATUS_TIMEOUT);
  KeSetEvent(&event, 0, FALSE);
  EQ(vicar_finding_count(), 0);
  OK(wait_for(&event, &soon));
  EQ(reported(VICAR_RULE_WAITS_AT_DISPATCH), 1);
  OK(wait_for(&event, NULL));
  EQ(reported(VICAR_RULE_WAITS_AT_DISPATCH), 1);
  KeLowerIrql(irql);
}

TEST(a_spin_lock_raises_and_lowers) {
  KSPIN_LOCK lock;
  KIRQL irql = 77;
  KeInitializeSpinLock(&lock);
  KeAcquireSpinLock(&lock, &irql);
  EQ(irql, PASSIVE_LEVEL);
  EQ(KeGetCurrentIrql(), DISPATCH_LEVEL);
  KeReleaseSpinLock(&lock, irql);
  EQ(KeGetCurrentIrql(), PASSIVE_LEVEL);
  KeRaiseIrql(APC_LEVEL, &irql);
  EQ(KeAcquireSpinLockRaiseToDpc(&lock), APC_LEVEL);
  KeReleaseSpinLock(&lock, APC_LEVEL);
  EQ(KeGetCurrentIrql(), APC_LEVEL);
  KeLowerIrql(irql);
}

TEST(a_misused_spin_lock_is_found) {
  KSPIN_LOCK lock;
  KIRQL irql, again;
  KeInitializeSpinLock(&lock);
  KeReleaseSpinLock(&lock, PASSIVE_LEVEL);
  EQ(reported(VICAR_RULE_LOCK_MISUSED), 1);
  KeAcquireSpinLock(&lock, &irql);
  KeAcquireSpinLock(&lock, &again);
  EQ(reported(VICAR_RULE_LOCK_MISUSED), 1);
  KeReleaseSpinLock(&lock, APC_LEVEL);
  EQ(reported(VICAR_RULE_IRQL_NOT_RESTORED), 1);
  KeLowerIrql(PASSIVE_LEVEL);
  irql = KeAcquireSpinLockRaiseToDpc(&lock);
  KeLowerIrql(PASSIVE_LEVEL);
  KeReleaseSpinLock(&lock, irql);
  EQ(reported(VICAR_RULE_IRQL_NOT_RESTORED), 1);
  KeAcquireSpinLock(&lock, &irql);
  KeLowerIrql(irql);
  vicar_return_to_user_mode();
  EQ(reported(VICAR_RULE_LOCK_MISUSED), 1);
  KeInitializeSpinLock(NULL);
  KeAcquireSpinLock(NULL, &irql);
  EQ(irql, PASSIVE_LEVEL);
  EQ(KeAcquireSpinLockRaiseToDpc(NULL), PASSIVE_LEVEL);
  KeReleaseSpinLock(NULL, PASSIVE_LEVEL);
  EQ(reported(VICAR_RULE_NULL_ARGUMENT), 4);
  EQ(KeGetCurrentIrql(), PASSIVE_LEVEL);
}

TEST(a_fast_mutex_raises_and_lowers) {
  FAST_MUTEX mutex;
  KIRQL irql;
  ExInitializeFastMutex(&mutex);
  ExAcquireFastMutex(&mutex);
  EQ(KeGetCurrentIrql(), APC_LEVEL);
  ExReleaseFastMutex(&mutex);
  EQ(KeGetCurrentIrql(), PASSIVE_LEVEL);
  KeRaiseIrql(APC_LEVEL, &irql);
  ExAcquireFastMutex(&mutex);
  ExReleaseFastMutex(&mutex);
  EQ(KeGetCurrentIrql(), APC_LEVEL);
  KeLowerIrql(irql);
}

TEST(a_misused_fast_mutex_is_found) {
  FAST_MUTEX mutex;
  ExInitializeFastMutex(&mutex);
  ExReleaseFastMutex(&mutex);
  EQ(reported(VICAR_RULE_LOCK_MISUSED), 1);
  ExAcquireFastMutex(&mutex);
  ExAcquireFastMutex(&mutex);
  EQ(reported(VICAR_RULE_LOCK_MISUSED), 1);
  KeLowerIrql(PASSIVE_LEVEL);
  ExReleaseFastMutex(&mutex);
  EQ(reported(VICAR_RULE_IRQL_NOT_RESTORED), 1);
  ExInitializeFastMutex(NULL);
  ExAcquireFastMutex(NULL);
  ExReleaseFastMutex(NULL);
  EQ(reported(VICAR_RULE_NULL_ARGUMENT), 3);
  EQ(KeGetCurrentIrql(), PASSIVE_LEVEL);
}

TEST(a_resource_has_several_readers_or_one_writer) {
  ERESOURCE resource;
  OK(ExInitializeResourceLite(&resource));
  KeEnterCriticalRegion();
  CHECK(ExAcquireResourceSharedLite(&resource, TRUE));
  CHECK(ExAcquireResourceSharedLite(&resource, FALSE));
  CHECK(!ExAcquireResourceExclusiveLite(&resource, FALSE));
  ExReleaseResourceLite(&resource);
  ExReleaseResourceLite(&resource);
  CHECK(ExAcquireResourceExclusiveLite(&resource, TRUE));
  CHECK(ExAcquireResourceExclusiveLite(&resource, FALSE));
  CHECK(ExAcquireResourceSharedLite(&resource, FALSE));
  for (int index = 0; index < 3; index++) ExReleaseResourceLite(&resource);
  KeLeaveCriticalRegion();
  OK(ExDeleteResourceLite(&resource));
}

static VOID NTAPI tries_to_read(PVOID context) {
  KeEnterCriticalRegion();
  BOOLEAN has = ExAcquireResourceSharedLite((PERESOURCE)context, FALSE);
  if (has) ExReleaseResourceLite((PERESOURCE)context);
  KeLeaveCriticalRegion();
  scene.count = has;
}
TEST(another_thread_reads_what_nobody_writes) {
  ERESOURCE resource;
  PETHREAD thread;
  set_scene(NotificationEvent);
  OK(ExInitializeResourceLite(&resource));
  KeEnterCriticalRegion();
  CHECK(ExAcquireResourceSharedLite(&resource, TRUE));
  thread = start(tries_to_read, &resource);
  OK(wait_for(thread, NULL));
  ObDereferenceObject(thread);
  EQ(scene.count, TRUE);
  ExReleaseResourceLite(&resource);
  CHECK(ExAcquireResourceExclusiveLite(&resource, TRUE));
  thread = start(tries_to_read, &resource);
  OK(wait_for(thread, NULL));
  ObDereferenceObject(thread);
  EQ(scene.count, FALSE);
  ExReleaseResourceLite(&resource);
  KeLeaveCriticalRegion();
  OK(ExDeleteResourceLite(&resource));
}

TEST(a_misused_resource_is_found) {
  ERESOURCE resource;
  memset(&resource, 0, sizeof resource);
  KeEnterCriticalRegion();
  CHECK(!ExAcquireResourceSharedLite(&resource, TRUE));
  CHECK(!ExAcquireResourceExclusiveLite(&resource, TRUE));
  ExReleaseResourceLite(&resource);
  STATUS(ExDeleteResourceLite(&resource), STATUS_INVALID_PARAMETER);
  EQ(reported(VICAR_RULE_NOT_AN_OBJECT), 4);
  STATUS(ExInitializeResourceLite(NULL), STATUS_INVALID_PARAMETER);
  CHECK(!ExAcquireResourceSharedLite(NULL, TRUE));
  CHECK(!ExAcquireResourceExclusiveLite(NULL, TRUE));
  ExReleaseResourceLite(NULL);
  STATUS(ExDeleteResourceLite(NULL), STATUS_INVALID_PARAMETER);
  EQ(reported(VICAR_RULE_NULL_ARGUMENT), 5);
  OK(ExInitializeResourceLite(&resource));
  ExReleaseResourceLite(&resource);
  EQ(reported(VICAR_RULE_LOCK_MISUSED), 1);
  CHECK(ExAcquireResourceSharedLite(&resource, TRUE));
  CHECK(!ExAcquireResourceExclusiveLite(&resource, TRUE));
  EQ(reported(VICAR_RULE_LOCK_MISUSED), 1);
  OK(ExDeleteResourceLite(&resource));
  EQ(reported(VICAR_RULE_LOCK_MISUSED), 1);
  KeLeaveCriticalRegion();
  vicar_return_to_user_mode();
  EQ(reported(VICAR_RULE_LOCK_MISUSED), 1);
  OK(ExInitializeResourceLite(&resource));
  CHECK(ExAcquireResourceExclusiveLite(&resource, TRUE));
  EQ(reported(VICAR_RULE_LOCK_MISUSED), 1);
  ExReleaseResourceLite(&resource);
  OK(ExDeleteResourceLite(&resource));
}

/* Four threads count what only one at a time may touch. */
#define ROUNDS 2000
static struct {
  KSPIN_LOCK spin;
  FAST_MUTEX mutex;
  ERESOURCE resource;
  unsigned long counts[3];
} shared;
static VOID NTAPI counts(PVOID context) {
  KIRQL irql;
  (void)context;
  for (int index = 0; index < ROUNDS; index++) {
    KeAcquireSpinLock(&shared.spin, &irql);
    shared.counts[0]++;
    KeReleaseSpinLock(&shared.spin, irql);
    ExAcquireFastMutex(&shared.mutex);
    shared.counts[1]++;
    ExReleaseFastMutex(&shared.mutex);
    KeEnterCriticalRegion();
    if (ExAcquireResourceSharedLite(&shared.resource, TRUE)) ExReleaseResourceLite(&shared.resource);
    if (ExAcquireResourceExclusiveLite(&shared.resource, TRUE)) {
      shared.counts[2]++;
      ExReleaseResourceLite(&shared.resource);
    }
    KeLeaveCriticalRegion();
  }
}
TEST(locks_exclude_each_other_s_threads) {
  PETHREAD threads[4];
  memset(&shared, 0, sizeof shared);
  KeInitializeSpinLock(&shared.spin);
  ExInitializeFastMutex(&shared.mutex);
  OK(ExInitializeResourceLite(&shared.resource));
  for (int index = 0; index < 4; index++) threads[index] = start(counts, NULL);
  for (int index = 0; index < 4; index++) {
    OK(wait_for(threads[index], NULL));
    ObDereferenceObject(threads[index]);
  }
  for (int index = 0; index < 3; index++) EQ(shared.counts[index], 4 * ROUNDS);
  OK(ExDeleteResourceLite(&shared.resource));
}

TEST(events_and_locks_are_as_large_as_on_windows) {
  EQ(sizeof(KEVENT), 24);
  EQ(sizeof(KSPIN_LOCK), 8);
  EQ(sizeof(FAST_MUTEX), 56);
  EQ(sizeof(ERESOURCE), 104);
}
