/*
 * Hostile arguments: every routine with one wrong argument at a time, each call in a process of its own. tools/hostile.py makes the
 * calls from the headers; what is right stands here.
 */
#ifndef SWEEP_H
#define SWEEP_H

#define CHECK_WITHOUT_MAIN
#include "../c/people.h"

#include <signal.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

/* A fault ends the call's process by its signal; what it has not given back is the system's. */
const char *__asan_default_options(void);
const char *__asan_default_options(void) { return "handle_segv=0:handle_sigbus=0:detect_leaks=0"; }

/* Where an argument is put: a page, and behind it one that cannot be touched. */
static UCHAR *page, *wall;

/* Bytes that a right argument points to. */
typedef struct {
  const void *bytes;
  size_t size;
} RIGHT_BYTES;

static PACCESS_TOKEN token;
static PETHREAD thread, acting; /* acting acts as alice */
static PEPROCESS process;
static HANDLE token_handle, thread_handle, process_handle;
static SECURITY_CLIENT_CONTEXT client;
static SECURITY_SUBJECT_CONTEXT subject;
static SECURITY_QUALITY_OF_SERVICE qos;
static SE_IMPERSONATION_STATE state;
static PTOKEN_ACCESS_INFORMATION access_information;
static ACCESS_STATE access_state;
static ULONG64 aux_room[32];
static ULONG descriptor[31], absolute[24], list[50], entry[9], name[7];
static PSECURITY_DESCRIPTOR stored;
static struct {
  ULONG count, control;
  LUID_AND_ATTRIBUTES one;
} set = { 1, PRIVILEGE_SET_ALL_NECESSARY, { { SE_CHANGE_NOTIFY_PRIVILEGE, 0 }, 0 } };
static struct {
  ULONG count;
  LUID_AND_ATTRIBUTES one;
} privileges = { 1, { { SE_CHANGE_NOTIFY_PRIVILEGE, 0 }, SE_PRIVILEGE_ENABLED } };
static TOKEN_GROUPS groups;
static OBJECT_ATTRIBUTES attributes;
static OBJECT_TYPE_LIST types;
static GUID guid = { 1, 2, 3, { 4 } };
static KEVENT event;
static KSPIN_LOCK spin;
static FAST_MUTEX mutex;
static ERESOURCE resource;
static IRP irp;
static DEVICE_OBJECT device;
static WORK_QUEUE_ITEM item;
static UNICODE_STRING string;
static WCHAR letters[40] = L"service";
static VICAR_PERSON person = VICAR_PERSON_OF(ALICE);
static VICAR_WORLD made_world = { sizeof made_world, VICAR_PROFILE_WINDOWS_10, VICAR_VERIFIER_COLLECT, 0 };
static LUID session;
static ULONG room_length = 200;
static UCHAR room[256];
static HANDLE information_room[2];

static VOID NTAPI does_nothing(PVOID parameter) { (void)parameter; }
static VOID NTAPI does_nothing_for(PDEVICE_OBJECT object, PVOID parameter) { (void)object, (void)parameter; }
static VOID NTAPI does_nothing_with(PVOID object, PVOID parameter, PIO_WORKITEM work) { (void)object, (void)parameter, (void)work; }
static NTSTATUS NTAPI is_told(PLUID luid) { (void)luid; return STATUS_SUCCESS; }

