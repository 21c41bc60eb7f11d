/*
 * vicar_test.h: the world that driver code runs in, for the test that builds it. C and C++.
 *
 * A test makes a world, makes people, processes and threads in it, acts as one of their threads, and calls the driver. What it
 * does here is the test's own doing: the verifier says nothing of it.
 *
 *   VICAR_PERSON alice = VICAR_PERSON_OF("S-1-5-21-1-1-1-1001");
 *   PETHREAD thread;
 *   vicar_reset(NULL);
 *   vicar_user_thread(&alice, &thread);
 *   vicar_act_as(thread);
 *   ... the driver's dispatch routine ...
 *   vicar_return_to_user_mode();
 *   vicar_act_as(NULL);
 *   assert(vicar_verify() == 0);
 *
 * One world at a time. A thread of the program that acts as nobody is a system thread. Any of these may be called at any IRQL.
 */
#ifndef VICAR_TEST_H
#define VICAR_TEST_H

#include "ntifs.h"

/* Which generation of Windows is imitated. */
enum {
  VICAR_PROFILE_NT4_TO_XP = 0,   /* nobody is asked who may impersonate */
  VICAR_PROFILE_SERVER_2003 = 1, /* SeImpersonatePrivilege */
  VICAR_PROFILE_VISTA = 2,       /* and integrity levels */
  VICAR_PROFILE_WINDOWS_8 = 3,   /* and AppContainers */
  VICAR_PROFILE_WINDOWS_10 = 4   /* and the rules for elevation and sandboxes */
};

/* What is done about a mistake of the driver's. */
enum {
  VICAR_VERIFIER_OFF = 0,
  VICAR_VERIFIER_COLLECT = 1, /* it is kept; read it with vicar_finding */
  VICAR_VERIFIER_FATAL = 2    /* it is printed and the program ends */
};

/* The anonymous user counts as one of everyone. */
#define VICAR_WORLD_EVERYONE_INCLUDES_ANONYMOUS 1u

typedef struct _VICAR_WORLD {
  ULONG Size; /* sizeof(VICAR_WORLD) */
  ULONG Profile;
  ULONG Verifier;
  ULONG Flags;
} VICAR_WORLD;

#define VICAR_PERSON_WRITE_RESTRICTED 1u
#define VICAR_PERSON_LESS_PRIVILEGED_APPCONTAINER 2u
#define VICAR_PERSON_ELEVATED_HALF 4u
#define VICAR_PERSON_LIMITED_HALF 8u

/*
 * What a token is to be. Texts are lists of words; NULL is what an ordinary user has. SIDs are written S-1-... or as SDDL's
 * two letters (WD everyone, BU users, BA administrators, SY the system).
 */
typedef struct _VICAR_PERSON {
  ULONG Size;  /* sizeof(VICAR_PERSON) */
  ULONG Flags; /* VICAR_PERSON_ */
  PCSTR User;
  PCSTR Groups;     /* "WD BU:primary BA:owner S-1-5-32-546:deny"; also :disabled, :optional, :logon */
  PCSTR Privileges; /* "SeImpersonatePrivilege SeBackupPrivilege:disabled", or "all" */
  PCSTR Integrity;  /* untrusted, low, medium, medium-plus, high, system, none */
  PCSTR Restricted;
  PCSTR Package; /* of an AppContainer */
  PCSTR Capabilities;
  PCSTR Trust;   /* the process trust label */
  ULONG Session; /* the terminal session */
  LONG Level;    /* -1: a primary token; 0 to 3: an impersonation token of this level */
  LUID LogonId;  /* the logon session; zero starts one */
  LUID Origin;   /* the session that started it with somebody's password; zero is none */
} VICAR_PERSON;

/* An ordinary user in session 1. Initialise with this and change what is to be otherwise. */
#define VICAR_PERSON_OF(user) \
  { sizeof(VICAR_PERSON), 0, (user), NULL, NULL, NULL, NULL, NULL, NULL, NULL, 1, -1, { 0, 0 }, { 0, 0 } }

