/*
 * A driver in scenes. Every scene is played in several worlds: each generation of Windows, by a server that holds
 * SeImpersonatePrivilege and by one that does not. The right driver answers as it should and the verifier says nothing. A
 * driver with a fault is named by the rules of `faults[FAULT]`: all of them, and no other.
 */
#ifndef SCENE_H
#define SCENE_H

#define CHECK_WITHOUT_MAIN
#include "../c/people.h"
#include "../../examples/drivers/fault.h"

#include <semaphore.h>

#define RULES 64

/* What each fault is, and which rules name it. The first is the right driver. */
typedef struct {
  const char *what;
  ULONG rules[4];
  const char *dies; /* the program ends in the scene with this text, by a sanitizer */
} FAULT_OF_DRIVER;

/* The world that a scene is played in. */
static struct {
  ULONG profile;
  BOOLEAN is_trusted; /* the server holds SeImpersonatePrivilege */
} place;

typedef void (*scene_function)(void);
static struct {
  const char *name;
  scene_function play;
} scenes[32];
static unsigned scene_count;

#define SCENE(title)                                                 \
  static void title(void);                                           \
  __attribute__((constructor)) static void register_##title(void) {  \
    scenes[scene_count].name = #title;                               \
    scenes[scene_count++].play = title;                              \
  }                                                                  \
  static void title(void)

/* Judged of the right driver only: what a faulty one answers is its own affair. */
#define RIGHT(one, other) do { long long found_ = (long long)(one); if (FAULT == 0) judge(found_ == (long long)(other), __FILE__, __LINE__, #one " is " #other, found_, (long long)(other)); } while (0)

/* Whether the server may act as others: before Server 2003 nobody is asked. */
static inline __attribute__((unused)) int server_may(void) { return place.is_trusted || place.profile == VICAR_PROFILE_NT4_TO_XP; }

/* The people of people.h, the server as the place says. */
static inline __attribute__((unused)) void actors(void) {
  server = thread_of(SERVICE, place.is_trusted ? "SeImpersonatePrivilege SeChangeNotifyPrivilege" : "SeChangeNotifyPrivilege");
  alice = thread_of(ALICE, NULL);
  bob = thread_of(BOB, NULL);
  OK(vicar_act_as(server));
}

/* A request of a thread, in user mode unless `mode` says otherwise. */
typedef struct {
  IO_STACK_LOCATION place;
  IRP irp;
} REQUEST;

static inline __attribute__((unused)) NTSTATUS ask(REQUEST *request, PDRIVER_OBJECT driver, PDEVICE_OBJECT device, PETHREAD thread,
                                                   PFILE_OBJECT file, UCHAR major) {
  request->place.MajorFunction = major;
  request->place.DeviceObject = device;
  request->place.FileObject = file;
  request->irp.Tail.Overlay.Thread = thread;
  request->irp.Tail.Overlay.CurrentStackLocation = &request->place;
  request->irp.RequestorMode = UserMode;
  return driver->MajorFunction[major](device, &request->irp);
}

/* A file that alice may read: what the stand-in for ZwCreateFile opens, as whoever the thread acts as. */
static unsigned opened;
static inline __attribute__((unused)) NTSTATUS NTAPI open_stand_in(PCUNICODE_STRING path, ACCESS_MASK desired) {
  KIRQL irql = KeGetCurrentIrql();
  (void)path;
  (void)desired;
  vicar_object_access("ZwCreateFile");
  NTSTATUS status = irql == PASSIVE_LEVEL ? may_read(readable_by(ALICE)) : STATUS_UNSUCCESSFUL;
  if (NT_SUCCESS(status)) opened++;
  return status;
}