/* The world of every call: a server that may impersonate, a client, and one of everything. */
static void build(void) {
  ULONG length = sizeof descriptor;
  struct rlimit no_core = { 0, 0 };
  if (setrlimit(RLIMIT_CORE, &no_core) != 0) abort();
  page = (UCHAR *)mmap(NULL, 0x3000, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
  wall = page + 0x2000;
  if (page == MAP_FAILED || mprotect(wall, 0x1000, PROT_NONE) != 0) abort();
  world(VICAR_PROFILE_WINDOWS_10, VICAR_VERIFIER_COLLECT);
  people();
  thread = alice;
  process = IoThreadToProcess(server);
  qos = quality(SecurityImpersonation, SECURITY_STATIC_TRACKING);
  client = client_of(alice);
  OK(SeImpersonateClientEx(&client, NULL));
  CHECK(PsDisableImpersonation(server, &state));
  acting = thread_of(ALICE, NULL);
  OK(SeImpersonateClientEx(&client, acting));
  SeCaptureSubjectContextEx(NULL, IoThreadToProcess(alice), &subject);
  SeLockSubjectContext(&subject);
  OK(vicar_token_create(&(VICAR_PERSON){ sizeof person, 0, ALICE, NULL, NULL, NULL, NULL, NULL, NULL, NULL, 1, 2, { 0, 0 }, { 0, 0 } }, &token));
  OK(ObOpenObjectByPointer(token, 0, NULL, TOKEN_ALL_ACCESS, *SeTokenObjectType, KernelMode, &token_handle));
  OK(ObOpenObjectByPointer(acting, 0, NULL, THREAD_ALL_ACCESS, *PsThreadType, KernelMode, &thread_handle));
  OK(ObOpenObjectByPointer(process, 0, NULL, PROCESS_ALL_ACCESS, *PsProcessType, KernelMode, &process_handle));
  OK(SeQueryInformationToken(token, TokenAccessInformation, (PVOID *)&access_information));
  OK(SeQueryAuthenticationIdToken(token, &session));
  OK(SeCreateAccessState(&access_state, aux_room, FILE_READ_DATA, &file_mapping));
  memcpy(name, sid(ALICE), sizeof name);
  OK(RtlCreateAcl((PACL)list, sizeof list, ACL_REVISION));
  OK(RtlAddAccessAllowedAce((PACL)list, ACL_REVISION, FILE_READ_DATA, name));
  PVOID first = NULL;
  OK(RtlGetAce((PACL)list, 0, &first));
  memcpy(entry, first, ((PACE_HEADER)first)->AceSize);
  memcpy(absolute, readable_by(ALICE), sizeof(SECURITY_DESCRIPTOR));
  OK(RtlAbsoluteToSelfRelativeSD(absolute, descriptor, &length));
  EQ(length, sizeof descriptor);
  stored = ExAllocatePoolWithTag(PagedPool, length, 1);
  memcpy(stored, descriptor, length);
  groups.GroupCount = 1;
  groups.Groups[0].Sid = name;
  InitializeObjectAttributes(&attributes, NULL, 0, NULL, NULL);
  types.ObjectType = &guid;
  KeInitializeEvent(&event, NotificationEvent, TRUE);
  KeInitializeSpinLock(&spin);
  ExInitializeFastMutex(&mutex);
  OK(ExInitializeResourceLite(&resource));
  irp.Tail.Overlay.Thread = alice;
  ExInitializeWorkItem(&item, does_nothing, NULL);
  RtlInitUnicodeString(&string, letters);
  string.MaximumLength = sizeof letters;
  information_room[0] = token_handle;
  PsRevertToSelf();
  vicar_return_to_user_mode();
  vicar_findings_clear();
  if (failed_checks != 0) exit(2);
}

typedef enum { RIGHT_ONE, NULL_ONE, MISALIGNED, AT_WALL, CUT, GONE, WILD } VARIANT;
static const char *const variant_names[] = { "right", "null", "misaligned", "at the end", "short", "gone", "wild" };

/* A copy of an argument's bytes where the variant wants it. Opaque pointers have no bytes and are moved themselves. */
static void *place(VARIANT variant, unsigned shift, void *right, size_t size) {
  UCHAR *at;
  switch (variant) {
    case NULL_ONE: return NULL;
    case MISALIGNED: at = size == 0 ? NULL : page + 0x1000 + shift; break;
    case AT_WALL: at = wall - size; break;
    case CUT: at = wall - size + 1; break;
    case GONE: return wall + 0x100;
    default: return right;
  }
  if (at == NULL) return (void *)((ULONG_PTR)right + shift);
  memcpy(at, right, at + size > wall ? (size_t)(wall - at) : size);
  return at;
}

typedef struct {
  const char *routine, *parameter;
  int index; /* -1: all are right */
  unsigned variants; /* bits of VARIANT */
  void *(*right)(void);
  size_t size;
  long long (*call)(int index, void *hostile);
  char result; /* v: nothing, p: a pointer, otherwise bytes of a number */
  char mode;   /* u: for a user */
} CASE;

/* What one call comes to, as text. */
static void outcome(const CASE *one, VARIANT variant, unsigned shift, char *text, size_t room_size) {
  int ends[2], status, used = 0;
  if (pipe(ends) != 0) abort();
  pid_t child = fork();
  if (child < 0) abort();
  if (child == 0) {
    char said[300];
    UCHAR rules[64] = { 0 };
    alarm(60);
    void *right = one->right == NULL ? NULL : one->right();
    void *hostile = variant == WILD ? (void *)(ULONG_PTR)0xFFFFFFF0u : place(variant, shift, right, one->size);
    if (one->mode == 'u') vicar_set_previous_mode(UserMode);
    long long result = one->call(one->index, hostile);
    int length = one->result == 'v'   ? snprintf(said, sizeof said, "-")
                 : one->result == 'p' ? snprintf(said, sizeof said, "%s", result == 0 ? "null" : "pointer")
                                      : snprintf(said, sizeof said, "%llx", result & (one->result == '8' ? ~0ll : (1ll << 8 * (one->result - '0')) - 1));
    for (ULONG index = 0; index < vicar_finding_count(); index++) {
      VICAR_FINDING finding;
      if (vicar_finding(index, &finding) == STATUS_SUCCESS && finding.Rule < 64) rules[finding.Rule] = 1;
    }
    for (int rule = 0; rule < 64; rule++)
      if (rules[rule]) length += snprintf(said + length, sizeof said - length, " rule %d", rule);
    if (write(ends[1], said, (size_t)length) != length) _exit(3);
    _exit(0);
  }
  close(ends[1]);
  for (ssize_t got; (got = read(ends[0], text + used, room_size - 1 - (size_t)used)) > 0;) used += (int)got;
  text[used] = 0;
  close(ends[0]);
  if (waitpid(child, &status, 0) != child) abort();
  if (WIFSIGNALED(status))
    snprintf(text, room_size, "%s", WTERMSIG(status) == SIGSEGV || WTERMSIG(status) == SIGBUS ? "faults" : WTERMSIG(status) == SIGALRM ? "HANGS" : "ABORTS");
  else if (!WIFEXITED(status) || WEXITSTATUS(status) != 0)
    snprintf(text, room_size, "ENDS %d", status);
}

/* A line a parameter: what each variant comes to. */
static void sweep(const CASE *cases, size_t count) {
  build();
  for (size_t index = 0; index < count; index++) {
    const CASE *one = &cases[index];
    printf("%s%s%s", one->routine, one->index < 0 ? "" : ".", one->index < 0 ? "" : one->parameter);
    for (VARIANT variant = RIGHT_ONE; variant <= WILD; variant++) {
      char text[400], other[400];
      if (!(one->variants >> variant & 1)) continue;
      outcome(one, variant, 1, text, sizeof text);
      for (unsigned shift = 2; variant == MISALIGNED && shift < 8; shift++) {
        outcome(one, variant, shift, other, sizeof other);
        if (strcmp(text, other) == 0) continue;
        size_t length = strlen(text);
        snprintf(text + length, sizeof text - length, ", by %u %s", shift, other);
      }
      printf(" | %s: %s", variant_names[variant], text);
    }
    printf("\n");
    fflush(stdout);
  }
}

#endif