/* The rules of the verifier; the numbers never change. */
enum {
  VICAR_RULE_WRONG_IRQL = 1,
  VICAR_RULE_NULL_ARGUMENT = 2,
  VICAR_RULE_NOT_AN_OBJECT = 3,
  VICAR_RULE_WRONG_OBJECT_TYPE = 4,
  VICAR_RULE_OVER_DEREFERENCED = 5,
  VICAR_RULE_REFERENCE_LEAKED = 6,
  VICAR_RULE_CONTEXT_NOT_DELETED = 7,
  VICAR_RULE_CONTEXT_DELETED_TWICE = 8,
  VICAR_RULE_CONTEXT_NOT_CREATED = 9,
  VICAR_RULE_SUBJECT_NOT_RELEASED = 10,
  VICAR_RULE_SUBJECT_RELEASED_TWICE = 11,
  VICAR_RULE_SUBJECT_NOT_LOCKED = 12,
  VICAR_RULE_SUBJECT_STILL_LOCKED = 13,
  VICAR_RULE_MISSING_REVERT = 14,
  VICAR_RULE_IMPERSONATING_WORKER_THREAD = 15,
  VICAR_RULE_WORKER_AT_BAD_IRQL = 16,
  VICAR_RULE_EXITED_IMPERSONATING = 17,
  VICAR_RULE_POOL_NOT_ALLOCATED = 18,
  VICAR_RULE_POOL_LEAKED = 19,
  VICAR_RULE_RESTORE_WITHOUT_DISABLE = 20,
  VICAR_RULE_QUEUED_TWICE = 21,
  VICAR_RULE_IRQL_ORDER = 22,
  VICAR_RULE_CRITICAL_REGION = 23,
  VICAR_RULE_BAD_HANDLE = 24,
  VICAR_RULE_WORK_ITEM_BUSY = 25,
  VICAR_RULE_SERVED_AS_ITSELF = 26,
  VICAR_RULE_RESULT_UNSEEN = 27,
  VICAR_RULE_DOWNGRADE_UNSEEN = 28,
  VICAR_RULE_KERNEL_MODE_FOR_USER = 29,
  VICAR_RULE_LEVEL_NOT_TESTED = 30,
  VICAR_RULE_CLIENT_THREAD_GONE = 31,
  VICAR_RULE_WAITS_AT_DISPATCH = 32,
  VICAR_RULE_LOCK_MISUSED = 33,
  VICAR_RULE_IRQL_NOT_RESTORED = 34
};

/* A mistake of the driver's. Its texts are read with vicar_finding_text. */
typedef struct _VICAR_FINDING {
  ULONG Size;
  ULONG Rule; /* VICAR_RULE_ */
  PVOID CallSite; /* the instruction behind the call, or NULL */
} VICAR_FINDING;

/* Parts of a finding's text. */
enum {
  VICAR_FINDING_WHOLE = 0,
  VICAR_FINDING_RULE = 1,
  VICAR_FINDING_ROUTINE = 2,
  VICAR_FINDING_CALL_SITE = 3,
  VICAR_FINDING_PAGE = 4,
  VICAR_FINDING_DETAIL = 5
};