/* Keeps both system workers busy, so that what is queued waits until they are let go. */
static struct {
  sem_t begun, end;
  WORK_QUEUE_ITEM items[2];
} held;
static inline VOID NTAPI wait_here(PVOID parameter) {
  (void)parameter;
  sem_post(&held.begun);
  sem_wait(&held.end);
}
static inline __attribute__((unused)) void hold_workers(void) {
  sem_init(&held.begun, 0, 0);
  sem_init(&held.end, 0, 0);
  for (int index = 0; index < 2; index++) {
    ExInitializeWorkItem(&held.items[index], wait_here, NULL);
    ExQueueWorkItem(&held.items[index], CriticalWorkQueue);
  }
  for (int index = 0; index < 2; index++) sem_wait(&held.begun);
}
static inline __attribute__((unused)) void let_workers_go(void) {
  for (int index = 0; index < 2; index++) sem_post(&held.end);
}

/* A driver that leaks is told so by the verifier; the sanitizer need not say it again. */
const char *__asan_default_options(void);
const char *__asan_default_options(void) { return FAULT == 0 ? "" : "detect_leaks=0"; }

static int play_all(const FAULT_OF_DRIVER *fault, const char *driver_source) {
  BOOLEAN named[RULES] = { 0 }, wanted[RULES] = { 0 };
  unsigned plays = 0, sites = 0, failed = 0;
  char text[1000];
  for (unsigned scene = 0; scene < scene_count; scene++) {
    for (place.profile = VICAR_PROFILE_NT4_TO_XP; place.profile <= VICAR_PROFILE_WINDOWS_10; place.profile++) {
      for (int trusted = 0; trusted < 2; trusted++) {
        place.is_trusted = (BOOLEAN)trusted;
        opened = 0;
        world(place.profile, VICAR_VERIFIER_COLLECT);
        actors();
        scenes[scene].play();
        vicar_settle();
        OK(vicar_act_as(NULL));
        for (ULONG index = 0, count = vicar_verify(); index < count; index++) {
          VICAR_FINDING finding;
          OK(vicar_finding(index, &finding));
          if (finding.Rule < RULES) named[finding.Rule] = TRUE;
          vicar_finding_text(index, VICAR_FINDING_WHOLE, text, sizeof text);
          if (strstr(text, driver_source) != NULL) sites++;
          if (FAULT == 0 || getenv("SHOW") != NULL)
            fprintf(stderr, "%s, profile %u, %strusted: %s\n", scenes[scene].name, place.profile, trusted ? "" : "not ", text);
        }
        vicar_findings_clear();
        plays++;
      }
    }
  }
  for (int index = 0; index < 4; index++) wanted[fault->rules[index]] = fault->rules[index] != 0;
  for (ULONG rule = 1; rule < RULES; rule++) {
    if (named[rule] && !wanted[rule]) failed++, fprintf(stderr, "rule %u was named and is not expected\n", rule);
    if (!named[rule] && wanted[rule]) failed++, fprintf(stderr, "rule %u was expected and is not named\n", rule);
  }
  if (FAULT != 0 && fault->rules[0] != 0 && sites == 0) failed++, fprintf(stderr, "no finding names a line of %s\n", driver_source);
  printf("fault %d: %s: rules", FAULT, fault->what);
  for (ULONG rule = 1; rule < RULES; rule++) if (named[rule]) printf(" %u", rule);
  printf("; %u plays, %u checks\n", plays, check_count);
  return failed != 0 || failed_checks != 0;
}

/* The program: `--faults` says how many faults there are; without it the scenes are played. */
#define DRIVER_MAIN(source, faults)                                                          \
  int main(int argc, char **argv) {                                                          \
    _Static_assert(FAULT < sizeof(faults) / sizeof((faults)[0]), "there is no such fault");  \
    if (argc > 1 && strcmp(argv[1], "--faults") == 0) {                                      \
      for (size_t index = 1; index < sizeof(faults) / sizeof((faults)[0]); index++)          \
        printf("%zu%s%s\n", index, (faults)[index].dies ? " " : "", (faults)[index].dies ? (faults)[index].dies : ""); \
      return 0;                                                                              \
    }                                                                                        \
    return play_all(&(faults)[FAULT], source);                                               \
  }

#endif