#ifdef __cplusplus
extern "C" {
#endif

/*
 * vicar_reset: a new world. NULL: the newest Windows, and a verifier that ends the program. Pointers and handles of the world
 * before mean nothing any more. Status: STATUS_INVALID_PARAMETER for an unknown profile or verifier.
 */
NTSTATUS vicar_reset(_In_opt_ const VICAR_WORLD *World);

/*
 * vicar_token_create: a token. The caller gets a reference: ObDereferenceObject.
 * Status: STATUS_INVALID_PARAMETER when a word means nothing or the parts do not fit together; STATUS_INSUFFICIENT_RESOURCES.
 */
_Must_inspect_result_ NTSTATUS vicar_token_create(_In_ const VICAR_PERSON *Person, _Outptr_ PACCESS_TOKEN *Token);

/* vicar_process_create: a process under a primary token. The world's, until vicar_process_exit; no reference is the caller's. */
_Must_inspect_result_ NTSTATUS vicar_process_create(_In_ PACCESS_TOKEN Primary, _Outptr_ PEPROCESS *Process);

/* vicar_process_exit: ends a process; its handles are closed. */
VOID vicar_process_exit(_In_ PEPROCESS Process);

/* vicar_thread_create: a thread of a process. The world's, until vicar_thread_exit. */
_Must_inspect_result_ NTSTATUS vicar_thread_create(_In_ PEPROCESS Process, _Outptr_ PETHREAD *Thread);

/* vicar_thread_exit: ends a thread. It should act as itself by then. */
VOID vicar_thread_exit(_In_ PETHREAD Thread);

/* vicar_user_thread: a token, a process under it and a thread of that, all of them the world's. */
_Must_inspect_result_ NTSTATUS vicar_user_thread(_In_ const VICAR_PERSON *Person, _Outptr_ PETHREAD *Thread);

/* vicar_act_as: lets the calling thread of the program be a thread of the world; NULL makes it a system thread. */
NTSTATUS vicar_act_as(_In_opt_ PETHREAD Thread);

/* vicar_set_previous_mode: whose request is worked on, KernelMode or UserMode; answers what it was. */
KPROCESSOR_MODE vicar_set_previous_mode(_In_ KPROCESSOR_MODE Mode);

/* vicar_return_to_user_mode: the calling thread's request is over; it must act as itself, at PASSIVE_LEVEL. */
VOID vicar_return_to_user_mode(VOID);

/*
 * vicar_object_access: what stands in for a routine that is not here (ZwCreateFile, ZwOpenKey, a lower driver) says that it
 * works on an object as whoever the calling thread acts as. The verifier tells when that is not who was meant.
 */
VOID vicar_object_access(_In_opt_z_ const char *What);

/* vicar_fail_allocation: lets the nth allocation from now fail, once; with its usual status when Status is 0. Nth 0 takes it back. */
VOID vicar_fail_allocation(_In_ ULONG64 Nth, _In_ NTSTATUS Status);

/* vicar_fail_routine: lets the next call of a routine answer this status and do nothing. Only routines that answer with one. */
NTSTATUS vicar_fail_routine(_In_z_ const char *Routine, _In_ NTSTATUS Status);

/* vicar_balance: the references to tokens that are held in the world, by the driver, the world and everything in it. */
LONG64 vicar_balance(VOID);

/* vicar_pool_bytes: the bytes that are allocated from the world's pool. */
ULONG64 vicar_pool_bytes(VOID);

/* vicar_allocation_count: the allocations that were tried in this world. Run a test, look, and let each fail in turn. */
ULONG64 vicar_allocation_count(VOID);

/* vicar_reference_count: the references to one token; 0 for what is no token. */
ULONG64 vicar_reference_count(_In_ PACCESS_TOKEN Token);

/* vicar_verify: reports what is held still, and answers how many findings there are. */
ULONG vicar_verify(VOID);

/* vicar_settle: waits until every work item has run. */
VOID vicar_settle(VOID);

/* vicar_finding_count: how many findings there are. */
ULONG vicar_finding_count(VOID);

/* vicar_finding: reads one. Status: STATUS_NOT_FOUND. */
NTSTATUS vicar_finding(_In_ ULONG Index, _Out_ VICAR_FINDING *Finding);

/* vicar_finding_text: a text of a finding, cut to Length bytes and always ended; answers the length of the whole text. */
SIZE_T vicar_finding_text(_In_ ULONG Index, _In_ ULONG Part, _Out_writes_bytes_opt_(Length) char *Buffer, _In_ SIZE_T Length);

/* vicar_findings_clear: forgets the findings. */
VOID vicar_findings_clear(VOID);

#ifdef __cplusplus
}
#endif

#endif
