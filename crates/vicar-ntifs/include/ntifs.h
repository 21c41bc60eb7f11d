/*
 * ntifs.h: the security part of the Windows kernel's file-system header, for Linux.
 *
 * Driver source that includes this file compiles with gcc and clang, links with libvicar_ntifs and runs as an ordinary
 * program; the routines decide and count as the kernel's documentation says. What is declared here works. What does not
 * work is not declared, so a missing routine is an error when compiling and never an answer that is wrong.
 *
 * Compile with -fshort-wchar (`pkg-config --cflags vicar-ntifs` says so), because WCHAR has 16 bits. LONG and ULONG have
 * 32 bits although `long` has 64 here: print them with %d and %u. There is no structured exception handling.
 *
 * A pointer that is NULL where it must not be, an object that is none, and an object of another type are reported by the verifier
 * and answered with a failure: a status (STATUS_INVALID_PARAMETER where none is named), FALSE, 0 or NULL; outputs are defined then
 * too. In a Windows kernel most of these would stop the machine. SIDs, lists and descriptors need not be aligned. A pointer to
 * memory that is not there stops the program.
 *
 * Each routine is described by what it does, then:
 *   IRQL    the highest level it may be called at; when nothing is said, PASSIVE_LEVEL.
 *   Owns    who releases what, and with which routine.
 *   Status  what it answers besides STATUS_SUCCESS.
 *
 * Layouts are those of x64 Windows. Structures marked "by name" have the documented fields, but not all of them and not at
 * their Windows offsets; everything else is at its Windows offset, which the tests assert.
 */
#ifndef VICAR_NTIFS_H
#define VICAR_NTIFS_H

#include <assert.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#if !defined(__x86_64__) && !defined(__aarch64__)
#error "ntifs.h: the layouts are those of a 64-bit system"
#endif
#if !defined(__SIZEOF_WCHAR_T__) || __SIZEOF_WCHAR_T__ != 2
#error "ntifs.h: compile with -fshort-wchar; pkg-config --cflags vicar-ntifs gives all flags"
#endif

/* ------------------------------------------------------------------------------------------------ Language and notation */

#ifdef __cplusplus
#define EXTERN_C extern "C"
#define EXTERN_C_START extern "C" {
#define EXTERN_C_END }
#else
#define EXTERN_C extern
#define EXTERN_C_START
#define EXTERN_C_END
#endif

#define NTAPI
#define FASTCALL
#define CALLBACK
#define NTKERNELAPI
#define NTSYSAPI
#define NTSYSCALLAPI
#define NTHALAPI
#define DECLSPEC_IMPORT
#define DECLSPEC_NORETURN __attribute__((noreturn))
#define DECLSPEC_ALIGN(bytes) __attribute__((aligned(bytes)))
#ifndef FORCEINLINE
#define FORCEINLINE static inline __attribute__((always_inline, unused))
#endif
#ifndef CONST
#define CONST const
#endif
#ifndef VOID
#define VOID void
#endif
#ifndef IN
#define IN
#define OUT
#define OPTIONAL
#endif
#define UNREFERENCED_PARAMETER(name) ((void)(name))
#define DBG_UNREFERENCED_PARAMETER(name) ((void)(name))
#define DBG_UNREFERENCED_LOCAL_VARIABLE(name) ((void)(name))
#define ARGUMENT_PRESENT(pointer) ((pointer) != NULL)
#define ANYSIZE_ARRAY 1
#define FIELD_OFFSET(type, field) ((LONG)offsetof(type, field))
#define UFIELD_OFFSET(type, field) ((ULONG)offsetof(type, field))
#define RTL_FIELD_SIZE(type, field) (sizeof(((type *)0)->field))
#define RTL_NUMBER_OF(array) (sizeof(array) / sizeof((array)[0]))
#define ARRAYSIZE(array) RTL_NUMBER_OF(array)
#define CONTAINING_RECORD(address, type, field) ((type *)(void *)((char *)(address) - offsetof(type, field)))
#define C_ASSERT(expression) typedef char vicar_assertion_failed[(expression) ? 1 : -1] __attribute__((unused))

/*
 * Source annotations. Those that a compiler here can use are attributes: a result that must be looked at is one the
 * compiler warns about when it is dropped. The others document and expand to nothing.
 */
#define _Must_inspect_result_ __attribute__((warn_unused_result))
#define _Check_return_ __attribute__((warn_unused_result))
#define _Ret_maybenull_
#define _Ret_notnull_
#define _In_
#define _In_opt_
#define _In_z_
#define _In_opt_z_
#define _In_reads_(count)
#define _In_reads_opt_(count)
#define _In_reads_bytes_(bytes)
#define _In_reads_bytes_opt_(bytes)
#define _In_range_(low, high)
#define _Inout_
#define _Inout_opt_
#define _Inout_updates_(count)
#define _Inout_updates_bytes_(bytes)
#define _Out_
#define _Out_opt_
#define _Out_writes_(count)
#define _Out_writes_opt_(count)
#define _Out_writes_bytes_(bytes)
#define _Out_writes_bytes_opt_(bytes)
#define _Out_writes_bytes_to_(bytes, written)
#define _Out_writes_bytes_to_opt_(bytes, written)
#define _Out_range_(low, high)
#define _Outptr_
#define _Outptr_opt_
#define _Outptr_result_maybenull_
#define _Outptr_result_bytebuffer_(bytes)
#define _Field_size_(count)
#define _Field_size_bytes_(bytes)
#define _Post_invalid_
#define _Pre_notnull_
#define _Pre_valid_
#define _Post_valid_
#define _Reserved_
#define _Const_
#define _Use_decl_annotations_
#define _Success_(expression)
#define _When_(condition, annotations)
#define _At_(target, annotations)
#define _Function_class_(name)
#define _IRQL_requires_(level)
#define _IRQL_requires_max_(level)
#define _IRQL_requires_min_(level)
#define _IRQL_requires_same_
#define _IRQL_raises_(level)
#define _IRQL_saves_
#define _IRQL_restores_
#define _IRQL_uses_cancel_
#define _Dispatch_type_(major)
#define _Acquires_lock_(lock)
#define _Releases_lock_(lock)
#define _Requires_lock_held_(lock)
#define _Acquires_exclusive_lock_(lock)
#define _Kernel_requires_resource_held_(what)
#define _Kernel_clear_do_init_(yes)
#define __drv_allocatesMem(kind)
#define __drv_freesMem(kind)
#define __drv_aliasesMem
#define _Analysis_assume_(expression) ((void)0)
#define _Analysis_noreturn_
#ifdef VICAR_NTIFS_SAL1
/* The annotations of older kits. They are not defined by default, because the C++ library uses the same words. */
#define __in
#define __in_opt
#define __in_bcount(bytes)
#define __inout
#define __inout_opt
#define __out
#define __out_opt
#define __out_bcount(bytes)
#define __deref_out
#define __checkReturn __attribute__((warn_unused_result))
#endif

/* ---------------------------------------------------------------------------------------------------------- Plain types */

typedef void *PVOID, *HANDLE;
typedef const void *PCVOID;
typedef HANDLE *PHANDLE;
typedef char CHAR, CCHAR, *PCHAR, *PSTR;
typedef const char *PCSTR;
typedef unsigned char UCHAR, *PUCHAR, BOOLEAN, *PBOOLEAN, BYTE, *PBYTE;
typedef int16_t SHORT, *PSHORT, CSHORT;
typedef uint16_t USHORT, *PUSHORT, WORD;
typedef int32_t LONG, *PLONG, INT;
typedef uint32_t ULONG, *PULONG, DWORD, UINT;
typedef uint32_t ULONG32, UINT32;
typedef int32_t LONG32, INT32;
typedef long long LONGLONG, *PLONGLONG, LONG64, INT64;
typedef unsigned long long ULONGLONG, *PULONGLONG, ULONG64, UINT64, DWORD64;
typedef long long LONG_PTR, *PLONG_PTR, INT_PTR, SSIZE_T;
typedef unsigned long long ULONG_PTR, *PULONG_PTR, UINT_PTR, SIZE_T, *PSIZE_T;
typedef wchar_t WCHAR, *PWCHAR, *PWSTR, *PWCH;
typedef const wchar_t *PCWSTR, *PCWCH;
typedef LONG NTSTATUS, *PNTSTATUS;
typedef UCHAR KIRQL, *PKIRQL;
typedef CCHAR KPROCESSOR_MODE;
typedef ULONG ACCESS_MASK, *PACCESS_MASK;
typedef PVOID PSID;
typedef PVOID PACCESS_TOKEN;
typedef PVOID PSECURITY_DESCRIPTOR;
typedef ULONG SECURITY_INFORMATION, *PSECURITY_INFORMATION;
typedef USHORT SECURITY_DESCRIPTOR_CONTROL, *PSECURITY_DESCRIPTOR_CONTROL;
typedef BOOLEAN SECURITY_CONTEXT_TRACKING_MODE, *PSECURITY_CONTEXT_TRACKING_MODE;

#ifndef TRUE
#define TRUE 1
#define FALSE 0
#endif

typedef enum _MODE { KernelMode, UserMode, MaximumMode } MODE;

typedef union _LARGE_INTEGER {
  __extension__ struct {
    ULONG LowPart;
    LONG HighPart;
  };
  struct {
    ULONG LowPart;
    LONG HighPart;
  } u;
  LONGLONG QuadPart;
} LARGE_INTEGER, *PLARGE_INTEGER;

typedef struct _LUID {
  ULONG LowPart;
  LONG HighPart;
} LUID, *PLUID;

#ifndef GUID_DEFINED
#define GUID_DEFINED
typedef struct _GUID {
  ULONG Data1;
  USHORT Data2;
  USHORT Data3;
  UCHAR Data4[8];
} GUID;
#endif
typedef const GUID *LPCGUID;

typedef struct _UNICODE_STRING {
  USHORT Length;        /* bytes in use, without any terminating NUL */
  USHORT MaximumLength; /* bytes at Buffer */
  PWSTR Buffer;
} UNICODE_STRING, *PUNICODE_STRING;
typedef const UNICODE_STRING *PCUNICODE_STRING;

typedef struct _STRING {
  USHORT Length;
  USHORT MaximumLength;
  PCHAR Buffer;
} STRING, *PSTRING, ANSI_STRING, *PANSI_STRING;

typedef struct _LIST_ENTRY {
  struct _LIST_ENTRY *Flink;
  struct _LIST_ENTRY *Blink;
} LIST_ENTRY, *PLIST_ENTRY;

typedef struct _SINGLE_LIST_ENTRY {
  struct _SINGLE_LIST_ENTRY *Next;
} SINGLE_LIST_ENTRY, *PSINGLE_LIST_ENTRY;

/* A string constant as UNICODE_STRING initialiser, and a declared constant string. */
#define RTL_CONSTANT_STRING(text) { sizeof(text) - sizeof((text)[0]), sizeof(text), (PWSTR)(text) }
#define DECLARE_CONST_UNICODE_STRING(name, text) const UNICODE_STRING name = RTL_CONSTANT_STRING(text)

/* Objects of the kernel: opaque, counted by ObfReferenceObject and ObfDereferenceObject. */
typedef struct _KTHREAD *PKTHREAD, *PRKTHREAD;
typedef struct _ETHREAD *PETHREAD;
typedef struct _KPROCESS *PKPROCESS, *PRKPROCESS;
typedef struct _EPROCESS *PEPROCESS;
typedef struct _OBJECT_TYPE *POBJECT_TYPE;

typedef struct _CLIENT_ID {
  HANDLE UniqueProcess;
  HANDLE UniqueThread;
} CLIENT_ID, *PCLIENT_ID;

/* -------------------------------------------------------------------------------------------------------------- Statuses */

#define NT_SUCCESS(status) (((NTSTATUS)(status)) >= 0)
#define NT_INFORMATION(status) ((((ULONG)(status)) >> 30) == 1)
#define NT_WARNING(status) ((((ULONG)(status)) >> 30) == 2)
#define NT_ERROR(status) ((((ULONG)(status)) >> 30) == 3)

#define STATUS_SUCCESS ((NTSTATUS)0x00000000)
#define STATUS_TIMEOUT ((NTSTATUS)0x00000102)
#define STATUS_PENDING ((NTSTATUS)0x00000103)
#define STATUS_NOT_ALL_ASSIGNED ((NTSTATUS)0x00000106)
#define STATUS_DATATYPE_MISALIGNMENT ((NTSTATUS)0x80000002)
#define STATUS_BUFFER_OVERFLOW ((NTSTATUS)0x80000005)
#define STATUS_UNSUCCESSFUL ((NTSTATUS)0xC0000001)
#define STATUS_NOT_IMPLEMENTED ((NTSTATUS)0xC0000002)
#define STATUS_INVALID_INFO_CLASS ((NTSTATUS)0xC0000003)
#define STATUS_INFO_LENGTH_MISMATCH ((NTSTATUS)0xC0000004)
#define STATUS_ACCESS_VIOLATION ((NTSTATUS)0xC0000005)
#define STATUS_INVALID_HANDLE ((NTSTATUS)0xC0000008)
#define STATUS_INVALID_CID ((NTSTATUS)0xC000000B)
#define STATUS_INVALID_PARAMETER ((NTSTATUS)0xC000000D)
#define STATUS_INVALID_DEVICE_REQUEST ((NTSTATUS)0xC0000010)
#define STATUS_NO_MEMORY ((NTSTATUS)0xC0000017)
#define STATUS_ACCESS_DENIED ((NTSTATUS)0xC0000022)
#define STATUS_BUFFER_TOO_SMALL ((NTSTATUS)0xC0000023)
#define STATUS_OBJECT_TYPE_MISMATCH ((NTSTATUS)0xC0000024)
#define STATUS_OBJECT_NAME_NOT_FOUND ((NTSTATUS)0xC0000034)
#define STATUS_QUOTA_EXCEEDED ((NTSTATUS)0xC0000044)
#define STATUS_THREAD_IS_TERMINATING ((NTSTATUS)0xC000004B)
#define STATUS_UNKNOWN_REVISION ((NTSTATUS)0xC0000058)
#define STATUS_REVISION_MISMATCH ((NTSTATUS)0xC0000059)
#define STATUS_INVALID_OWNER ((NTSTATUS)0xC000005A)
#define STATUS_INVALID_PRIMARY_GROUP ((NTSTATUS)0xC000005B)
#define STATUS_NO_IMPERSONATION_TOKEN ((NTSTATUS)0xC000005C)
#define STATUS_CANT_DISABLE_MANDATORY ((NTSTATUS)0xC000005D)
#define STATUS_NO_SUCH_LOGON_SESSION ((NTSTATUS)0xC000005F)
#define STATUS_NO_SUCH_PRIVILEGE ((NTSTATUS)0xC0000060)
#define STATUS_PRIVILEGE_NOT_HELD ((NTSTATUS)0xC0000061)
#define STATUS_INVALID_ACL ((NTSTATUS)0xC0000077)
#define STATUS_INVALID_SID ((NTSTATUS)0xC0000078)
#define STATUS_INVALID_SECURITY_DESCR ((NTSTATUS)0xC0000079)
#define STATUS_NO_TOKEN ((NTSTATUS)0xC000007C)
#define STATUS_BAD_INHERITANCE_ACL ((NTSTATUS)0xC000007D)
#define STATUS_ALLOTTED_SPACE_EXCEEDED ((NTSTATUS)0xC0000099)
#define STATUS_INSUFFICIENT_RESOURCES ((NTSTATUS)0xC000009A)
#define STATUS_BAD_IMPERSONATION_LEVEL ((NTSTATUS)0xC00000A5)
#define STATUS_CANT_OPEN_ANONYMOUS ((NTSTATUS)0xC00000A6)
#define STATUS_BAD_TOKEN_TYPE ((NTSTATUS)0xC00000A8)
#define STATUS_INVALID_PIPE_STATE ((NTSTATUS)0xC00000AD)
#define STATUS_PIPE_BUSY ((NTSTATUS)0xC00000AE)
#define STATUS_ILLEGAL_FUNCTION ((NTSTATUS)0xC00000AF)
#define STATUS_PIPE_DISCONNECTED ((NTSTATUS)0xC00000B0)
#define STATUS_PIPE_CLOSING ((NTSTATUS)0xC00000B1)
#define STATUS_PIPE_CONNECTED ((NTSTATUS)0xC00000B2)
#define STATUS_PIPE_LISTENING ((NTSTATUS)0xC00000B3)
#define STATUS_NOT_SUPPORTED ((NTSTATUS)0xC00000BB)
#define STATUS_NO_SECURITY_ON_OBJECT ((NTSTATUS)0xC00000D7)
#define STATUS_GENERIC_NOT_MAPPED ((NTSTATUS)0xC00000E6)
#define STATUS_BAD_DESCRIPTOR_FORMAT ((NTSTATUS)0xC00000E7)
#define STATUS_NAME_TOO_LONG ((NTSTATUS)0xC0000106)
#define STATUS_PROCESS_IS_TERMINATING ((NTSTATUS)0xC000010A)
#define STATUS_CANNOT_IMPERSONATE ((NTSTATUS)0xC000010D)
#define STATUS_CANCELLED ((NTSTATUS)0xC0000120)
#define STATUS_TOKEN_ALREADY_IN_USE ((NTSTATUS)0xC000012B)
#define STATUS_PIPE_BROKEN ((NTSTATUS)0xC000014B)
#define STATUS_INVALID_DEVICE_STATE ((NTSTATUS)0xC0000184)
#define STATUS_NOT_FOUND ((NTSTATUS)0xC0000225)
#define STATUS_CANT_ENABLE_DENY_ONLY ((NTSTATUS)0xC00002B3)
#define STATUS_INVALID_LABEL ((NTSTATUS)0xC0000446)

/* --------------------------------------------------------------------------------------------------- Rights and privileges */

#define DELETE 0x00010000u
#define READ_CONTROL 0x00020000u
#define WRITE_DAC 0x00040000u
#define WRITE_OWNER 0x00080000u
#define SYNCHRONIZE 0x00100000u
#define STANDARD_RIGHTS_REQUIRED 0x000F0000u
#define STANDARD_RIGHTS_READ READ_CONTROL
#define STANDARD_RIGHTS_WRITE READ_CONTROL
#define STANDARD_RIGHTS_EXECUTE READ_CONTROL
#define STANDARD_RIGHTS_ALL 0x001F0000u
#define SPECIFIC_RIGHTS_ALL 0x0000FFFFu
#define ACCESS_SYSTEM_SECURITY 0x01000000u
#define MAXIMUM_ALLOWED 0x02000000u
#define GENERIC_ALL 0x10000000u
#define GENERIC_EXECUTE 0x20000000u
#define GENERIC_WRITE 0x40000000u
#define GENERIC_READ 0x80000000u

#define FILE_READ_DATA 0x0001u
#define FILE_LIST_DIRECTORY 0x0001u
#define FILE_WRITE_DATA 0x0002u
#define FILE_ADD_FILE 0x0002u
#define FILE_APPEND_DATA 0x0004u
#define FILE_ADD_SUBDIRECTORY 0x0004u
#define FILE_CREATE_PIPE_INSTANCE 0x0004u
#define FILE_READ_EA 0x0008u
#define FILE_WRITE_EA 0x0010u
#define FILE_EXECUTE 0x0020u
#define FILE_TRAVERSE 0x0020u
#define FILE_DELETE_CHILD 0x0040u
#define FILE_READ_ATTRIBUTES 0x0080u
#define FILE_WRITE_ATTRIBUTES 0x0100u
#define FILE_ALL_ACCESS 0x001F01FFu
#define FILE_GENERIC_READ 0x00120089u
#define FILE_GENERIC_WRITE 0x00120116u
#define FILE_GENERIC_EXECUTE 0x001200A0u

#define TOKEN_ASSIGN_PRIMARY 0x0001u
#define TOKEN_DUPLICATE 0x0002u
#define TOKEN_IMPERSONATE 0x0004u
#define TOKEN_QUERY 0x0008u
#define TOKEN_QUERY_SOURCE 0x0010u
#define TOKEN_ADJUST_PRIVILEGES 0x0020u
#define TOKEN_ADJUST_GROUPS 0x0040u
#define TOKEN_ADJUST_DEFAULT 0x0080u
#define TOKEN_ADJUST_SESSIONID 0x0100u
#define TOKEN_READ 0x00020008u
#define TOKEN_WRITE 0x000200E0u
#define TOKEN_EXECUTE 0x00020000u
#define TOKEN_ALL_ACCESS 0x000F01FFu

#define THREAD_QUERY_INFORMATION 0x0040u
#define THREAD_SET_THREAD_TOKEN 0x0080u
#define THREAD_IMPERSONATE 0x0100u
#define THREAD_DIRECT_IMPERSONATION 0x0200u
#define THREAD_QUERY_LIMITED_INFORMATION 0x0800u
#define THREAD_ALL_ACCESS 0x001FFFFFu
#define PROCESS_QUERY_INFORMATION 0x0400u
#define PROCESS_QUERY_LIMITED_INFORMATION 0x1000u
#define PROCESS_ALL_ACCESS 0x001FFFFFu

/* What generic rights mean for one type of object. */
typedef struct _GENERIC_MAPPING {
  ACCESS_MASK GenericRead;
  ACCESS_MASK GenericWrite;
  ACCESS_MASK GenericExecute;
  ACCESS_MASK GenericAll;
} GENERIC_MAPPING, *PGENERIC_MAPPING;
typedef const GENERIC_MAPPING *PCGENERIC_MAPPING;

#define SE_MIN_WELL_KNOWN_PRIVILEGE 2
#define SE_CREATE_TOKEN_PRIVILEGE 2
#define SE_ASSIGNPRIMARYTOKEN_PRIVILEGE 3
#define SE_LOCK_MEMORY_PRIVILEGE 4
#define SE_INCREASE_QUOTA_PRIVILEGE 5
#define SE_MACHINE_ACCOUNT_PRIVILEGE 6
#define SE_TCB_PRIVILEGE 7
#define SE_SECURITY_PRIVILEGE 8
#define SE_TAKE_OWNERSHIP_PRIVILEGE 9
#define SE_LOAD_DRIVER_PRIVILEGE 10
#define SE_SYSTEM_PROFILE_PRIVILEGE 11
#define SE_SYSTEMTIME_PRIVILEGE 12
#define SE_PROF_SINGLE_PROCESS_PRIVILEGE 13
#define SE_INC_BASE_PRIORITY_PRIVILEGE 14
#define SE_CREATE_PAGEFILE_PRIVILEGE 15
#define SE_CREATE_PERMANENT_PRIVILEGE 16
#define SE_BACKUP_PRIVILEGE 17
#define SE_RESTORE_PRIVILEGE 18
#define SE_SHUTDOWN_PRIVILEGE 19
#define SE_DEBUG_PRIVILEGE 20
#define SE_AUDIT_PRIVILEGE 21
#define SE_SYSTEM_ENVIRONMENT_PRIVILEGE 22
#define SE_CHANGE_NOTIFY_PRIVILEGE 23
#define SE_REMOTE_SHUTDOWN_PRIVILEGE 24
#define SE_UNDOCK_PRIVILEGE 25
#define SE_SYNC_AGENT_PRIVILEGE 26
#define SE_ENABLE_DELEGATION_PRIVILEGE 27
#define SE_MANAGE_VOLUME_PRIVILEGE 28
#define SE_IMPERSONATE_PRIVILEGE 29
#define SE_CREATE_GLOBAL_PRIVILEGE 30
#define SE_TRUSTED_CREDMAN_ACCESS_PRIVILEGE 31
#define SE_RELABEL_PRIVILEGE 32
#define SE_INC_WORKING_SET_PRIVILEGE 33
#define SE_TIME_ZONE_PRIVILEGE 34
#define SE_CREATE_SYMBOLIC_LINK_PRIVILEGE 35
#define SE_DELEGATE_SESSION_USER_IMPERSONATE_PRIVILEGE 36
#define SE_MAX_WELL_KNOWN_PRIVILEGE SE_DELEGATE_SESSION_USER_IMPERSONATE_PRIVILEGE

#define SE_PRIVILEGE_ENABLED_BY_DEFAULT 0x00000001u
#define SE_PRIVILEGE_ENABLED 0x00000002u
#define SE_PRIVILEGE_REMOVED 0x00000004u
#define SE_PRIVILEGE_USED_FOR_ACCESS 0x80000000u
#define PRIVILEGE_SET_ALL_NECESSARY 1u
#define INITIAL_PRIVILEGE_COUNT 3

#define SE_GROUP_MANDATORY 0x00000001u
#define SE_GROUP_ENABLED_BY_DEFAULT 0x00000002u
#define SE_GROUP_ENABLED 0x00000004u
#define SE_GROUP_OWNER 0x00000008u
#define SE_GROUP_USE_FOR_DENY_ONLY 0x00000010u
#define SE_GROUP_INTEGRITY 0x00000020u
#define SE_GROUP_INTEGRITY_ENABLED 0x00000040u
#define SE_GROUP_RESOURCE 0x20000000u
#define SE_GROUP_LOGON_ID 0xC0000000u

typedef struct _LUID_AND_ATTRIBUTES {
  LUID Luid;
  ULONG Attributes;
} LUID_AND_ATTRIBUTES, *PLUID_AND_ATTRIBUTES;

typedef struct _PRIVILEGE_SET {
  ULONG PrivilegeCount;
  ULONG Control; /* PRIVILEGE_SET_ALL_NECESSARY: all of them; 0: any one */
  LUID_AND_ATTRIBUTES Privilege[ANYSIZE_ARRAY];
} PRIVILEGE_SET, *PPRIVILEGE_SET;

typedef struct _INITIAL_PRIVILEGE_SET {
  ULONG PrivilegeCount;
  ULONG Control;
  LUID_AND_ATTRIBUTES Privilege[INITIAL_PRIVILEGE_COUNT];
} INITIAL_PRIVILEGE_SET, *PINITIAL_PRIVILEGE_SET;

/* ------------------------------------------------------------------------------------------------- Security identifiers */

#define SID_REVISION 1
#define SID_MAX_SUB_AUTHORITIES 15
#define SID_RECOMMENDED_SUB_AUTHORITIES 1
#define SECURITY_MAX_SID_SIZE 68

typedef struct _SID_IDENTIFIER_AUTHORITY {
  UCHAR Value[6]; /* the most significant byte first */
} SID_IDENTIFIER_AUTHORITY, *PSID_IDENTIFIER_AUTHORITY;

typedef struct _SID {
  UCHAR Revision;
  UCHAR SubAuthorityCount;
  SID_IDENTIFIER_AUTHORITY IdentifierAuthority;
  ULONG SubAuthority[ANYSIZE_ARRAY];
} SID, *PISID;

typedef struct _SID_AND_ATTRIBUTES {
  PSID Sid;
  ULONG Attributes;
} SID_AND_ATTRIBUTES, *PSID_AND_ATTRIBUTES;

#define SECURITY_NULL_SID_AUTHORITY { 0, 0, 0, 0, 0, 0 }
#define SECURITY_WORLD_SID_AUTHORITY { 0, 0, 0, 0, 0, 1 }
#define SECURITY_LOCAL_SID_AUTHORITY { 0, 0, 0, 0, 0, 2 }
#define SECURITY_CREATOR_SID_AUTHORITY { 0, 0, 0, 0, 0, 3 }
#define SECURITY_NT_AUTHORITY { 0, 0, 0, 0, 0, 5 }
#define SECURITY_APP_PACKAGE_AUTHORITY { 0, 0, 0, 0, 0, 15 }
#define SECURITY_MANDATORY_LABEL_AUTHORITY { 0, 0, 0, 0, 0, 16 }
#define SECURITY_PROCESS_TRUST_AUTHORITY { 0, 0, 0, 0, 0, 19 }

#define SECURITY_NULL_RID 0x00000000u
#define SECURITY_WORLD_RID 0x00000000u
#define SECURITY_LOCAL_RID 0x00000000u
#define SECURITY_CREATOR_OWNER_RID 0x00000000u
#define SECURITY_CREATOR_GROUP_RID 0x00000001u
#define SECURITY_CREATOR_OWNER_RIGHTS_RID 0x00000004u
#define SECURITY_NETWORK_RID 0x00000002u
#define SECURITY_INTERACTIVE_RID 0x00000004u
#define SECURITY_LOGON_IDS_RID 0x00000005u
#define SECURITY_SERVICE_RID 0x00000006u
#define SECURITY_ANONYMOUS_LOGON_RID 0x00000007u
#define SECURITY_PRINCIPAL_SELF_RID 0x0000000Au
#define SECURITY_AUTHENTICATED_USER_RID 0x0000000Bu
#define SECURITY_RESTRICTED_CODE_RID 0x0000000Cu
#define SECURITY_LOCAL_SYSTEM_RID 0x00000012u
#define SECURITY_LOCAL_SERVICE_RID 0x00000013u
#define SECURITY_NETWORK_SERVICE_RID 0x00000014u
#define SECURITY_NT_NON_UNIQUE 0x00000015u
#define SECURITY_BUILTIN_DOMAIN_RID 0x00000020u
#define SECURITY_WRITE_RESTRICTED_CODE_RID 0x00000021u
#define DOMAIN_ALIAS_RID_ADMINS 0x00000220u
#define DOMAIN_ALIAS_RID_USERS 0x00000221u
#define DOMAIN_ALIAS_RID_GUESTS 0x00000222u
#define SECURITY_MANDATORY_UNTRUSTED_RID 0x00000000u
#define SECURITY_MANDATORY_LOW_RID 0x00001000u
#define SECURITY_MANDATORY_MEDIUM_RID 0x00002000u
#define SECURITY_MANDATORY_MEDIUM_PLUS_RID 0x00002100u
#define SECURITY_MANDATORY_HIGH_RID 0x00003000u
#define SECURITY_MANDATORY_SYSTEM_RID 0x00004000u
#define SECURITY_MANDATORY_PROTECTED_PROCESS_RID 0x00005000u

#define SYSTEM_LUID { 0x3E7, 0 }
#define ANONYMOUS_LOGON_LUID { 0x3E6, 0 }
#define LOCALSERVICE_LUID { 0x3E5, 0 }
#define NETWORKSERVICE_LUID { 0x3E4, 0 }

/* ------------------------------------------------------------------------------------------------- Access control lists */

#define ACL_REVISION 2
#define ACL_REVISION_DS 4
#define ACL_REVISION1 1
#define ACL_REVISION2 2
#define ACL_REVISION3 3
#define ACL_REVISION4 4
#define MIN_ACL_REVISION ACL_REVISION2
#define MAX_ACL_REVISION ACL_REVISION4

typedef struct _ACL {
  UCHAR AclRevision;
  UCHAR Sbz1;
  USHORT AclSize; /* bytes, this header included; may be more than the entries need */
  USHORT AceCount;
  USHORT Sbz2;
} ACL, *PACL;

#define ACCESS_ALLOWED_ACE_TYPE 0x0
#define ACCESS_DENIED_ACE_TYPE 0x1
#define SYSTEM_AUDIT_ACE_TYPE 0x2
#define SYSTEM_ALARM_ACE_TYPE 0x3
#define ACCESS_ALLOWED_COMPOUND_ACE_TYPE 0x4
#define ACCESS_ALLOWED_OBJECT_ACE_TYPE 0x5
#define ACCESS_DENIED_OBJECT_ACE_TYPE 0x6
#define SYSTEM_AUDIT_OBJECT_ACE_TYPE 0x7
#define SYSTEM_ALARM_OBJECT_ACE_TYPE 0x8
#define ACCESS_ALLOWED_CALLBACK_ACE_TYPE 0x9
#define ACCESS_DENIED_CALLBACK_ACE_TYPE 0xA
#define ACCESS_ALLOWED_CALLBACK_OBJECT_ACE_TYPE 0xB
#define ACCESS_DENIED_CALLBACK_OBJECT_ACE_TYPE 0xC
#define SYSTEM_AUDIT_CALLBACK_ACE_TYPE 0xD
#define SYSTEM_ALARM_CALLBACK_ACE_TYPE 0xE
#define SYSTEM_AUDIT_CALLBACK_OBJECT_ACE_TYPE 0xF
#define SYSTEM_ALARM_CALLBACK_OBJECT_ACE_TYPE 0x10
#define SYSTEM_MANDATORY_LABEL_ACE_TYPE 0x11
#define SYSTEM_RESOURCE_ATTRIBUTE_ACE_TYPE 0x12
#define SYSTEM_SCOPED_POLICY_ID_ACE_TYPE 0x13
#define SYSTEM_PROCESS_TRUST_LABEL_ACE_TYPE 0x14
#define SYSTEM_ACCESS_FILTER_ACE_TYPE 0x15

#define OBJECT_INHERIT_ACE 0x1
#define CONTAINER_INHERIT_ACE 0x2
#define NO_PROPAGATE_INHERIT_ACE 0x4
#define INHERIT_ONLY_ACE 0x8
#define INHERITED_ACE 0x10
#define VALID_INHERIT_FLAGS 0x1F
#define CRITICAL_ACE_FLAG 0x20
#define SUCCESSFUL_ACCESS_ACE_FLAG 0x40
#define FAILED_ACCESS_ACE_FLAG 0x80
#define TRUST_PROTECTED_FILTER_ACE_FLAG 0x40
#define ACE_OBJECT_TYPE_PRESENT 0x1
#define ACE_INHERITED_OBJECT_TYPE_PRESENT 0x2
#define SYSTEM_MANDATORY_LABEL_NO_WRITE_UP 0x1
#define SYSTEM_MANDATORY_LABEL_NO_READ_UP 0x2
#define SYSTEM_MANDATORY_LABEL_NO_EXECUTE_UP 0x4

typedef struct _ACE_HEADER {
  UCHAR AceType;
  UCHAR AceFlags;
  USHORT AceSize; /* bytes, this header included; a multiple of 4 */
} ACE_HEADER, *PACE_HEADER;

/* An entry with a mask and a SID. What the SID begins with stands in SidStart; callback types have data behind the SID. */
#define VICAR_NTIFS_ACE(tag, name) \
  typedef struct tag {             \
    ACE_HEADER Header;             \
    ACCESS_MASK Mask;              \
    ULONG SidStart;                \
  } name, *P##name

VICAR_NTIFS_ACE(_ACCESS_ALLOWED_ACE, ACCESS_ALLOWED_ACE);
VICAR_NTIFS_ACE(_ACCESS_DENIED_ACE, ACCESS_DENIED_ACE);
VICAR_NTIFS_ACE(_SYSTEM_AUDIT_ACE, SYSTEM_AUDIT_ACE);
VICAR_NTIFS_ACE(_SYSTEM_ALARM_ACE, SYSTEM_ALARM_ACE);
VICAR_NTIFS_ACE(_SYSTEM_MANDATORY_LABEL_ACE, SYSTEM_MANDATORY_LABEL_ACE);
VICAR_NTIFS_ACE(_SYSTEM_RESOURCE_ATTRIBUTE_ACE, SYSTEM_RESOURCE_ATTRIBUTE_ACE);
VICAR_NTIFS_ACE(_SYSTEM_SCOPED_POLICY_ID_ACE, SYSTEM_SCOPED_POLICY_ID_ACE);
VICAR_NTIFS_ACE(_SYSTEM_PROCESS_TRUST_LABEL_ACE, SYSTEM_PROCESS_TRUST_LABEL_ACE);
VICAR_NTIFS_ACE(_ACCESS_ALLOWED_CALLBACK_ACE, ACCESS_ALLOWED_CALLBACK_ACE);
VICAR_NTIFS_ACE(_ACCESS_DENIED_CALLBACK_ACE, ACCESS_DENIED_CALLBACK_ACE);
VICAR_NTIFS_ACE(_SYSTEM_AUDIT_CALLBACK_ACE, SYSTEM_AUDIT_CALLBACK_ACE);

/* An entry about types of objects, with both types present; where one is not, what follows stands earlier. */
#define VICAR_NTIFS_OBJECT_ACE(tag, name) \
  typedef struct tag {                    \
    ACE_HEADER Header;                    \
    ACCESS_MASK Mask;                     \
    ULONG Flags;                          \
    GUID ObjectType;                      \
    GUID InheritedObjectType;             \
    ULONG SidStart;                       \
  } name, *P##name

VICAR_NTIFS_OBJECT_ACE(_ACCESS_ALLOWED_OBJECT_ACE, ACCESS_ALLOWED_OBJECT_ACE);
VICAR_NTIFS_OBJECT_ACE(_ACCESS_DENIED_OBJECT_ACE, ACCESS_DENIED_OBJECT_ACE);
VICAR_NTIFS_OBJECT_ACE(_SYSTEM_AUDIT_OBJECT_ACE, SYSTEM_AUDIT_OBJECT_ACE);
VICAR_NTIFS_OBJECT_ACE(_ACCESS_ALLOWED_CALLBACK_OBJECT_ACE, ACCESS_ALLOWED_CALLBACK_OBJECT_ACE);
VICAR_NTIFS_OBJECT_ACE(_ACCESS_DENIED_CALLBACK_OBJECT_ACE, ACCESS_DENIED_CALLBACK_OBJECT_ACE);

typedef struct _OBJECT_TYPE_LIST {
  USHORT Level;
  USHORT Sbz;
  GUID *ObjectType;
} OBJECT_TYPE_LIST, *POBJECT_TYPE_LIST;

typedef enum _AUDIT_EVENT_TYPE { AuditEventObjectAccess, AuditEventDirectoryServiceAccess } AUDIT_EVENT_TYPE, *PAUDIT_EVENT_TYPE;
#define AUDIT_ALLOW_NO_PRIVILEGE 0x1u

/* ------------------------------------------------------------------------------------------------ Security descriptors */

#define SECURITY_DESCRIPTOR_REVISION 1
#define SECURITY_DESCRIPTOR_REVISION1 1
#define SECURITY_DESCRIPTOR_MIN_LENGTH (sizeof(SECURITY_DESCRIPTOR))

#define SE_OWNER_DEFAULTED 0x0001
#define SE_GROUP_DEFAULTED 0x0002
#define SE_DACL_PRESENT 0x0004
#define SE_DACL_DEFAULTED 0x0008
#define SE_SACL_PRESENT 0x0010
#define SE_SACL_DEFAULTED 0x0020
#define SE_DACL_UNTRUSTED 0x0040
#define SE_SERVER_SECURITY 0x0080
#define SE_DACL_AUTO_INHERIT_REQ 0x0100
#define SE_SACL_AUTO_INHERIT_REQ 0x0200
#define SE_DACL_AUTO_INHERITED 0x0400
#define SE_SACL_AUTO_INHERITED 0x0800
#define SE_DACL_PROTECTED 0x1000
#define SE_SACL_PROTECTED 0x2000
#define SE_RM_CONTROL_VALID 0x4000
#define SE_SELF_RELATIVE 0x8000

/* A descriptor of pointers (absolute form). */
typedef struct _SECURITY_DESCRIPTOR {
  UCHAR Revision;
  UCHAR Sbz1;
  SECURITY_DESCRIPTOR_CONTROL Control;
  PSID Owner;
  PSID Group;
  PACL Sacl;
  PACL Dacl;
} SECURITY_DESCRIPTOR, *PISECURITY_DESCRIPTOR;

/* A descriptor of offsets from its own start (self-relative form); 0 is "none". */
typedef struct _SECURITY_DESCRIPTOR_RELATIVE {
  UCHAR Revision;
  UCHAR Sbz1;
  SECURITY_DESCRIPTOR_CONTROL Control;
  ULONG Owner;
  ULONG Group;
  ULONG Sacl;
  ULONG Dacl;
} SECURITY_DESCRIPTOR_RELATIVE, *PISECURITY_DESCRIPTOR_RELATIVE;

#define OWNER_SECURITY_INFORMATION 0x00000001u
#define GROUP_SECURITY_INFORMATION 0x00000002u
#define DACL_SECURITY_INFORMATION 0x00000004u
#define SACL_SECURITY_INFORMATION 0x00000008u
#define LABEL_SECURITY_INFORMATION 0x00000010u
#define ATTRIBUTE_SECURITY_INFORMATION 0x00000020u
#define SCOPE_SECURITY_INFORMATION 0x00000040u
#define PROCESS_TRUST_LABEL_SECURITY_INFORMATION 0x00000080u
#define ACCESS_FILTER_SECURITY_INFORMATION 0x00000100u
#define BACKUP_SECURITY_INFORMATION 0x00010000u
#define UNPROTECTED_SACL_SECURITY_INFORMATION 0x10000000u
#define UNPROTECTED_DACL_SECURITY_INFORMATION 0x20000000u
#define PROTECTED_SACL_SECURITY_INFORMATION 0x40000000u
#define PROTECTED_DACL_SECURITY_INFORMATION 0x80000000u

#define SEF_DACL_AUTO_INHERIT 0x01u
#define SEF_SACL_AUTO_INHERIT 0x02u
#define SEF_DEFAULT_DESCRIPTOR_FOR_OBJECT 0x04u
#define SEF_AVOID_PRIVILEGE_CHECK 0x08u
#define SEF_AVOID_OWNER_CHECK 0x10u
#define SEF_DEFAULT_OWNER_FROM_PARENT 0x20u
#define SEF_DEFAULT_GROUP_FROM_PARENT 0x40u
#define SEF_MACL_NO_WRITE_UP 0x100u
#define SEF_MACL_NO_READ_UP 0x200u
#define SEF_MACL_NO_EXECUTE_UP 0x400u
#define SEF_AVOID_OWNER_RESTRICTION 0x1000u

/* ----------------------------------------------------------------------------------------------- Tokens and impersonation */

typedef enum _SECURITY_IMPERSONATION_LEVEL {
  SecurityAnonymous,      /* the server may not know who the client is */
  SecurityIdentification, /* it may know and decide for itself, but open nothing as the client */
  SecurityImpersonation,  /* it may act as the client on this machine */
  SecurityDelegation      /* and on others */
} SECURITY_IMPERSONATION_LEVEL, *PSECURITY_IMPERSONATION_LEVEL;

#define SECURITY_MAX_IMPERSONATION_LEVEL SecurityDelegation
#define SECURITY_MIN_IMPERSONATION_LEVEL SecurityAnonymous
#define DEFAULT_IMPERSONATION_LEVEL SecurityImpersonation
#define VALID_IMPERSONATION_LEVEL(level) ((level) >= SecurityAnonymous && (level) <= SecurityDelegation)

#define SECURITY_DYNAMIC_TRACKING ((BOOLEAN)1)
#define SECURITY_STATIC_TRACKING ((BOOLEAN)0)

typedef enum _TOKEN_TYPE { TokenPrimary = 1, TokenImpersonation } TOKEN_TYPE, *PTOKEN_TYPE;
typedef enum _TOKEN_ELEVATION_TYPE {
  TokenElevationTypeDefault = 1,
  TokenElevationTypeFull,
  TokenElevationTypeLimited
} TOKEN_ELEVATION_TYPE;

typedef enum _TOKEN_INFORMATION_CLASS {
  TokenUser = 1,
  TokenGroups,
  TokenPrivileges,
  TokenOwner,
  TokenPrimaryGroup,
  TokenDefaultDacl,
  TokenSource,
  TokenType,
  TokenImpersonationLevel,
  TokenStatistics,
  TokenRestrictedSids,
  TokenSessionId,
  TokenGroupsAndPrivileges,
  TokenSessionReference,
  TokenSandBoxInert,
  TokenAuditPolicy,
  TokenOrigin,
  TokenElevationType,
  TokenLinkedToken,
  TokenElevation,
  TokenHasRestrictions,
  TokenAccessInformation,
  TokenVirtualizationAllowed,
  TokenVirtualizationEnabled,
  TokenIntegrityLevel,
  TokenUIAccess,
  TokenMandatoryPolicy,
  TokenLogonSid,
  TokenIsAppContainer,
  TokenCapabilities,
  TokenAppContainerSid,
  TokenAppContainerNumber,
  TokenUserClaimAttributes,
  TokenDeviceClaimAttributes,
  TokenRestrictedUserClaimAttributes,
  TokenRestrictedDeviceClaimAttributes,
  TokenDeviceGroups,
  TokenRestrictedDeviceGroups,
  TokenSecurityAttributes,
  TokenIsRestricted,
  TokenProcessTrustLevel,
  TokenPrivateNameSpace,
  TokenSingletonAttributes,
  TokenBnoIsolation,
  TokenChildProcessFlags,
  TokenIsLessPrivilegedAppContainer,
  TokenIsSandboxed
} TOKEN_INFORMATION_CLASS, *PTOKEN_INFORMATION_CLASS;

#define TOKEN_HAS_TRAVERSE_PRIVILEGE 0x0001u
#define TOKEN_HAS_BACKUP_PRIVILEGE 0x0002u
#define TOKEN_HAS_RESTORE_PRIVILEGE 0x0004u
#define TOKEN_WRITE_RESTRICTED 0x0008u
#define TOKEN_IS_RESTRICTED 0x0010u
#define TOKEN_SESSION_NOT_REFERENCED 0x0020u
#define TOKEN_SANDBOX_INERT 0x0040u
#define TOKEN_HAS_IMPERSONATE_PRIVILEGE 0x0080u

#define TOKEN_MANDATORY_POLICY_OFF 0x0u
#define TOKEN_MANDATORY_POLICY_NO_WRITE_UP 0x1u
#define TOKEN_MANDATORY_POLICY_NEW_PROCESS_MIN 0x2u

#define DISABLE_MAX_PRIVILEGE 0x1u
#define SANDBOX_INERT 0x2u
#define LUA_TOKEN 0x4u
#define WRITE_RESTRICTED 0x8u

#define TOKEN_SOURCE_LENGTH 8

typedef struct _TOKEN_SOURCE {
  CHAR SourceName[TOKEN_SOURCE_LENGTH]; /* not terminated */
  LUID SourceIdentifier;
} TOKEN_SOURCE, *PTOKEN_SOURCE;

typedef struct _TOKEN_CONTROL {
  LUID TokenId;
  LUID AuthenticationId;
  LUID ModifiedId;
  TOKEN_SOURCE TokenSource;
} TOKEN_CONTROL, *PTOKEN_CONTROL;

typedef struct _TOKEN_USER {
  SID_AND_ATTRIBUTES User;
} TOKEN_USER, *PTOKEN_USER;
typedef struct _TOKEN_GROUPS {
  ULONG GroupCount;
  SID_AND_ATTRIBUTES Groups[ANYSIZE_ARRAY];
} TOKEN_GROUPS, *PTOKEN_GROUPS;
typedef struct _TOKEN_PRIVILEGES {
  ULONG PrivilegeCount;
  LUID_AND_ATTRIBUTES Privileges[ANYSIZE_ARRAY];
} TOKEN_PRIVILEGES, *PTOKEN_PRIVILEGES;
typedef struct _TOKEN_OWNER {
  PSID Owner;
} TOKEN_OWNER, *PTOKEN_OWNER;
typedef struct _TOKEN_PRIMARY_GROUP {
  PSID PrimaryGroup;
} TOKEN_PRIMARY_GROUP, *PTOKEN_PRIMARY_GROUP;
typedef struct _TOKEN_DEFAULT_DACL {
  PACL DefaultDacl;
} TOKEN_DEFAULT_DACL, *PTOKEN_DEFAULT_DACL;
typedef struct _TOKEN_STATISTICS {
  LUID TokenId;
  LUID AuthenticationId;
  LARGE_INTEGER ExpirationTime;
  TOKEN_TYPE TokenType;
  SECURITY_IMPERSONATION_LEVEL ImpersonationLevel; /* of an impersonation token only */
  ULONG DynamicCharged;
  ULONG DynamicAvailable;
  ULONG GroupCount;
  ULONG PrivilegeCount;
  LUID ModifiedId;
} TOKEN_STATISTICS, *PTOKEN_STATISTICS;
typedef struct _TOKEN_GROUPS_AND_PRIVILEGES {
  ULONG SidCount;
  ULONG SidLength;
  PSID_AND_ATTRIBUTES Sids;
  ULONG RestrictedSidCount;
  ULONG RestrictedSidLength;
  PSID_AND_ATTRIBUTES RestrictedSids;
  ULONG PrivilegeCount;
  ULONG PrivilegeLength;
  PLUID_AND_ATTRIBUTES Privileges;
  LUID AuthenticationId;
} TOKEN_GROUPS_AND_PRIVILEGES, *PTOKEN_GROUPS_AND_PRIVILEGES;
typedef struct _TOKEN_ORIGIN {
  LUID OriginatingLogonSession;
} TOKEN_ORIGIN, *PTOKEN_ORIGIN;
typedef struct _TOKEN_LINKED_TOKEN {
  HANDLE LinkedToken;
} TOKEN_LINKED_TOKEN, *PTOKEN_LINKED_TOKEN;
typedef struct _TOKEN_ELEVATION {
  ULONG TokenIsElevated;
} TOKEN_ELEVATION, *PTOKEN_ELEVATION;
typedef struct _TOKEN_MANDATORY_LABEL {
  SID_AND_ATTRIBUTES Label;
} TOKEN_MANDATORY_LABEL, *PTOKEN_MANDATORY_LABEL;
typedef struct _TOKEN_MANDATORY_POLICY {
  ULONG Policy;
} TOKEN_MANDATORY_POLICY, *PTOKEN_MANDATORY_POLICY;
typedef struct _TOKEN_APPCONTAINER_INFORMATION {
  PSID TokenAppContainer;
} TOKEN_APPCONTAINER_INFORMATION, *PTOKEN_APPCONTAINER_INFORMATION;
typedef struct _SID_AND_ATTRIBUTES_HASH {
  ULONG SidCount;
  PSID_AND_ATTRIBUTES SidAttr;
  ULONG_PTR Hash[32];
} SID_AND_ATTRIBUTES_HASH, *PSID_AND_ATTRIBUTES_HASH;
typedef struct _TOKEN_ACCESS_INFORMATION {
  PSID_AND_ATTRIBUTES_HASH SidHash;
  PSID_AND_ATTRIBUTES_HASH RestrictedSidHash;
  PTOKEN_PRIVILEGES Privileges;
  LUID AuthenticationId;
  TOKEN_TYPE TokenType;
  SECURITY_IMPERSONATION_LEVEL ImpersonationLevel;
  TOKEN_MANDATORY_POLICY MandatoryPolicy;
  ULONG Flags;
  ULONG AppContainerNumber;
  PSID PackageSid;
  PSID_AND_ATTRIBUTES_HASH CapabilitiesHash;
#ifndef VICAR_NTIFS_WINDOWS_8 /* defined: the structure as it was before Windows 8.1; the library writes the later one */
  PSID TrustLevelSid;
  PVOID SecurityAttributes;
#endif
} TOKEN_ACCESS_INFORMATION, *PTOKEN_ACCESS_INFORMATION;

/* What a client allows its server. */
typedef struct _SECURITY_QUALITY_OF_SERVICE {
  ULONG Length; /* sizeof(SECURITY_QUALITY_OF_SERVICE) */
  SECURITY_IMPERSONATION_LEVEL ImpersonationLevel;
  SECURITY_CONTEXT_TRACKING_MODE ContextTrackingMode;
  BOOLEAN EffectiveOnly;
} SECURITY_QUALITY_OF_SERVICE, *PSECURITY_QUALITY_OF_SERVICE;

/* A client that a server may act as: made by SeCreateClientSecurity, ended by SeDeleteClientSecurity. */
typedef struct _SECURITY_CLIENT_CONTEXT {
  SECURITY_QUALITY_OF_SERVICE SecurityQos;
  PACCESS_TOKEN ClientToken; /* one reference of its own */
  BOOLEAN DirectlyAccessClientToken;
  BOOLEAN DirectAccessEffectiveOnly;
  BOOLEAN ServerIsRemote;
  TOKEN_CONTROL ClientTokenControl;
} SECURITY_CLIENT_CONTEXT, *PSECURITY_CLIENT_CONTEXT;

/* Both tokens of a thread. The routines read the fields as they are at the call, also after a caller has written them. */
typedef struct _SECURITY_SUBJECT_CONTEXT {
  PACCESS_TOKEN ClientToken; /* NULL: the thread is not impersonating */
  SECURITY_IMPERSONATION_LEVEL ImpersonationLevel;
  PACCESS_TOKEN PrimaryToken;
  PVOID ProcessAuditId;
} SECURITY_SUBJECT_CONTEXT, *PSECURITY_SUBJECT_CONTEXT;

typedef struct _SE_IMPERSONATION_STATE {
  PACCESS_TOKEN Token;
  BOOLEAN CopyOnOpen;
  BOOLEAN EffectiveOnly;
  SECURITY_IMPERSONATION_LEVEL Level;
} SE_IMPERSONATION_STATE, *PSE_IMPERSONATION_STATE;

/* An open that is under way: who asks, for what, and what has been granted so far. */
typedef struct _ACCESS_STATE {
  LUID OperationID;
  BOOLEAN SecurityEvaluated;
  BOOLEAN GenerateAudit;
  BOOLEAN GenerateOnClose;
  BOOLEAN PrivilegesAllocated;
  ULONG Flags;
  ACCESS_MASK RemainingDesiredAccess;
  ACCESS_MASK PreviouslyGrantedAccess;
  ACCESS_MASK OriginalDesiredAccess;
  SECURITY_SUBJECT_CONTEXT SubjectSecurityContext;
  PSECURITY_DESCRIPTOR SecurityDescriptor;
  PVOID AuxData;
  union {
    INITIAL_PRIVILEGE_SET InitialPrivilegeSet;
    PRIVILEGE_SET PrivilegeSet;
  } Privileges;
  BOOLEAN AuditPrivileges;
  UNICODE_STRING ObjectName;
  UNICODE_STRING ObjectTypeName;
} ACCESS_STATE, *PACCESS_STATE;

/* The private part of an access state; opaque. */
typedef struct _AUX_ACCESS_DATA {
  PPRIVILEGE_SET PrivilegesUsed;
  GENERIC_MAPPING GenericMapping;
  ULONG64 Reserved[5];
} AUX_ACCESS_DATA, *PAUX_ACCESS_DATA;

/* Privileges and identities that are the same everywhere; the pointed-to SIDs are read-only. */
typedef struct _SE_EXPORTS {
  LUID SeCreateTokenPrivilege;
  LUID SeAssignPrimaryTokenPrivilege;
  LUID SeLockMemoryPrivilege;
  LUID SeIncreaseQuotaPrivilege;
  LUID SeUnsolicitedInputPrivilege;
  LUID SeTcbPrivilege;
  LUID SeSecurityPrivilege;
  LUID SeTakeOwnershipPrivilege;
  LUID SeLoadDriverPrivilege;
  LUID SeCreatePagefilePrivilege;
  LUID SeIncreaseBasePriorityPrivilege;
  LUID SeSystemProfilePrivilege;
  LUID SeSystemtimePrivilege;
  LUID SeProfileSingleProcessPrivilege;
  LUID SeCreatePermanentPrivilege;
  LUID SeBackupPrivilege;
  LUID SeRestorePrivilege;
  LUID SeShutdownPrivilege;
  LUID SeDebugPrivilege;
  LUID SeAuditPrivilege;
  LUID SeSystemEnvironmentPrivilege;
  LUID SeChangeNotifyPrivilege;
  LUID SeRemoteShutdownPrivilege;
  PSID SeNullSid;
  PSID SeWorldSid;
  PSID SeLocalSid;
  PSID SeCreatorOwnerSid;
  PSID SeCreatorGroupSid;
  PSID SeNtAuthoritySid;
  PSID SeDialupSid;
  PSID SeNetworkSid;
  PSID SeBatchSid;
  PSID SeInteractiveSid;
  PSID SeLocalSystemSid;
  PSID SeAliasAdminsSid;
  PSID SeAliasUsersSid;
  PSID SeAliasGuestsSid;
  PSID SeAliasPowerUsersSid;
  PSID SeAliasAccountOpsSid;
  PSID SeAliasSystemOpsSid;
  PSID SeAliasPrintOpsSid;
  PSID SeAliasBackupOpsSid;
  PSID SeAuthenticatedUsersSid;
  PSID SeRestrictedSid;
  PSID SeAnonymousLogonSid;
  LUID SeUndockPrivilege;
  LUID SeSyncAgentPrivilege;
  LUID SeEnableDelegationPrivilege;
  PSID SeLocalServiceSid;
  PSID SeNetworkServiceSid;
  LUID SeManageVolumePrivilege;
  LUID SeImpersonatePrivilege;
  LUID SeCreateGlobalPrivilege;
  LUID SeTrustedCredManAccessPrivilege;
  LUID SeRelabelPrivilege;
  LUID SeIncreaseWorkingSetPrivilege;
  LUID SeTimeZonePrivilege;
  LUID SeCreateSymbolicLinkPrivilege;
  PSID SeIUserSid;
  PSID SeUntrustedMandatorySid;
  PSID SeLowMandatorySid;
  PSID SeMediumMandatorySid;
  PSID SeHighMandatorySid;
  PSID SeSystemMandatorySid;
  PSID SeOwnerRightsSid;
} SE_EXPORTS, *PSE_EXPORTS;

/* ------------------------------------------------------------------------------------- Objects, requests, work, memory */

#define OBJ_INHERIT 0x00000002u
#define OBJ_PERMANENT 0x00000010u
#define OBJ_EXCLUSIVE 0x00000020u
#define OBJ_CASE_INSENSITIVE 0x00000040u
#define OBJ_OPENIF 0x00000080u
#define OBJ_OPENLINK 0x00000100u
#define OBJ_KERNEL_HANDLE 0x00000200u
#define OBJ_FORCE_ACCESS_CHECK 0x00000400u

typedef struct _OBJECT_ATTRIBUTES {
  ULONG Length;
  HANDLE RootDirectory;
  PUNICODE_STRING ObjectName;
  ULONG Attributes;
  PVOID SecurityDescriptor;
  PVOID SecurityQualityOfService;
} OBJECT_ATTRIBUTES, *POBJECT_ATTRIBUTES;

typedef struct _OBJECT_HANDLE_INFORMATION {
  ULONG HandleAttributes;
  ACCESS_MASK GrantedAccess;
} OBJECT_HANDLE_INFORMATION, *POBJECT_HANDLE_INFORMATION;

typedef struct _IO_STATUS_BLOCK {
  __extension__ union {
    NTSTATUS Status;
    PVOID Pointer;
  };
  ULONG_PTR Information;
} IO_STATUS_BLOCK, *PIO_STATUS_BLOCK;

/* Who opens, in the parameters of IRP_MJ_CREATE. */
typedef struct _IO_SECURITY_CONTEXT {
  PSECURITY_QUALITY_OF_SERVICE SecurityQos;
  PACCESS_STATE AccessState;
  ACCESS_MASK DesiredAccess;
  ULONG FullCreateOptions;
} IO_SECURITY_CONTEXT, *PIO_SECURITY_CONTEXT;

#define IRP_MJ_CREATE 0x00
#define IRP_MJ_CREATE_NAMED_PIPE 0x01
#define IRP_MJ_CLOSE 0x02
#define IRP_MJ_READ 0x03
#define IRP_MJ_WRITE 0x04
#define IRP_MJ_QUERY_INFORMATION 0x05
#define IRP_MJ_SET_INFORMATION 0x06
#define IRP_MJ_QUERY_VOLUME_INFORMATION 0x0A
#define IRP_MJ_DIRECTORY_CONTROL 0x0C
#define IRP_MJ_FILE_SYSTEM_CONTROL 0x0D
#define IRP_MJ_DEVICE_CONTROL 0x0E
#define IRP_MJ_INTERNAL_DEVICE_CONTROL 0x0F
#define IRP_MJ_CLEANUP 0x12
#define IRP_MJ_QUERY_SECURITY 0x14
#define IRP_MJ_SET_SECURITY 0x15
#define IRP_MJ_MAXIMUM_FUNCTION 0x1B
#define IO_NO_INCREMENT 0
#define SL_PENDING_RETURNED 0x01     /* in Control */
#define SL_FORCE_ACCESS_CHECK 0x01   /* in Flags of IRP_MJ_CREATE: check as for a user, whoever asks */
#define CTL_CODE(device, function, method, access) (((ULONG)(device) << 16) | ((ULONG)(access) << 14) | ((ULONG)(function) << 2) | (ULONG)(method))
#define METHOD_BUFFERED 0
#define METHOD_IN_DIRECT 1
#define METHOD_OUT_DIRECT 2
#define METHOD_NEITHER 3
#define FILE_ANY_ACCESS 0
#define FILE_READ_ACCESS 1
#define FILE_WRITE_ACCESS 2
#define FILE_DEVICE_DISK 0x07u
#define FILE_DEVICE_NAMED_PIPE 0x11u
#define FILE_DEVICE_NETWORK_FILE_SYSTEM 0x14u
#define FILE_DEVICE_UNKNOWN 0x22u
#define FSCTL_PIPE_IMPERSONATE CTL_CODE(FILE_DEVICE_NAMED_PIPE, 7, METHOD_BUFFERED, FILE_ANY_ACCESS)

struct _DEVICE_OBJECT;
struct _DRIVER_OBJECT;
struct _IRP;
typedef NTSTATUS NTAPI DRIVER_DISPATCH(struct _DEVICE_OBJECT *DeviceObject, struct _IRP *Irp);
typedef DRIVER_DISPATCH *PDRIVER_DISPATCH;
typedef NTSTATUS NTAPI DRIVER_INITIALIZE(struct _DRIVER_OBJECT *DriverObject, PUNICODE_STRING RegistryPath);
typedef DRIVER_INITIALIZE *PDRIVER_INITIALIZE;
typedef VOID NTAPI DRIVER_UNLOAD(struct _DRIVER_OBJECT *DriverObject);
typedef DRIVER_UNLOAD *PDRIVER_UNLOAD;

/* By name. There is no I/O manager here: a test fills these and calls the driver's dispatch routines itself. */
typedef struct _DRIVER_OBJECT {
  CSHORT Type;
  CSHORT Size;
  struct _DEVICE_OBJECT *DeviceObject;
  ULONG Flags;
  UNICODE_STRING DriverName;
  PDRIVER_INITIALIZE DriverInit;
  PDRIVER_UNLOAD DriverUnload;
  PDRIVER_DISPATCH MajorFunction[IRP_MJ_MAXIMUM_FUNCTION + 1];
} DRIVER_OBJECT, *PDRIVER_OBJECT;

/* By name. */
typedef struct _DEVICE_OBJECT {
  CSHORT Type;
  USHORT Size;
  PDRIVER_OBJECT DriverObject;
  struct _DEVICE_OBJECT *NextDevice;
  struct _DEVICE_OBJECT *AttachedDevice;
  ULONG Flags;
  ULONG Characteristics;
  PVOID DeviceExtension;
  ULONG DeviceType;
  CCHAR StackSize;
  ULONG AlignmentRequirement;
  PSECURITY_DESCRIPTOR SecurityDescriptor;
} DEVICE_OBJECT, *PDEVICE_OBJECT;

/* By name. */
typedef struct _FILE_OBJECT {
  CSHORT Type;
  CSHORT Size;
  PDEVICE_OBJECT DeviceObject;
  PVOID FsContext;
  PVOID FsContext2;
  NTSTATUS FinalStatus;
  struct _FILE_OBJECT *RelatedFileObject;
  BOOLEAN LockOperation;
  BOOLEAN DeletePending;
  BOOLEAN ReadAccess;
  BOOLEAN WriteAccess;
  BOOLEAN DeleteAccess;
  BOOLEAN SharedRead;
  BOOLEAN SharedWrite;
  BOOLEAN SharedDelete;
  ULONG Flags;
  UNICODE_STRING FileName;
  LARGE_INTEGER CurrentByteOffset;
} FILE_OBJECT, *PFILE_OBJECT;

/* By name. */
typedef struct _IO_STACK_LOCATION {
  UCHAR MajorFunction;
  UCHAR MinorFunction;
  UCHAR Flags;
  UCHAR Control;
  union {
    struct {
      PIO_SECURITY_CONTEXT SecurityContext;
      ULONG Options;
      USHORT FileAttributes;
      USHORT ShareAccess;
      ULONG EaLength;
    } Create;
    struct {
      PIO_SECURITY_CONTEXT SecurityContext;
      ULONG Options;
      USHORT Reserved;
      USHORT ShareAccess;
      PVOID Parameters;
    } CreatePipe;
    struct {
      ULONG Length;
      ULONG Key;
      LARGE_INTEGER ByteOffset;
    } Read;
    struct {
      ULONG Length;
      ULONG Key;
      LARGE_INTEGER ByteOffset;
    } Write;
    struct {
      ULONG OutputBufferLength;
      ULONG InputBufferLength;
      ULONG FsControlCode;
      PVOID Type3InputBuffer;
    } FileSystemControl;
    struct {
      ULONG OutputBufferLength;
      ULONG InputBufferLength;
      ULONG IoControlCode;
      PVOID Type3InputBuffer;
    } DeviceIoControl;
    struct {
      SECURITY_INFORMATION SecurityInformation;
      ULONG Length;
    } QuerySecurity;
    struct {
      SECURITY_INFORMATION SecurityInformation;
      PSECURITY_DESCRIPTOR SecurityDescriptor;
    } SetSecurity;
    struct {
      PVOID Argument1;
      PVOID Argument2;
      PVOID Argument3;
      PVOID Argument4;
    } Others;
  } Parameters;
  PDEVICE_OBJECT DeviceObject;
  PFILE_OBJECT FileObject;
  PVOID Context;
} IO_STACK_LOCATION, *PIO_STACK_LOCATION;

typedef struct _VICAR_IRP_OVERLAY {
  PVOID DriverContext[4];
  PETHREAD Thread;
  LIST_ENTRY ListEntry;
  PIO_STACK_LOCATION CurrentStackLocation;
  PFILE_OBJECT OriginalFileObject;
} VICAR_IRP_OVERLAY;
typedef union _VICAR_IRP_TAIL {
  VICAR_IRP_OVERLAY Overlay;
} VICAR_IRP_TAIL;

/* By name. Tail.Overlay.Thread is the thread that asked; a request of nobody's has NULL there. */
typedef struct _IRP {
  CSHORT Type;
  USHORT Size;
  ULONG Flags;
  union {
    struct _IRP *MasterIrp;
    LONG IrpCount;
    PVOID SystemBuffer;
  } AssociatedIrp;
  LIST_ENTRY ThreadListEntry;
  IO_STATUS_BLOCK IoStatus;
  KPROCESSOR_MODE RequestorMode;
  BOOLEAN PendingReturned;
  CHAR StackCount;
  CHAR CurrentLocation;
  BOOLEAN Cancel;
  KIRQL CancelIrql;
  PVOID UserBuffer;
  ULONG VicarCompletions; /* how often IoCompleteRequest was called: once, a test may assert */
  VICAR_IRP_TAIL Tail;
} IRP, *PIRP;

typedef enum _POOL_TYPE {
  NonPagedPool = 0,
  NonPagedPoolExecute = NonPagedPool,
  PagedPool = 1,
  NonPagedPoolNx = 512
} POOL_TYPE;

typedef ULONG64 POOL_FLAGS;
#define POOL_FLAG_USE_QUOTA 0x0000000000000001ull
#define POOL_FLAG_UNINITIALIZED 0x0000000000000002ull
#define POOL_FLAG_SESSION 0x0000000000000004ull
#define POOL_FLAG_CACHE_ALIGNED 0x0000000000000008ull
#define POOL_FLAG_NON_PAGED 0x0000000000000040ull
#define POOL_FLAG_NON_PAGED_EXECUTE 0x0000000000000080ull
#define POOL_FLAG_PAGED 0x0000000000000100ull

#define PASSIVE_LEVEL 0
#define APC_LEVEL 1
#define DISPATCH_LEVEL 2

/* Events and locks: of their size on x64, in the driver's memory, and opaque. */
typedef struct _KEVENT {
  ULONG64 Opaque[3];
} KEVENT, *PKEVENT, *PRKEVENT;
typedef ULONG_PTR KSPIN_LOCK, *PKSPIN_LOCK;
typedef struct _FAST_MUTEX {
  ULONG64 Opaque[7];
} FAST_MUTEX, *PFAST_MUTEX;
typedef struct _ERESOURCE {
  ULONG64 Opaque[13];
} ERESOURCE, *PERESOURCE;
typedef LONG KPRIORITY;
typedef enum _EVENT_TYPE { NotificationEvent, SynchronizationEvent } EVENT_TYPE;
typedef enum _KWAIT_REASON {
  Executive,
  FreePage,
  PageIn,
  PoolAllocation,
  DelayExecution,
  Suspended,
  UserRequest
} KWAIT_REASON;

typedef enum _WORK_QUEUE_TYPE {
  CriticalWorkQueue,
  DelayedWorkQueue,
  HyperCriticalWorkQueue,
  NormalWorkQueue,
  BackgroundWorkQueue,
  RealTimeWorkQueue,
  SuperCriticalWorkQueue,
  MaximumWorkQueue,
  CustomPriorityWorkQueue = 32
} WORK_QUEUE_TYPE;

typedef VOID NTAPI WORKER_THREAD_ROUTINE(PVOID Parameter);
typedef WORKER_THREAD_ROUTINE *PWORKER_THREAD_ROUTINE;

typedef struct _WORK_QUEUE_ITEM {
  LIST_ENTRY List; /* Flink is NULL while the item is not queued */
  PWORKER_THREAD_ROUTINE WorkerRoutine;
  PVOID Parameter;
} WORK_QUEUE_ITEM, *PWORK_QUEUE_ITEM;

typedef struct _IO_WORKITEM *PIO_WORKITEM;
typedef VOID NTAPI IO_WORKITEM_ROUTINE(PDEVICE_OBJECT DeviceObject, PVOID Context);
typedef IO_WORKITEM_ROUTINE *PIO_WORKITEM_ROUTINE;
typedef VOID NTAPI IO_WORKITEM_ROUTINE_EX(PVOID IoObject, PVOID Context, PIO_WORKITEM IoWorkItem);
typedef IO_WORKITEM_ROUTINE_EX *PIO_WORKITEM_ROUTINE_EX;
typedef VOID NTAPI KSTART_ROUTINE(PVOID StartContext);
typedef KSTART_ROUTINE *PKSTART_ROUTINE;
typedef NTSTATUS NTAPI SE_LOGON_SESSION_TERMINATED_ROUTINE(PLUID LogonId);
typedef SE_LOGON_SESSION_TERMINATED_ROUTINE *PSE_LOGON_SESSION_TERMINATED_ROUTINE;

typedef enum _THREADINFOCLASS { ThreadImpersonationToken = 5 } THREADINFOCLASS;
typedef enum _PROCESSINFOCLASS { ProcessAccessToken = 9 } PROCESSINFOCLASS;

/* For ProcessAccessToken; Thread is not looked at. */
typedef struct _PROCESS_ACCESS_TOKEN {
  HANDLE Token;
  HANDLE Thread;
} PROCESS_ACCESS_TOKEN, *PPROCESS_ACCESS_TOKEN;

#ifdef __cplusplus
extern "C" {
#endif

/* ------------------------------------------------------------------------------------------------- Inline and macro forms */

#define RtlZeroMemory(destination, length) ((void)memset((destination), 0, (length)))
#define RtlFillMemory(destination, length, fill) ((void)memset((destination), (fill), (length)))
#define RtlCopyMemory(destination, source, length) ((void)memcpy((destination), (source), (length)))
#define RtlMoveMemory(destination, source, length) ((void)memmove((destination), (source), (length)))
#define RtlEqualMemory(one, other, length) (memcmp((one), (other), (length)) == 0)
#define RtlEqualLuid(one, other) ((one)->LowPart == (other)->LowPart && (one)->HighPart == (other)->HighPart)
#define RtlIsZeroLuid(luid) ((luid)->LowPart == 0 && (luid)->HighPart == 0)
#define SeLengthSid(sid) ((ULONG)(8 + 4 * (ULONG)((const SID *)(sid))->SubAuthorityCount))
#define SeEnableAccessToExports() ((void)0)

/* As a checked build: a false expression ends the program. Debug output is that of a free build: none. */
#define NT_ASSERT(expression) assert(expression)
#ifndef ASSERT
#define ASSERT(expression) assert(expression)
#endif
#define KdPrint(arguments) ((void)0)

/* The calling routine is pageable: the verifier reports a call above APC_LEVEL. */
#define PAGED_CODE() vicar_paged_code(__func__)
VOID vicar_paged_code(_In_z_ const char *Function);

FORCEINLINE LUID RtlConvertUlongToLuid(ULONG Value) {
  LUID Luid;
  Luid.LowPart = Value;
  Luid.HighPart = 0;
  return Luid;
}
FORCEINLINE LUID RtlConvertLongToLuid(LONG Value) {
  LUID Luid;
  Luid.LowPart = (ULONG)Value;
  Luid.HighPart = Value < 0 ? -1 : 0;
  return Luid;
}
FORCEINLINE VOID InitializeListHead(PLIST_ENTRY Head) { Head->Flink = Head->Blink = Head; }
FORCEINLINE BOOLEAN IsListEmpty(const LIST_ENTRY *Head) { return Head->Flink == Head; }
FORCEINLINE VOID InsertHeadList(PLIST_ENTRY Head, PLIST_ENTRY Entry) {
  Entry->Flink = Head->Flink;
  Entry->Blink = Head;
  Head->Flink->Blink = Entry;
  Head->Flink = Entry;
}
FORCEINLINE VOID InsertTailList(PLIST_ENTRY Head, PLIST_ENTRY Entry) {
  Entry->Flink = Head;
  Entry->Blink = Head->Blink;
  Head->Blink->Flink = Entry;
  Head->Blink = Entry;
}
/* Whether the list is empty afterwards. */
FORCEINLINE BOOLEAN RemoveEntryList(PLIST_ENTRY Entry) {
  PLIST_ENTRY Before = Entry->Blink, After = Entry->Flink;
  Before->Flink = After;
  After->Blink = Before;
  return Before == After;
}
/* Removes and returns the first entry; of an empty list, the head. */
FORCEINLINE PLIST_ENTRY RemoveHeadList(PLIST_ENTRY Head) {
  PLIST_ENTRY Entry = Head->Flink;
  (void)RemoveEntryList(Entry);
  return Entry;
}
FORCEINLINE VOID InitializeObjectAttributes(POBJECT_ATTRIBUTES Attributes, PUNICODE_STRING Name, ULONG Flags, HANDLE Root,
                                            PSECURITY_DESCRIPTOR Descriptor) {
  Attributes->Length = sizeof(OBJECT_ATTRIBUTES);
  Attributes->RootDirectory = Root;
  Attributes->ObjectName = Name;
  Attributes->Attributes = Flags;
  Attributes->SecurityDescriptor = Descriptor;
  Attributes->SecurityQualityOfService = NULL;
}
FORCEINLINE PIO_STACK_LOCATION IoGetCurrentIrpStackLocation(PIRP Irp) { return Irp->Tail.Overlay.CurrentStackLocation; }
FORCEINLINE VOID IoMarkIrpPending(PIRP Irp) { Irp->Tail.Overlay.CurrentStackLocation->Control |= SL_PENDING_RETURNED; }
/* Counts. There is no I/O manager that would take the request further; the test reads IoStatus. */
FORCEINLINE VOID IoCompleteRequest(PIRP Irp, CCHAR PriorityBoost) {
  (void)PriorityBoost;
  Irp->VicarCompletions++;
}
/* Prepares a work item of the caller's memory, which must last until the routine has been called. */
FORCEINLINE VOID ExInitializeWorkItem(PWORK_QUEUE_ITEM Item, PWORKER_THREAD_ROUTINE Routine, PVOID Context) {
  Item->List.Flink = NULL;
  Item->List.Blink = NULL;
  Item->WorkerRoutine = Routine;
  Item->Parameter = Context;
}

/* ------------------------------------------------------------------------------------------------- Acting as a client */

/*
 * SeCreateClientSecurity: records a client, so that a server thread can act as it later.
 *
 * Takes the token that ClientThread acts with: its impersonation token if it has one, else its process's. With static
 * tracking, or when the server is remote, a private copy is kept at the level asked for; with dynamic tracking the live token.
 * ClientSecurityQos must be in kernel memory (capture a user's first). The level may not exceed the thread's own.
 * Owns    the context holds a reference of its own until SeDeleteClientSecurity; call that once for each success. After a
 *         failure the context is zeroed and must not be deleted.
 * Status  STATUS_BAD_IMPERSONATION_LEVEL: the client is itself acting as somebody at a level that cannot be passed on.
 *         STATUS_INVALID_PARAMETER: the level is not one. STATUS_INSUFFICIENT_RESOURCES, STATUS_QUOTA_EXCEEDED,
 *         STATUS_NO_SUCH_LOGON_SESSION: the copy could not be made.
 */
_Must_inspect_result_ _IRQL_requires_max_(PASSIVE_LEVEL) NTKERNELAPI NTSTATUS NTAPI SeCreateClientSecurity(
    _In_ PETHREAD ClientThread, _In_ PSECURITY_QUALITY_OF_SERVICE ClientSecurityQos, _In_ BOOLEAN ServerIsRemote,
    _Out_ PSECURITY_CLIENT_CONTEXT ClientContext);

/*
 * SeCreateClientSecurityFromSubjectContext: the same, of tokens that were captured earlier.
 *
 * Reads the fields of SubjectContext as they are now. A subject context does not say whether its thread was limited to what
 * is enabled (EffectiveOnly): set that in the quality of service if it must hold.
 * Owns    as SeCreateClientSecurity; the subject context keeps its own references.
 * Status  as SeCreateClientSecurity.
 */
_Must_inspect_result_ _IRQL_requires_max_(PASSIVE_LEVEL) NTKERNELAPI NTSTATUS NTAPI
SeCreateClientSecurityFromSubjectContext(_In_ PSECURITY_SUBJECT_CONTEXT SubjectContext,
                                         _In_ PSECURITY_QUALITY_OF_SERVICE ClientSecurityQos, _In_ BOOLEAN ServerIsRemote,
                                         _Out_ PSECURITY_CLIENT_CONTEXT ClientContext);

/*
 * SeDeleteClientSecurity: gives back what a client context holds. Threads that act as the client go on doing so, because
 * each has a reference of its own. The storage stays the caller's. A macro in kits, here a function and a macro of it.
 */
_IRQL_requires_max_(PASSIVE_LEVEL) NTKERNELAPI VOID NTAPI SeDeleteClientSecurity(_Inout_ PSECURITY_CLIENT_CONTEXT ClientContext);
#define SeDeleteClientSecurity(ClientContext) SeDeleteClientSecurity(ClientContext)

/*
 * SeImpersonateClientEx: lets a thread act as a recorded client; ServerThread NULL is the calling thread.
 *
 * SUCCESS DOES NOT MEAN THAT THE LEVEL ASKED FOR WAS REACHED: a server that may not act as this client gets the client at
 * SecurityIdentification, with which it can open nothing. The context is taken to be up to date. A client context that the
 * thread acted as before is dropped, not stacked.
 * Owns    the thread takes a reference of its own; the context keeps its.
 * Status  STATUS_ACCESS_DENIED: the thread's job forbids this token. STATUS_NO_MEMORY. On failure the thread acts as whom it
 *         acted before: do not go on working for the client.
 */
_Must_inspect_result_ _IRQL_requires_max_(PASSIVE_LEVEL) NTKERNELAPI NTSTATUS NTAPI
SeImpersonateClientEx(_In_ PSECURITY_CLIENT_CONTEXT ClientContext, _In_opt_ PETHREAD ServerThread);

/* SeImpersonateClient: the same without a status. A failure cannot be seen, and what follows then runs as the server. */
__attribute__((deprecated("its failure cannot be seen; use SeImpersonateClientEx"))) _IRQL_requires_max_(PASSIVE_LEVEL)
NTKERNELAPI VOID NTAPI SeImpersonateClient(_In_ PSECURITY_CLIENT_CONTEXT ClientContext, _In_opt_ PETHREAD ServerThread);

/*
 * SeStopImpersonatingClient: ends all impersonation of the calling thread. Harmless when there is none. A macro over
 * PsRevertToSelf in kits, here a function and a macro of it. Deletes no client context.
 */
_IRQL_requires_max_(PASSIVE_LEVEL) NTKERNELAPI VOID NTAPI SeStopImpersonatingClient(VOID);
#define SeStopImpersonatingClient() SeStopImpersonatingClient()

/*
 * PsImpersonateClient: lets a thread act as a token, at a level; Token NULL ends the thread's impersonation.
 *
 * As with SeImpersonateClientEx, success may mean SecurityIdentification. To nest, save with PsReferenceImpersonationToken
 * first and impersonate the saved token again afterwards; that can fail too, and then PsRevertToSelf is what is left.
 * Owns    the thread takes a reference; the caller keeps its own.
 * Status  STATUS_ACCESS_DENIED, STATUS_NO_MEMORY, and those of making a copy.
 */
_Must_inspect_result_ _IRQL_requires_max_(PASSIVE_LEVEL) NTKERNELAPI NTSTATUS NTAPI
PsImpersonateClient(_Inout_ PETHREAD Thread, _In_opt_ PACCESS_TOKEN Token, _In_ BOOLEAN CopyOnOpen, _In_ BOOLEAN EffectiveOnly,
                    _In_ SECURITY_IMPERSONATION_LEVEL ImpersonationLevel);

/* PsRevertThreadToSelf: ends all impersonation of a thread. Never fails. */
_IRQL_requires_max_(PASSIVE_LEVEL) NTKERNELAPI VOID NTAPI PsRevertThreadToSelf(_In_ PETHREAD Thread);

/* PsIsThreadImpersonating: whether a thread acts as somebody, at whatever level. */
_IRQL_requires_max_(PASSIVE_LEVEL) NTKERNELAPI BOOLEAN NTAPI PsIsThreadImpersonating(_In_ PETHREAD Thread);

/* PsRevertToSelf: ends all impersonation of the calling thread. Never fails. */
_IRQL_requires_max_(PASSIVE_LEVEL) NTKERNELAPI VOID NTAPI PsRevertToSelf(VOID);

/*
 * PsAssignImpersonationToken: lets a thread act as the token behind a handle; NULL ends its impersonation.
 * Status  STATUS_INVALID_HANDLE, STATUS_OBJECT_TYPE_MISMATCH, STATUS_ACCESS_DENIED: the handle is not a token's or lacks
 *         TOKEN_IMPERSONATE. STATUS_BAD_TOKEN_TYPE: a primary token. Those of PsImpersonateClient.
 */
_Must_inspect_result_ _IRQL_requires_max_(PASSIVE_LEVEL) NTKERNELAPI NTSTATUS NTAPI
PsAssignImpersonationToken(_In_ PETHREAD Thread, _In_opt_ HANDLE Token);

/*
 * PsDisableImpersonation: takes the impersonation off a thread and keeps it in ImpersonationState; FALSE if there was none.
 * Owns    the state holds the thread's reference: after TRUE, call PsRestoreImpersonation once, on every path.
 */
_Must_inspect_result_ _IRQL_requires_max_(PASSIVE_LEVEL) NTKERNELAPI BOOLEAN NTAPI
PsDisableImpersonation(_Inout_ PETHREAD Thread, _Out_ PSE_IMPERSONATION_STATE ImpersonationState);

/* PsRestoreImpersonation: puts back what PsDisableImpersonation took, without judging again. Only after it said TRUE. */
_IRQL_requires_max_(PASSIVE_LEVEL) NTKERNELAPI VOID NTAPI
PsRestoreImpersonation(_Inout_ PETHREAD Thread, _In_ PSE_IMPERSONATION_STATE ImpersonationState);

/*
 * PsReferenceImpersonationToken: the token a thread acts as, or NULL; then nothing is written.
 * Owns    the caller gives a token back with PsDereferenceImpersonationToken.
 */
_Must_inspect_result_ _IRQL_requires_max_(PASSIVE_LEVEL) NTKERNELAPI PACCESS_TOKEN NTAPI
PsReferenceImpersonationToken(_Inout_ PETHREAD Thread, _Out_ PBOOLEAN CopyOnOpen, _Out_ PBOOLEAN EffectiveOnly,
                              _Out_ PSECURITY_IMPERSONATION_LEVEL ImpersonationLevel);

/*
 * PsReferencePrimaryToken: the token of a process, never NULL.
 * Owns    the caller gives it back with PsDereferencePrimaryToken.
 */
_Must_inspect_result_ _IRQL_requires_max_(PASSIVE_LEVEL) NTKERNELAPI PACCESS_TOKEN NTAPI PsReferencePrimaryToken(_Inout_ PEPROCESS Process);

/*
 * PsReferenceEffectiveToken: the token a thread acts with: its impersonation token or, with TokenPrimary, its process's; then
 * EffectiveOnly is FALSE and ImpersonationLevel is not written.
 * Owns    the caller gives it back with ObDereferenceObject.
 */
_Must_inspect_result_ _IRQL_requires_max_(PASSIVE_LEVEL) NTKERNELAPI PACCESS_TOKEN NTAPI
PsReferenceEffectiveToken(_In_ PETHREAD Thread, _Out_ PTOKEN_TYPE TokenType, _Out_ PBOOLEAN EffectiveOnly,
                          _Out_ PSECURITY_IMPERSONATION_LEVEL ImpersonationLevel);

/* PsDereferenceImpersonationToken: gives one reference back; NULL is ignored. IRQL below DISPATCH_LEVEL. */
_IRQL_requires_max_(APC_LEVEL) NTKERNELAPI VOID NTAPI PsDereferenceImpersonationToken(_In_opt_ PACCESS_TOKEN ImpersonationToken);

/* PsDereferencePrimaryToken: gives one reference back. IRQL below DISPATCH_LEVEL. */
_IRQL_requires_max_(APC_LEVEL) NTKERNELAPI VOID NTAPI PsDereferencePrimaryToken(_In_ PACCESS_TOKEN PrimaryToken);

/* ------------------------------------------------------------------------------------------------- Who is asking */

/*
 * SeCaptureSubjectContext: records both tokens of the calling thread and its process.
 * Owns    the context holds references until SeReleaseSubjectContext.
 */
_IRQL_requires_max_(PASSIVE_LEVEL) NTKERNELAPI VOID NTAPI SeCaptureSubjectContext(_Out_ PSECURITY_SUBJECT_CONTEXT SubjectContext);

/* SeCaptureSubjectContextEx: the same of a thread and a process; with Thread NULL there is no client token. */
_IRQL_requires_max_(PASSIVE_LEVEL) NTKERNELAPI VOID NTAPI SeCaptureSubjectContextEx(_In_opt_ PETHREAD Thread, _In_ PEPROCESS Process,
                                                                                    _Out_ PSECURITY_SUBJECT_CONTEXT SubjectContext);

/* SeLockSubjectContext: holds both tokens as they are, for several questions that must agree. Undo with SeUnlockSubjectContext. */
_IRQL_requires_max_(PASSIVE_LEVEL) NTKERNELAPI VOID NTAPI SeLockSubjectContext(_In_ PSECURITY_SUBJECT_CONTEXT SubjectContext);

/* SeUnlockSubjectContext: ends SeLockSubjectContext. */
_IRQL_requires_max_(PASSIVE_LEVEL) NTKERNELAPI VOID NTAPI SeUnlockSubjectContext(_In_ PSECURITY_SUBJECT_CONTEXT SubjectContext);

/* SeReleaseSubjectContext: gives back both references and clears both pointers. */
_IRQL_requires_max_(PASSIVE_LEVEL) NTKERNELAPI VOID NTAPI SeReleaseSubjectContext(_Inout_ PSECURITY_SUBJECT_CONTEXT SubjectContext);

/*
 * SeQuerySubjectContextToken: the client's token if there is one, else the primary one. Not a reference of the caller's.
 * Nothing is said about the level: below SecurityImpersonation the token proves nothing. Ask SeAccessCheck or SePrivilegeCheck,
 * or look at ImpersonationLevel first.
 */
#define SeQuerySubjectContextToken(SubjectContext) vicar_query_subject_context_token(SubjectContext)
PACCESS_TOKEN vicar_query_subject_context_token(_In_ PSECURITY_SUBJECT_CONTEXT SubjectContext);

/* ------------------------------------------------------------------------------------------------- Access and privileges */

/*
 * SeAccessCheck: decides whether a captured subject may have rights on an object.
 *
 * AccessMode KernelMode grants everything that is asked for: pass the mode of whoever asked, not one's own. DesiredAccess must
 * hold no generic bits (RtlMapGenericMask first), may hold MAXIMUM_ALLOWED, and 0 answers PreviouslyGrantedAccess. A client below
 * SecurityImpersonation is refused. The subject context is locked during the check unless SubjectContextLocked says it is.
 * Owns    *Privileges, when not NULL afterwards, is freed with SeFreePrivileges.
 * Answer  TRUE with *GrantedAccess; FALSE with *AccessStatus: STATUS_ACCESS_DENIED, also for generic bits,
 *         STATUS_BAD_IMPERSONATION_LEVEL, STATUS_PRIVILEGE_NOT_HELD, STATUS_INVALID_SECURITY_DESCR; *GrantedAccess is 0 then.
 */
_Must_inspect_result_ _IRQL_requires_max_(PASSIVE_LEVEL) NTKERNELAPI BOOLEAN NTAPI SeAccessCheck(
    _In_ PSECURITY_DESCRIPTOR SecurityDescriptor, _In_ PSECURITY_SUBJECT_CONTEXT SubjectSecurityContext, _In_ BOOLEAN SubjectContextLocked,
    _In_ ACCESS_MASK DesiredAccess, _In_ ACCESS_MASK PreviouslyGrantedAccess, _Outptr_opt_ PPRIVILEGE_SET *Privileges,
    _In_ PGENERIC_MAPPING GenericMapping, _In_ KPROCESSOR_MODE AccessMode, _Out_ PACCESS_MASK GrantedAccess, _Out_ PNTSTATUS AccessStatus);

/* SeAccessCheckFromState: the same for tokens described by what TokenAccessInformation tells. */
_Must_inspect_result_ _IRQL_requires_max_(PASSIVE_LEVEL) NTKERNELAPI BOOLEAN NTAPI SeAccessCheckFromState(
    _In_ PSECURITY_DESCRIPTOR SecurityDescriptor, _In_ PTOKEN_ACCESS_INFORMATION PrimaryTokenInformation,
    _In_opt_ PTOKEN_ACCESS_INFORMATION ClientTokenInformation, _In_ ACCESS_MASK DesiredAccess, _In_ ACCESS_MASK PreviouslyGrantedAccess,
    _Outptr_opt_ PPRIVILEGE_SET *Privileges, _In_ PGENERIC_MAPPING GenericMapping, _In_ KPROCESSOR_MODE AccessMode,
    _Out_ PACCESS_MASK GrantedAccess, _Out_ PNTSTATUS AccessStatus);

/* SeAccessCheckFromStateEx: the same for two tokens. */
_Must_inspect_result_ _IRQL_requires_max_(PASSIVE_LEVEL) NTKERNELAPI BOOLEAN NTAPI SeAccessCheckFromStateEx(
    _In_ PSECURITY_DESCRIPTOR SecurityDescriptor, _In_ PACCESS_TOKEN PrimaryToken, _In_opt_ PACCESS_TOKEN ClientToken,
    _In_ ACCESS_MASK DesiredAccess, _In_ ACCESS_MASK PreviouslyGrantedAccess, _Outptr_opt_ PPRIVILEGE_SET *Privileges,
    _In_ PGENERIC_MAPPING GenericMapping, _In_ KPROCESSOR_MODE AccessMode, _Out_ PACCESS_MASK GrantedAccess, _Out_ PNTSTATUS AccessStatus);

/*
 * SePrivilegeCheck: whether a captured subject holds privileges, enabled; marks those that it uses.
 * KernelMode holds everything. A client below SecurityImpersonation holds nothing, whatever its token says.
 */
_Must_inspect_result_ _IRQL_requires_max_(PASSIVE_LEVEL) NTKERNELAPI BOOLEAN NTAPI
SePrivilegeCheck(_Inout_ PPRIVILEGE_SET RequiredPrivileges, _In_ PSECURITY_SUBJECT_CONTEXT SubjectSecurityContext, _In_ KPROCESSOR_MODE AccessMode);

/* SeSinglePrivilegeCheck: whether the calling thread holds one privilege, enabled. KernelMode holds everything. */
_Must_inspect_result_ _IRQL_requires_max_(PASSIVE_LEVEL) NTKERNELAPI BOOLEAN NTAPI SeSinglePrivilegeCheck(_In_ LUID PrivilegeValue,
                                                                                                          _In_ KPROCESSOR_MODE PreviousMode);

/*
 * SeAppendPrivileges: adds privileges to those an open has used.
 * Owns    the access state may come to hold an allocation, which SeDeleteAccessState frees.
 * Status  STATUS_INSUFFICIENT_RESOURCES.
 */
_Must_inspect_result_ _IRQL_requires_max_(PASSIVE_LEVEL) NTKERNELAPI NTSTATUS NTAPI SeAppendPrivileges(_Inout_ PACCESS_STATE AccessState,
                                                                                                       _In_ PPRIVILEGE_SET Privileges);

/* SeFreePrivileges: frees the set that SeAccessCheck returned; NULL is ignored. */
_IRQL_requires_max_(PASSIVE_LEVEL) NTKERNELAPI VOID NTAPI SeFreePrivileges(_In_ PPRIVILEGE_SET Privileges);

/*
 * SeCreateAccessState: fills an access state for the calling thread; generic bits are mapped when a mapping is given.
 * AuxData is an AUX_ACCESS_DATA of the caller's, which must last as long as the state.
 * Owns    end it with SeDeleteAccessState.
 */
_Must_inspect_result_ _IRQL_requires_max_(PASSIVE_LEVEL) NTKERNELAPI NTSTATUS NTAPI SeCreateAccessState(
    _Out_ PACCESS_STATE AccessState, _Out_ PVOID AuxData, _In_ ACCESS_MASK DesiredAccess, _In_opt_ PGENERIC_MAPPING GenericMapping);

/* SeDeleteAccessState: gives back what SeCreateAccessState took. */
_IRQL_requires_max_(PASSIVE_LEVEL) NTKERNELAPI VOID NTAPI SeDeleteAccessState(_Inout_ PACCESS_STATE AccessState);

/* SeSetAccessStateGenericMapping: records what generic rights mean for the type that is opened. */
_IRQL_requires_max_(PASSIVE_LEVEL) NTKERNELAPI VOID NTAPI SeSetAccessStateGenericMapping(_Inout_ PACCESS_STATE AccessState,
                                                                                         _In_ PGENERIC_MAPPING GenericMapping);

/* ------------------------------------------------------------------------------------------------- Tokens */

/*
 * SeFilterToken: a copy of a token that can do less: SIDs made deny-only, privileges deleted, restricting SIDs added.
 * Owns    *FilteredToken is the caller's; give it back with ObDereferenceObject.
 * Status  STATUS_INVALID_PARAMETER: unknown flag, or a restricting SID with attributes. STATUS_INVALID_SID,
 *         STATUS_INSUFFICIENT_RESOURCES. *FilteredToken is NULL then.
 */
_Must_inspect_result_ _IRQL_requires_max_(PASSIVE_LEVEL) NTKERNELAPI NTSTATUS NTAPI
SeFilterToken(_In_ PACCESS_TOKEN ExistingToken, _In_ ULONG Flags, _In_opt_ PTOKEN_GROUPS SidsToDisable,
              _In_opt_ PTOKEN_PRIVILEGES PrivilegesToDelete, _In_opt_ PTOKEN_GROUPS RestrictedSids, _Outptr_ PACCESS_TOKEN *FilteredToken);

/*
 * SeQueryInformationToken: what a token says of itself, at any level.
 * Owns    *TokenInformation is an allocation that the caller frees with ExFreePool, except for the classes whose value is a
 *         ULONG (TokenSessionId, TokenIntegrityLevel as a RID, TokenIsAppContainer...), which is stored in the pointer's place.
 * Status  STATUS_INVALID_INFO_CLASS: unknown, or not of this type of token. STATUS_INSUFFICIENT_RESOURCES.
 */
_Must_inspect_result_ _IRQL_requires_max_(PASSIVE_LEVEL) NTKERNELAPI NTSTATUS NTAPI SeQueryInformationToken(
    _In_ PACCESS_TOKEN Token, _In_ TOKEN_INFORMATION_CLASS TokenInformationClass, _Outptr_ PVOID *TokenInformation);

/* SeQueryAuthenticationIdToken: the logon session of a token, at any level: not a proof of anything by itself. */
_IRQL_requires_max_(PASSIVE_LEVEL) NTKERNELAPI NTSTATUS NTAPI SeQueryAuthenticationIdToken(_In_ PACCESS_TOKEN Token,
                                                                                           _Out_ PLUID AuthenticationId);

/* SeQuerySessionIdToken: the terminal session of a token. */
_IRQL_requires_max_(PASSIVE_LEVEL) NTKERNELAPI NTSTATUS NTAPI SeQuerySessionIdToken(_In_ PACCESS_TOKEN Token, _Out_ PULONG SessionId);

/* SeTokenType: TokenPrimary or TokenImpersonation. */
_IRQL_requires_max_(PASSIVE_LEVEL) NTKERNELAPI TOKEN_TYPE NTAPI SeTokenType(_In_ PACCESS_TOKEN Token);

/* SeTokenImpersonationLevel: the level of the token object; says nothing of a primary token, nor of a thread that wears it lower. */
_IRQL_requires_max_(PASSIVE_LEVEL) NTKERNELAPI SECURITY_IMPERSONATION_LEVEL NTAPI SeTokenImpersonationLevel(_In_ PACCESS_TOKEN Token);

/* SeTokenIsAdmin: whether the administrators' group counts in it: enabled, and not for denials only. */
_IRQL_requires_max_(PASSIVE_LEVEL) NTKERNELAPI BOOLEAN NTAPI SeTokenIsAdmin(_In_ PACCESS_TOKEN Token);

/* SeTokenIsRestricted: whether it has restricting SIDs. A token that was filtered otherwise is not "restricted". */
_IRQL_requires_max_(PASSIVE_LEVEL) NTKERNELAPI BOOLEAN NTAPI SeTokenIsRestricted(_In_ PACCESS_TOKEN Token);

/* SeTokenIsWriteRestricted: whether its restricting SIDs count for writing only. */
_IRQL_requires_max_(PASSIVE_LEVEL) NTKERNELAPI BOOLEAN NTAPI SeTokenIsWriteRestricted(_In_ PACCESS_TOKEN Token);

/* ------------------------------------------------------------------------------------------------- Logon sessions */

/*
 * SeMarkLogonSessionForTerminationNotification: has the registered routines called when this session ends.
 * Status  STATUS_NOT_FOUND: no such session.
 */
_Must_inspect_result_ _IRQL_requires_max_(PASSIVE_LEVEL) NTKERNELAPI NTSTATUS NTAPI SeMarkLogonSessionForTerminationNotification(_In_ PLUID LogonId);

/*
 * SeRegisterLogonSessionTerminatedRoutine: a routine that is called for each marked session that ends: when its last token is gone.
 * It is called on the thread that gives that token back. Registering twice makes two registrations.
 * Status  STATUS_INVALID_PARAMETER: NULL. STATUS_INSUFFICIENT_RESOURCES.
 */
_Must_inspect_result_ _IRQL_requires_max_(PASSIVE_LEVEL) NTKERNELAPI NTSTATUS NTAPI
SeRegisterLogonSessionTerminatedRoutine(_In_ PSE_LOGON_SESSION_TERMINATED_ROUTINE CallbackRoutine);

/* SeUnregisterLogonSessionTerminatedRoutine: undoes one registration. Status: STATUS_INVALID_PARAMETER, STATUS_NOT_FOUND. */
_IRQL_requires_max_(PASSIVE_LEVEL) NTKERNELAPI NTSTATUS NTAPI
SeUnregisterLogonSessionTerminatedRoutine(_In_ PSE_LOGON_SESSION_TERMINATED_ROUTINE CallbackRoutine);

/* ------------------------------------------------------------------------------------------------- Security of objects */

/*
 * SeAssignSecurity: the descriptor of a new object, from its parent's, the one its creator asks for, and the creator's token.
 *
 * Descriptors are taken in either form and answered self-relative. Inheritance does not track itself (no SE_DACL_AUTO_INHERITED).
 * Owns    *NewDescriptor is paged pool: SeDeassignSecurity frees it.
 * Status  STATUS_INVALID_OWNER, STATUS_INVALID_PRIMARY_GROUP, STATUS_PRIVILEGE_NOT_HELD: the creator asks for what its token may
 *         not give. STATUS_INVALID_SECURITY_DESCR, STATUS_INVALID_ACL, STATUS_INVALID_SID, STATUS_UNKNOWN_REVISION: a descriptor is malformed.
 *         STATUS_INSUFFICIENT_RESOURCES. *NewDescriptor is NULL then.
 */
_Must_inspect_result_ _IRQL_requires_max_(PASSIVE_LEVEL) NTKERNELAPI NTSTATUS NTAPI
SeAssignSecurity(_In_opt_ PSECURITY_DESCRIPTOR ParentDescriptor, _In_opt_ PSECURITY_DESCRIPTOR ExplicitDescriptor,
                 _Outptr_ PSECURITY_DESCRIPTOR *NewDescriptor, _In_ BOOLEAN IsDirectoryObject,
                 _In_ PSECURITY_SUBJECT_CONTEXT SubjectContext, _In_ PGENERIC_MAPPING GenericMapping, _In_ POOL_TYPE PoolType);

/* SeAssignSecurityEx: the same with a type of object for entries that only some types inherit, and SEF_ flags. */
_Must_inspect_result_ _IRQL_requires_max_(PASSIVE_LEVEL) NTKERNELAPI NTSTATUS NTAPI
SeAssignSecurityEx(_In_opt_ PSECURITY_DESCRIPTOR ParentDescriptor, _In_opt_ PSECURITY_DESCRIPTOR ExplicitDescriptor,
                   _Outptr_ PSECURITY_DESCRIPTOR *NewDescriptor, _In_opt_ GUID *ObjectType, _In_ BOOLEAN IsDirectoryObject,
                   _In_ ULONG AutoInheritFlags, _In_ PSECURITY_SUBJECT_CONTEXT SubjectContext, _In_ PGENERIC_MAPPING GenericMapping,
                   _In_ POOL_TYPE PoolType);

/* SeDeassignSecurity: frees a descriptor of SeAssignSecurity and stores NULL; a NULL descriptor is ignored. */
_IRQL_requires_max_(PASSIVE_LEVEL) NTKERNELAPI NTSTATUS NTAPI SeDeassignSecurity(_Inout_ PSECURITY_DESCRIPTOR *SecurityDescriptor);

/*
 * SeSetSecurityDescriptorInfo: replaces the named parts of an object's descriptor as the calling thread.
 *
 * The stored descriptor must be self-relative. Whether the caller may change it was decided earlier, with SeSetSecurityAccessMask.
 * Owns    on success *ObjectsSecurityDescriptor is a new allocation; the caller frees the old one.
 * Status  STATUS_NO_SECURITY_ON_OBJECT: none is stored. STATUS_BAD_DESCRIPTOR_FORMAT: the stored one is absolute.
 *         STATUS_INVALID_OWNER, STATUS_INVALID_PRIMARY_GROUP, STATUS_PRIVILEGE_NOT_HELD, STATUS_INVALID_PARAMETER, those of a
 *         malformed descriptor, STATUS_INSUFFICIENT_RESOURCES. Nothing is changed then.
 */
_Must_inspect_result_ _IRQL_requires_max_(PASSIVE_LEVEL) NTKERNELAPI NTSTATUS NTAPI
SeSetSecurityDescriptorInfo(_In_opt_ PVOID Object, _In_ PSECURITY_INFORMATION SecurityInformation,
                            _In_ PSECURITY_DESCRIPTOR ModificationDescriptor, _Inout_ PSECURITY_DESCRIPTOR *ObjectsSecurityDescriptor,
                            _In_ POOL_TYPE PoolType, _In_ PGENERIC_MAPPING GenericMapping);

/* SeSetSecurityDescriptorInfoEx: the same with SEF_ flags; SEF_DACL_AUTO_INHERIT keeps what was inherited. */
_Must_inspect_result_ _IRQL_requires_max_(PASSIVE_LEVEL) NTKERNELAPI NTSTATUS NTAPI
SeSetSecurityDescriptorInfoEx(_In_opt_ PVOID Object, _In_ PSECURITY_INFORMATION SecurityInformation,
                              _In_ PSECURITY_DESCRIPTOR ModificationDescriptor, _Inout_ PSECURITY_DESCRIPTOR *ObjectsSecurityDescriptor,
                              _In_ ULONG AutoInheritFlags, _In_ POOL_TYPE PoolType, _In_ PGENERIC_MAPPING GenericMapping);

/*
 * SeQuerySecurityDescriptorInfo: copies the named parts of a stored descriptor, self-relative, into Length bytes.
 * *Length is what is needed afterwards.
 * Status  STATUS_BUFFER_TOO_SMALL: nothing was written but *Length. STATUS_NO_SECURITY_ON_OBJECT: none is stored.
 *         STATUS_BAD_DESCRIPTOR_FORMAT: the stored one is absolute. Those of a malformed descriptor.
 */
_Must_inspect_result_ _IRQL_requires_max_(PASSIVE_LEVEL) NTKERNELAPI NTSTATUS NTAPI
SeQuerySecurityDescriptorInfo(_In_ PSECURITY_INFORMATION SecurityInformation, _Out_ PSECURITY_DESCRIPTOR SecurityDescriptor,
                              _Inout_ PULONG Length, _Inout_ PSECURITY_DESCRIPTOR *ObjectsSecurityDescriptor);

/*
 * SeValidSecurityDescriptor: whether Length bytes hold a self-relative descriptor that is safe to read and has an owner.
 * Alignment of 4 is demanded of the parts.
 */
_Must_inspect_result_ _IRQL_requires_max_(PASSIVE_LEVEL) NTKERNELAPI BOOLEAN NTAPI SeValidSecurityDescriptor(_In_ ULONG Length,
                                                                                                            _In_ PSECURITY_DESCRIPTOR SecurityDescriptor);

/* SeQuerySecurityAccessMask: the rights one needs to query these parts of a descriptor. */
_IRQL_requires_max_(APC_LEVEL) NTKERNELAPI VOID NTAPI SeQuerySecurityAccessMask(_In_ SECURITY_INFORMATION SecurityInformation,
                                                                                _Out_ PACCESS_MASK DesiredAccess);

/* SeSetSecurityAccessMask: the rights one needs to set these parts of a descriptor. */
_IRQL_requires_max_(APC_LEVEL) NTKERNELAPI VOID NTAPI SeSetSecurityAccessMask(_In_ SECURITY_INFORMATION SecurityInformation,
                                                                              _Out_ PACCESS_MASK DesiredAccess);

/* ------------------------------------------------------------------------------------------------- Threads and processes */

/* PsGetCurrentThread: the calling thread; not a reference. */
_IRQL_requires_max_(DISPATCH_LEVEL) NTKERNELAPI PETHREAD NTAPI PsGetCurrentThread(VOID);

/* PsGetCurrentThreadId: its id. */
_IRQL_requires_max_(DISPATCH_LEVEL) NTKERNELAPI HANDLE NTAPI PsGetCurrentThreadId(VOID);

/* PsGetCurrentProcess: the process of the calling thread; not a reference. */
_IRQL_requires_max_(DISPATCH_LEVEL) NTKERNELAPI PEPROCESS NTAPI PsGetCurrentProcess(VOID);

/* PsGetCurrentProcessId: its id. */
_IRQL_requires_max_(DISPATCH_LEVEL) NTKERNELAPI HANDLE NTAPI PsGetCurrentProcessId(VOID);

/* PsGetThreadId: the id of a thread. */
_IRQL_requires_max_(DISPATCH_LEVEL) NTKERNELAPI HANDLE NTAPI PsGetThreadId(_In_ PETHREAD Thread);

/* PsGetProcessId: the id of a process. */
_IRQL_requires_max_(DISPATCH_LEVEL) NTKERNELAPI HANDLE NTAPI PsGetProcessId(_In_ PEPROCESS Process);

/*
 * PsLookupThreadByThreadId: the thread with an id.
 * Owns    the caller gives *Thread back with ObDereferenceObject.
 * Status  STATUS_INVALID_PARAMETER: there is none; *Thread is NULL then.
 */
_Must_inspect_result_ _IRQL_requires_max_(APC_LEVEL) NTKERNELAPI NTSTATUS NTAPI PsLookupThreadByThreadId(_In_ HANDLE ThreadId,
                                                                                                         _Outptr_ PETHREAD *Thread);

/* PsLookupProcessByProcessId: the process with an id. Owns and Status as PsLookupThreadByThreadId. */
_Must_inspect_result_ _IRQL_requires_max_(APC_LEVEL) NTKERNELAPI NTSTATUS NTAPI PsLookupProcessByProcessId(_In_ HANDLE ProcessId,
                                                                                                           _Outptr_ PEPROCESS *Process);

/* PsIsSystemThread: whether a thread belongs to the system process. */
_IRQL_requires_max_(DISPATCH_LEVEL) NTKERNELAPI BOOLEAN NTAPI PsIsSystemThread(_In_ PETHREAD Thread);

/*
 * PsCreateSystemThread: starts a thread of the system process, or of the process behind ProcessHandle.
 * Owns    the caller closes *ThreadHandle with ZwClose. The thread ends by returning or by PsTerminateSystemThread.
 * Status  STATUS_INVALID_PARAMETER, STATUS_INVALID_HANDLE, STATUS_INSUFFICIENT_RESOURCES.
 */
_Must_inspect_result_ _IRQL_requires_max_(PASSIVE_LEVEL) NTKERNELAPI NTSTATUS NTAPI
PsCreateSystemThread(_Out_ PHANDLE ThreadHandle, _In_ ULONG DesiredAccess, _In_opt_ POBJECT_ATTRIBUTES ObjectAttributes,
                     _In_opt_ HANDLE ProcessHandle, _Out_opt_ PCLIENT_ID ClientId, _In_ PKSTART_ROUTINE StartRoutine,
                     _In_opt_ PVOID StartContext);

/* PsTerminateSystemThread: ends the calling system thread and does not return. Status: STATUS_INVALID_PARAMETER from any other. */
_IRQL_requires_max_(PASSIVE_LEVEL) NTKERNELAPI NTSTATUS NTAPI PsTerminateSystemThread(_In_ NTSTATUS ExitStatus);

/* IoThreadToProcess: the process of a thread; not a reference. */
_IRQL_requires_max_(DISPATCH_LEVEL) NTKERNELAPI PEPROCESS NTAPI IoThreadToProcess(_In_ PETHREAD Thread);

/* IoGetRequestorProcess: the process of the thread in Irp->Tail.Overlay.Thread, or NULL; not a reference. */
_IRQL_requires_max_(DISPATCH_LEVEL) NTKERNELAPI PEPROCESS NTAPI IoGetRequestorProcess(_In_ PIRP Irp);

/* ------------------------------------------------------------------------------------------------- Objects and handles */

/* ObfReferenceObject: takes one more reference. The result is reserved: not 0 when there is such an object. */
_IRQL_requires_max_(DISPATCH_LEVEL) NTKERNELAPI LONG_PTR FASTCALL ObfReferenceObject(_In_ PVOID Object);
#define ObReferenceObject(Object) ObfReferenceObject(Object)

/* ObfDereferenceObject: gives one reference back; the last one ends the object. The result is reserved. */
_IRQL_requires_max_(DISPATCH_LEVEL) NTKERNELAPI LONG_PTR FASTCALL ObfDereferenceObject(_In_ PVOID Object);
#define ObDereferenceObject(Object) ObfDereferenceObject(Object)

/*
 * ObReferenceObjectByHandle: the object behind a handle.
 * Rights and type are checked for UserMode; KernelMode with the type given still checks the type.
 * Owns    the caller gives *Object back with ObDereferenceObject.
 * Status  STATUS_INVALID_HANDLE, STATUS_OBJECT_TYPE_MISMATCH, STATUS_ACCESS_DENIED; *Object is NULL then.
 */
_Must_inspect_result_ _IRQL_requires_max_(PASSIVE_LEVEL) NTKERNELAPI NTSTATUS NTAPI
ObReferenceObjectByHandle(_In_ HANDLE Handle, _In_ ACCESS_MASK DesiredAccess, _In_opt_ POBJECT_TYPE ObjectType,
                          _In_ KPROCESSOR_MODE AccessMode, _Outptr_ PVOID *Object, _Out_opt_ POBJECT_HANDLE_INFORMATION HandleInformation);

/*
 * ObReferenceObjectByPointer: takes one more reference to an object of a type.
 * Status  STATUS_OBJECT_TYPE_MISMATCH.
 */
_Must_inspect_result_ _IRQL_requires_max_(DISPATCH_LEVEL) NTKERNELAPI NTSTATUS NTAPI ObReferenceObjectByPointer(
    _In_ PVOID Object, _In_ ACCESS_MASK DesiredAccess, _In_opt_ POBJECT_TYPE ObjectType, _In_ KPROCESSOR_MODE AccessMode);

/*
 * ObOpenObjectByPointer: a handle to an object.
 * UserMode checks the calling thread against the object's descriptor. PassedAccessState must be NULL.
 * Owns    the caller closes *Handle with ZwClose.
 * Status  STATUS_OBJECT_TYPE_MISMATCH, STATUS_ACCESS_DENIED, STATUS_BAD_IMPERSONATION_LEVEL, STATUS_INSUFFICIENT_RESOURCES.
 */
_Must_inspect_result_ _IRQL_requires_max_(PASSIVE_LEVEL) NTKERNELAPI NTSTATUS NTAPI
ObOpenObjectByPointer(_In_ PVOID Object, _In_ ULONG HandleAttributes, _In_opt_ PACCESS_STATE PassedAccessState, _In_ ACCESS_MASK DesiredAccess,
                      _In_opt_ POBJECT_TYPE ObjectType, _In_ KPROCESSOR_MODE AccessMode, _Out_ PHANDLE Handle);

/* ZwClose: closes a handle. Status: STATUS_INVALID_HANDLE. */
_IRQL_requires_max_(PASSIVE_LEVEL) NTSYSAPI NTSTATUS NTAPI ZwClose(_In_ HANDLE Handle);

/*
 * A Zw routine is the kernel's own call. The Nt routine of the same name is for whoever ExGetPreviousMode names: for UserMode handles,
 * pointers and rights are checked as a program's, and a handle made with OBJ_KERNEL_HANDLE is none.
 */
_IRQL_requires_max_(PASSIVE_LEVEL) NTSYSCALLAPI NTSTATUS NTAPI NtClose(_In_ HANDLE Handle);

/* ExGetPreviousMode: whose request the calling thread works on. */
_IRQL_requires_max_(PASSIVE_LEVEL) NTKERNELAPI KPROCESSOR_MODE NTAPI ExGetPreviousMode(VOID);

/* The handles that mean the calling thread and its process. */
#define NtCurrentProcess() ((HANDLE)(LONG_PTR)-1)
#define ZwCurrentProcess() NtCurrentProcess()
#define NtCurrentThread() ((HANDLE)(LONG_PTR)-2)
#define ZwCurrentThread() NtCurrentThread()

/*
 * ZwOpenThreadTokenEx: the token that a thread acts as. Zw: the caller is the kernel, and asks for OBJ_KERNEL_HANDLE unless it runs in
 * the system's process.
 * Owns    the caller closes *TokenHandle with ZwClose.
 * Status  STATUS_NO_TOKEN: the thread is not impersonating. STATUS_CANT_OPEN_ANONYMOUS: its level is anonymous.
 *         STATUS_INVALID_PARAMETER: the handle would be a user's. STATUS_ACCESS_VIOLATION, STATUS_DATATYPE_MISALIGNMENT, STATUS_ACCESS_DENIED, STATUS_INVALID_HANDLE, STATUS_OBJECT_TYPE_MISMATCH, and those of making a copy.
 */
_Must_inspect_result_ _IRQL_requires_max_(PASSIVE_LEVEL) NTSYSAPI NTSTATUS NTAPI
ZwOpenThreadTokenEx(_In_ HANDLE ThreadHandle, _In_ ACCESS_MASK DesiredAccess, _In_ BOOLEAN OpenAsSelf, _In_ ULONG HandleAttributes,
                    _Out_ PHANDLE TokenHandle);

_Must_inspect_result_ _IRQL_requires_max_(PASSIVE_LEVEL) NTSYSCALLAPI NTSTATUS NTAPI
NtOpenThreadTokenEx(_In_ HANDLE ThreadHandle, _In_ ACCESS_MASK DesiredAccess, _In_ BOOLEAN OpenAsSelf, _In_ ULONG HandleAttributes,
                    _Out_ PHANDLE TokenHandle);

/* ZwOpenThreadToken: the same without attributes; the handle is the calling process's, and for Zw that must be the system's. */
_Must_inspect_result_ _IRQL_requires_max_(PASSIVE_LEVEL) NTSYSAPI NTSTATUS NTAPI ZwOpenThreadToken(
    _In_ HANDLE ThreadHandle, _In_ ACCESS_MASK DesiredAccess, _In_ BOOLEAN OpenAsSelf, _Out_ PHANDLE TokenHandle);
_Must_inspect_result_ _IRQL_requires_max_(PASSIVE_LEVEL) NTSYSCALLAPI NTSTATUS NTAPI NtOpenThreadToken(
    _In_ HANDLE ThreadHandle, _In_ ACCESS_MASK DesiredAccess, _In_ BOOLEAN OpenAsSelf, _Out_ PHANDLE TokenHandle);

/* ZwOpenProcessTokenEx: the primary token of a process. Owns and Status as ZwOpenThreadTokenEx. */
_Must_inspect_result_ _IRQL_requires_max_(PASSIVE_LEVEL) NTSYSAPI NTSTATUS NTAPI
ZwOpenProcessTokenEx(_In_ HANDLE ProcessHandle, _In_ ACCESS_MASK DesiredAccess, _In_ ULONG HandleAttributes, _Out_ PHANDLE TokenHandle);

_Must_inspect_result_ _IRQL_requires_max_(PASSIVE_LEVEL) NTSYSCALLAPI NTSTATUS NTAPI
NtOpenProcessTokenEx(_In_ HANDLE ProcessHandle, _In_ ACCESS_MASK DesiredAccess, _In_ ULONG HandleAttributes, _Out_ PHANDLE TokenHandle);

/* ZwOpenProcessToken: the same without attributes, as ZwOpenThreadToken. */
_Must_inspect_result_ _IRQL_requires_max_(PASSIVE_LEVEL) NTSYSAPI NTSTATUS NTAPI ZwOpenProcessToken(
    _In_ HANDLE ProcessHandle, _In_ ACCESS_MASK DesiredAccess, _Out_ PHANDLE TokenHandle);
_Must_inspect_result_ _IRQL_requires_max_(PASSIVE_LEVEL) NTSYSCALLAPI NTSTATUS NTAPI NtOpenProcessToken(
    _In_ HANDLE ProcessHandle, _In_ ACCESS_MASK DesiredAccess, _Out_ PHANDLE TokenHandle);

/*
 * ZwDuplicateToken: another token of the same identity. The level comes from the quality of service in ObjectAttributes. Who may open
 * it is said by the descriptor there, of either form: what that leaves out is the owner, group and default access list of whoever the
 * calling thread acts as. Without one it is the user, the system and the administrators.
 * Owns    the caller closes *NewTokenHandle with ZwClose.
 * Status  STATUS_INVALID_PARAMETER: no such type, or a length that is not the structure's. STATUS_BAD_IMPERSONATION_LEVEL: it would be
 *         higher than the source's. STATUS_ACCESS_DENIED, STATUS_INVALID_HANDLE, STATUS_INSUFFICIENT_RESOURCES. Of the descriptor:
 *         STATUS_INVALID_SECURITY_DESCR and what else a malformed one is answered with; for a user STATUS_INVALID_OWNER, and
 *         STATUS_PRIVILEGE_NOT_HELD for audit entries and for a label above the maker's level.
 */
_Must_inspect_result_ _IRQL_requires_max_(PASSIVE_LEVEL) NTSYSAPI NTSTATUS NTAPI
ZwDuplicateToken(_In_ HANDLE ExistingTokenHandle, _In_ ACCESS_MASK DesiredAccess, _In_opt_ POBJECT_ATTRIBUTES ObjectAttributes,
                 _In_ BOOLEAN EffectiveOnly, _In_ TOKEN_TYPE Type, _Out_ PHANDLE NewTokenHandle);

_Must_inspect_result_ _IRQL_requires_max_(PASSIVE_LEVEL) NTSYSCALLAPI NTSTATUS NTAPI
NtDuplicateToken(_In_ HANDLE ExistingTokenHandle, _In_ ACCESS_MASK DesiredAccess, _In_opt_ POBJECT_ATTRIBUTES ObjectAttributes,
                 _In_ BOOLEAN EffectiveOnly, _In_ TOKEN_TYPE Type, _Out_ PHANDLE NewTokenHandle);

/*
 * ZwQueryInformationToken: what a token says of itself, into the caller's buffer. TokenSource needs TOKEN_QUERY_SOURCE, all else
 * TOKEN_QUERY.
 * Status  STATUS_BUFFER_TOO_SMALL with *ReturnLength, STATUS_INVALID_INFO_CLASS, STATUS_ACCESS_DENIED, STATUS_INVALID_HANDLE.
 */
_Must_inspect_result_ _IRQL_requires_max_(PASSIVE_LEVEL) NTSYSAPI NTSTATUS NTAPI
ZwQueryInformationToken(_In_ HANDLE TokenHandle, _In_ TOKEN_INFORMATION_CLASS TokenInformationClass, _Out_ PVOID TokenInformation,
                        _In_ ULONG TokenInformationLength, _Out_ PULONG ReturnLength);

_Must_inspect_result_ _IRQL_requires_max_(PASSIVE_LEVEL) NTSYSCALLAPI NTSTATUS NTAPI
NtQueryInformationToken(_In_ HANDLE TokenHandle, _In_ TOKEN_INFORMATION_CLASS TokenInformationClass, _Out_ PVOID TokenInformation,
                        _In_ ULONG TokenInformationLength, _Out_ PULONG ReturnLength);

/*
 * ZwSetInformationToken: TokenOwner, TokenPrimaryGroup, TokenDefaultDacl (NULL takes it away), TokenIntegrityLevel, TokenSessionId,
 * TokenOrigin, TokenMandatoryPolicy and TokenLinkedToken; all else can only be read. A user's handle needs TOKEN_ADJUST_DEFAULT, for the
 * session TOKEN_ADJUST_SESSIONID. Session, origin, policy and a higher integrity level take SeTcbPrivilege of the user's process, the
 * linked token SeCreateTokenPrivilege.
 * Status  STATUS_INVALID_INFO_CLASS, STATUS_INFO_LENGTH_MISMATCH: too short. STATUS_INVALID_OWNER, STATUS_INVALID_PRIMARY_GROUP: the SID
 *         is not the token's to use. STATUS_ALLOTTED_SPACE_EXCEEDED: a longer list than a token takes. STATUS_PRIVILEGE_NOT_HELD,
 *         STATUS_ACCESS_DENIED, STATUS_INVALID_HANDLE, STATUS_INVALID_SID, STATUS_INVALID_ACL, STATUS_INVALID_LABEL,
 *         STATUS_INVALID_PARAMETER, STATUS_INSUFFICIENT_RESOURCES. The token is unchanged then.
 */
_Must_inspect_result_ _IRQL_requires_max_(PASSIVE_LEVEL) NTSYSAPI NTSTATUS NTAPI ZwSetInformationToken(
    _In_ HANDLE TokenHandle, _In_ TOKEN_INFORMATION_CLASS TokenInformationClass, _In_reads_bytes_(TokenInformationLength) PVOID TokenInformation,
    _In_ ULONG TokenInformationLength);
_Must_inspect_result_ _IRQL_requires_max_(PASSIVE_LEVEL) NTSYSCALLAPI NTSTATUS NTAPI NtSetInformationToken(
    _In_ HANDLE TokenHandle, _In_ TOKEN_INFORMATION_CLASS TokenInformationClass, _In_reads_bytes_(TokenInformationLength) PVOID TokenInformation,
    _In_ ULONG TokenInformationLength);

/*
 * ZwAdjustPrivilegesToken: enables (SE_PRIVILEGE_ENABLED), disables (0) and removes (SE_PRIVILEGE_REMOVED, for good) privileges, or disables
 * all. PreviousState gets those that change, as they were, and *ReturnLength their bytes. A user's handle needs TOKEN_ADJUST_PRIVILEGES,
 * with PreviousState TOKEN_QUERY too.
 * Status  STATUS_NOT_ALL_ASSIGNED, a success: some are not there or may not be enabled; the rest is done. STATUS_BUFFER_TOO_SMALL with
 *         *ReturnLength: nothing is done. STATUS_INVALID_PARAMETER: neither a list nor all. STATUS_ACCESS_DENIED, STATUS_INVALID_HANDLE,
 *         STATUS_ACCESS_VIOLATION, STATUS_DATATYPE_MISALIGNMENT. *ReturnLength is 0 where nothing else is said.
 */
_Must_inspect_result_ _IRQL_requires_max_(PASSIVE_LEVEL) NTSYSAPI NTSTATUS NTAPI ZwAdjustPrivilegesToken(
    _In_ HANDLE TokenHandle, _In_ BOOLEAN DisableAllPrivileges, _In_opt_ PTOKEN_PRIVILEGES NewState, _In_ ULONG BufferLength,
    _Out_writes_bytes_to_opt_(BufferLength, *ReturnLength) PTOKEN_PRIVILEGES PreviousState, _When_(PreviousState != NULL, _Out_) PULONG ReturnLength);
_Must_inspect_result_ _IRQL_requires_max_(PASSIVE_LEVEL) NTSYSCALLAPI NTSTATUS NTAPI NtAdjustPrivilegesToken(
    _In_ HANDLE TokenHandle, _In_ BOOLEAN DisableAllPrivileges, _In_opt_ PTOKEN_PRIVILEGES NewState, _In_ ULONG BufferLength,
    _Out_writes_bytes_to_opt_(BufferLength, *ReturnLength) PTOKEN_PRIVILEGES PreviousState, _When_(PreviousState != NULL, _Out_) PULONG ReturnLength);

/*
 * ZwAdjustGroupsToken: enables (SE_GROUP_ENABLED) and disables groups, all of a list or none, or puts all back to what they were when the
 * token was made. The rest as ZwAdjustPrivilegesToken, with TOKEN_ADJUST_GROUPS.
 * Status  STATUS_NOT_ALL_ASSIGNED, a success: the token lacks some; the user counts as such. STATUS_CANT_DISABLE_MANDATORY,
 *         STATUS_CANT_ENABLE_DENY_ONLY, STATUS_INVALID_SID and those of ZwAdjustPrivilegesToken: nothing is done.
 */
_Must_inspect_result_ _IRQL_requires_max_(PASSIVE_LEVEL) NTSYSAPI NTSTATUS NTAPI ZwAdjustGroupsToken(
    _In_ HANDLE TokenHandle, _In_ BOOLEAN ResetToDefault, _In_opt_ PTOKEN_GROUPS NewState, _In_ ULONG BufferLength,
    _Out_writes_bytes_to_opt_(BufferLength, *ReturnLength) PTOKEN_GROUPS PreviousState, _When_(PreviousState != NULL, _Out_) PULONG ReturnLength);
_Must_inspect_result_ _IRQL_requires_max_(PASSIVE_LEVEL) NTSYSCALLAPI NTSTATUS NTAPI NtAdjustGroupsToken(
    _In_ HANDLE TokenHandle, _In_ BOOLEAN ResetToDefault, _In_opt_ PTOKEN_GROUPS NewState, _In_ ULONG BufferLength,
    _Out_writes_bytes_to_opt_(BufferLength, *ReturnLength) PTOKEN_GROUPS PreviousState, _When_(PreviousState != NULL, _Out_) PULONG ReturnLength);

/*
 * ZwFilterToken: as SeFilterToken, by handle. The new handle is the calling process's and has the rights of the old one, of which a user's
 * must have TOKEN_DUPLICATE.
 * Owns    the caller closes *NewTokenHandle with ZwClose.
 * Status  STATUS_ACCESS_DENIED, STATUS_INVALID_HANDLE, STATUS_ACCESS_VIOLATION, STATUS_DATATYPE_MISALIGNMENT and those of SeFilterToken.
 *         *NewTokenHandle is NULL then.
 */
_Must_inspect_result_ _IRQL_requires_max_(PASSIVE_LEVEL) NTSYSAPI NTSTATUS NTAPI ZwFilterToken(
    _In_ HANDLE ExistingTokenHandle, _In_ ULONG Flags, _In_opt_ PTOKEN_GROUPS SidsToDisable, _In_opt_ PTOKEN_PRIVILEGES PrivilegesToDelete,
    _In_opt_ PTOKEN_GROUPS RestrictedSids, _Out_ PHANDLE NewTokenHandle);
_Must_inspect_result_ _IRQL_requires_max_(PASSIVE_LEVEL) NTSYSCALLAPI NTSTATUS NTAPI NtFilterToken(
    _In_ HANDLE ExistingTokenHandle, _In_ ULONG Flags, _In_opt_ PTOKEN_GROUPS SidsToDisable, _In_opt_ PTOKEN_PRIVILEGES PrivilegesToDelete,
    _In_opt_ PTOKEN_GROUPS RestrictedSids, _Out_ PHANDLE NewTokenHandle);

/*
 * ZwCompareTokens: whether two tokens are judged alike: the same SIDs, restriction, restricting SIDs and privileges, enabled or not; level
 * and type are not compared. A user's handles need TOKEN_QUERY.
 * Status  STATUS_ACCESS_DENIED, STATUS_INVALID_HANDLE, STATUS_OBJECT_TYPE_MISMATCH; *Equal is FALSE then.
 */
_Must_inspect_result_ _IRQL_requires_max_(PASSIVE_LEVEL) NTSYSAPI NTSTATUS NTAPI ZwCompareTokens(
    _In_ HANDLE FirstTokenHandle, _In_ HANDLE SecondTokenHandle, _Out_ PBOOLEAN Equal);
_Must_inspect_result_ _IRQL_requires_max_(PASSIVE_LEVEL) NTSYSCALLAPI NTSTATUS NTAPI NtCompareTokens(
    _In_ HANDLE FirstTokenHandle, _In_ HANDLE SecondTokenHandle, _Out_ PBOOLEAN Equal);

/*
 * ZwPrivilegeCheck: whether a token, of either type, has all privileges of a set in force, or any one (Control); those it has are marked
 * SE_PRIVILEGE_USED_FOR_ACCESS. The token is asked whoever calls. A user's handle needs TOKEN_QUERY.
 * Status  STATUS_BAD_IMPERSONATION_LEVEL: it is at level Anonymous. STATUS_INVALID_PARAMETER: far more than there are.
 *         STATUS_ACCESS_DENIED, STATUS_INVALID_HANDLE, STATUS_ACCESS_VIOLATION, STATUS_DATATYPE_MISALIGNMENT; *Result is FALSE then.
 */
_Must_inspect_result_ _IRQL_requires_max_(PASSIVE_LEVEL) NTSYSAPI NTSTATUS NTAPI ZwPrivilegeCheck(
    _In_ HANDLE ClientToken, _Inout_ PPRIVILEGE_SET RequiredPrivileges, _Out_ PBOOLEAN Result);
_Must_inspect_result_ _IRQL_requires_max_(PASSIVE_LEVEL) NTSYSCALLAPI NTSTATUS NTAPI NtPrivilegeCheck(
    _In_ HANDLE ClientToken, _Inout_ PPRIVILEGE_SET RequiredPrivileges, _Out_ PBOOLEAN Result);

/*
 * ZwAccessCheck: access to an object of the caller's for the token of a client: an impersonation token of level Identification or above. The
 * token decides whoever calls. A user's handle needs TOKEN_QUERY.
 * Answer  STATUS_SUCCESS: *AccessStatus says whether all of DesiredAccess is granted, *GrantedAccess what is, *PrivilegeSet by which
 *         privileges; all zero for none.
 * Status  STATUS_GENERIC_NOT_MAPPED, STATUS_NO_IMPERSONATION_TOKEN: a primary token. STATUS_BAD_IMPERSONATION_LEVEL,
 *         STATUS_BUFFER_TOO_SMALL with *PrivilegeSetLength, at least sizeof(PRIVILEGE_SET). STATUS_INVALID_SECURITY_DESCR: malformed, or
 *         without owner or group. STATUS_ACCESS_DENIED, STATUS_INVALID_HANDLE, STATUS_ACCESS_VIOLATION, STATUS_DATATYPE_MISALIGNMENT.
 *         *GrantedAccess is 0 then and *AccessStatus the same status, where Windows leaves both alone.
 */
_Must_inspect_result_ _IRQL_requires_max_(PASSIVE_LEVEL) NTSYSAPI NTSTATUS NTAPI ZwAccessCheck(
    _In_ PSECURITY_DESCRIPTOR SecurityDescriptor, _In_ HANDLE ClientToken, _In_ ACCESS_MASK DesiredAccess, _In_ PGENERIC_MAPPING GenericMapping,
    _Out_writes_bytes_(*PrivilegeSetLength) PPRIVILEGE_SET PrivilegeSet, _Inout_ PULONG PrivilegeSetLength, _Out_ PACCESS_MASK GrantedAccess, _Out_ PNTSTATUS AccessStatus);
_Must_inspect_result_ _IRQL_requires_max_(PASSIVE_LEVEL) NTSYSCALLAPI NTSTATUS NTAPI NtAccessCheck(
    _In_ PSECURITY_DESCRIPTOR SecurityDescriptor, _In_ HANDLE ClientToken, _In_ ACCESS_MASK DesiredAccess, _In_ PGENERIC_MAPPING GenericMapping,
    _Out_writes_bytes_(*PrivilegeSetLength) PPRIVILEGE_SET PrivilegeSet, _Inout_ PULONG PrivilegeSetLength, _Out_ PACCESS_MASK GrantedAccess, _Out_ PNTSTATUS AccessStatus);

/*
 * ZwAccessCheckByType: the same for types and properties of an object, which may be a principal; the answer is that of the first type.
 * Status  STATUS_INVALID_PARAMETER: the types are no tree. STATUS_INVALID_SID.
 */
_Must_inspect_result_ _IRQL_requires_max_(PASSIVE_LEVEL) NTSYSAPI NTSTATUS NTAPI ZwAccessCheckByType(
    _In_ PSECURITY_DESCRIPTOR SecurityDescriptor, _In_opt_ PSID PrincipalSelfSid, _In_ HANDLE ClientToken, _In_ ACCESS_MASK DesiredAccess,
    _In_reads_opt_(ObjectTypeListLength) POBJECT_TYPE_LIST ObjectTypeList, _In_ ULONG ObjectTypeListLength, _In_ PGENERIC_MAPPING GenericMapping,
    _Out_writes_bytes_(*PrivilegeSetLength) PPRIVILEGE_SET PrivilegeSet, _Inout_ PULONG PrivilegeSetLength, _Out_ PACCESS_MASK GrantedAccess, _Out_ PNTSTATUS AccessStatus);
_Must_inspect_result_ _IRQL_requires_max_(PASSIVE_LEVEL) NTSYSCALLAPI NTSTATUS NTAPI NtAccessCheckByType(
    _In_ PSECURITY_DESCRIPTOR SecurityDescriptor, _In_opt_ PSID PrincipalSelfSid, _In_ HANDLE ClientToken, _In_ ACCESS_MASK DesiredAccess,
    _In_reads_opt_(ObjectTypeListLength) POBJECT_TYPE_LIST ObjectTypeList, _In_ ULONG ObjectTypeListLength, _In_ PGENERIC_MAPPING GenericMapping,
    _Out_writes_bytes_(*PrivilegeSetLength) PPRIVILEGE_SET PrivilegeSet, _Inout_ PULONG PrivilegeSetLength, _Out_ PACCESS_MASK GrantedAccess, _Out_ PNTSTATUS AccessStatus);

/*
 * ZwAccessCheckByTypeResultList: the same with an answer for each type; one that is refused is told what it would have had of what was
 * asked for.
 * Status  STATUS_INVALID_PARAMETER also without types; then nothing is written.
 */
_Must_inspect_result_ _IRQL_requires_max_(PASSIVE_LEVEL) NTSYSAPI NTSTATUS NTAPI ZwAccessCheckByTypeResultList(
    _In_ PSECURITY_DESCRIPTOR SecurityDescriptor, _In_opt_ PSID PrincipalSelfSid, _In_ HANDLE ClientToken, _In_ ACCESS_MASK DesiredAccess,
    _In_reads_(ObjectTypeListLength) POBJECT_TYPE_LIST ObjectTypeList, _In_ ULONG ObjectTypeListLength, _In_ PGENERIC_MAPPING GenericMapping,
    _Out_writes_bytes_(*PrivilegeSetLength) PPRIVILEGE_SET PrivilegeSet, _Inout_ PULONG PrivilegeSetLength, _Out_writes_(ObjectTypeListLength) PACCESS_MASK GrantedAccess,
    _Out_writes_(ObjectTypeListLength) PNTSTATUS AccessStatus);
_Must_inspect_result_ _IRQL_requires_max_(PASSIVE_LEVEL) NTSYSCALLAPI NTSTATUS NTAPI NtAccessCheckByTypeResultList(
    _In_ PSECURITY_DESCRIPTOR SecurityDescriptor, _In_opt_ PSID PrincipalSelfSid, _In_ HANDLE ClientToken, _In_ ACCESS_MASK DesiredAccess,
    _In_reads_(ObjectTypeListLength) POBJECT_TYPE_LIST ObjectTypeList, _In_ ULONG ObjectTypeListLength, _In_ PGENERIC_MAPPING GenericMapping,
    _Out_writes_bytes_(*PrivilegeSetLength) PPRIVILEGE_SET PrivilegeSet, _Inout_ PULONG PrivilegeSetLength, _Out_writes_(ObjectTypeListLength) PACCESS_MASK GrantedAccess,
    _Out_writes_(ObjectTypeListLength) PNTSTATUS AccessStatus);

/*
 * ZwAccessCheckAndAuditAlarm: as ZwAccessCheck, for the client that the calling thread acts as, from level Identification on. No record is
 * kept; *GenerateOnClose says whether the descriptor's audit list wants one of what was granted. The names are looked at for their lengths.
 * Status  STATUS_NO_IMPERSONATION_TOKEN: the thread acts as nobody. STATUS_PRIVILEGE_NOT_HELD: the user's process lacks SeAuditPrivilege.
 *         STATUS_INVALID_PARAMETER: a string that is none. The others, and what is written then, as ZwAccessCheck.
 */
_Must_inspect_result_ _IRQL_requires_max_(PASSIVE_LEVEL) NTSYSAPI NTSTATUS NTAPI ZwAccessCheckAndAuditAlarm(
    _In_ PUNICODE_STRING SubsystemName, _In_opt_ PVOID HandleId, _In_ PUNICODE_STRING ObjectTypeName, _In_ PUNICODE_STRING ObjectName,
    _In_ PSECURITY_DESCRIPTOR SecurityDescriptor, _In_ ACCESS_MASK DesiredAccess, _In_ PGENERIC_MAPPING GenericMapping, _In_ BOOLEAN ObjectCreation,
    _Out_ PACCESS_MASK GrantedAccess, _Out_ PNTSTATUS AccessStatus, _Out_ PBOOLEAN GenerateOnClose);
_Must_inspect_result_ _IRQL_requires_max_(PASSIVE_LEVEL) NTSYSCALLAPI NTSTATUS NTAPI NtAccessCheckAndAuditAlarm(
    _In_ PUNICODE_STRING SubsystemName, _In_opt_ PVOID HandleId, _In_ PUNICODE_STRING ObjectTypeName, _In_ PUNICODE_STRING ObjectName,
    _In_ PSECURITY_DESCRIPTOR SecurityDescriptor, _In_ ACCESS_MASK DesiredAccess, _In_ PGENERIC_MAPPING GenericMapping, _In_ BOOLEAN ObjectCreation,
    _Out_ PACCESS_MASK GrantedAccess, _Out_ PNTSTATUS AccessStatus, _Out_ PBOOLEAN GenerateOnClose);

/*
 * ZwAccessCheckByTypeAndAuditAlarm: the same for types. With AUDIT_ALLOW_NO_PRIVILEGE a process without SeAuditPrivilege is answered too, and
 * no record is wanted.
 * Status  STATUS_INVALID_PARAMETER also for another AuditType or flag.
 */
_Must_inspect_result_ _IRQL_requires_max_(PASSIVE_LEVEL) NTSYSAPI NTSTATUS NTAPI ZwAccessCheckByTypeAndAuditAlarm(
    _In_ PUNICODE_STRING SubsystemName, _In_opt_ PVOID HandleId, _In_ PUNICODE_STRING ObjectTypeName, _In_ PUNICODE_STRING ObjectName,
    _In_ PSECURITY_DESCRIPTOR SecurityDescriptor, _In_opt_ PSID PrincipalSelfSid, _In_ ACCESS_MASK DesiredAccess, _In_ AUDIT_EVENT_TYPE AuditType, _In_ ULONG Flags,
    _In_reads_opt_(ObjectTypeListLength) POBJECT_TYPE_LIST ObjectTypeList, _In_ ULONG ObjectTypeListLength, _In_ PGENERIC_MAPPING GenericMapping,
    _In_ BOOLEAN ObjectCreation, _Out_ PACCESS_MASK GrantedAccess, _Out_ PNTSTATUS AccessStatus,
    _Out_ PBOOLEAN GenerateOnClose);
_Must_inspect_result_ _IRQL_requires_max_(PASSIVE_LEVEL) NTSYSCALLAPI NTSTATUS NTAPI NtAccessCheckByTypeAndAuditAlarm(
    _In_ PUNICODE_STRING SubsystemName, _In_opt_ PVOID HandleId, _In_ PUNICODE_STRING ObjectTypeName, _In_ PUNICODE_STRING ObjectName,
    _In_ PSECURITY_DESCRIPTOR SecurityDescriptor, _In_opt_ PSID PrincipalSelfSid, _In_ ACCESS_MASK DesiredAccess, _In_ AUDIT_EVENT_TYPE AuditType, _In_ ULONG Flags,
    _In_reads_opt_(ObjectTypeListLength) POBJECT_TYPE_LIST ObjectTypeList, _In_ ULONG ObjectTypeListLength, _In_ PGENERIC_MAPPING GenericMapping,
    _In_ BOOLEAN ObjectCreation, _Out_ PACCESS_MASK GrantedAccess, _Out_ PNTSTATUS AccessStatus,
    _Out_ PBOOLEAN GenerateOnClose);

/* ZwAccessCheckByTypeResultListAndAuditAlarm: the same with an answer for each type. */
_Must_inspect_result_ _IRQL_requires_max_(PASSIVE_LEVEL) NTSYSAPI NTSTATUS NTAPI ZwAccessCheckByTypeResultListAndAuditAlarm(
    _In_ PUNICODE_STRING SubsystemName, _In_opt_ PVOID HandleId, _In_ PUNICODE_STRING ObjectTypeName, _In_ PUNICODE_STRING ObjectName,
    _In_ PSECURITY_DESCRIPTOR SecurityDescriptor, _In_opt_ PSID PrincipalSelfSid, _In_ ACCESS_MASK DesiredAccess, _In_ AUDIT_EVENT_TYPE AuditType, _In_ ULONG Flags,
    _In_reads_(ObjectTypeListLength) POBJECT_TYPE_LIST ObjectTypeList, _In_ ULONG ObjectTypeListLength, _In_ PGENERIC_MAPPING GenericMapping,
    _In_ BOOLEAN ObjectCreation, _Out_writes_(ObjectTypeListLength) PACCESS_MASK GrantedAccess,
    _Out_writes_(ObjectTypeListLength) PNTSTATUS AccessStatus, _Out_ PBOOLEAN GenerateOnClose);
_Must_inspect_result_ _IRQL_requires_max_(PASSIVE_LEVEL) NTSYSCALLAPI NTSTATUS NTAPI NtAccessCheckByTypeResultListAndAuditAlarm(
    _In_ PUNICODE_STRING SubsystemName, _In_opt_ PVOID HandleId, _In_ PUNICODE_STRING ObjectTypeName, _In_ PUNICODE_STRING ObjectName,
    _In_ PSECURITY_DESCRIPTOR SecurityDescriptor, _In_opt_ PSID PrincipalSelfSid, _In_ ACCESS_MASK DesiredAccess, _In_ AUDIT_EVENT_TYPE AuditType, _In_ ULONG Flags,
    _In_reads_(ObjectTypeListLength) POBJECT_TYPE_LIST ObjectTypeList, _In_ ULONG ObjectTypeListLength, _In_ PGENERIC_MAPPING GenericMapping,
    _In_ BOOLEAN ObjectCreation, _Out_writes_(ObjectTypeListLength) PACCESS_MASK GrantedAccess,
    _Out_writes_(ObjectTypeListLength) PNTSTATUS AccessStatus, _Out_ PBOOLEAN GenerateOnClose);

/*
 * ZwSetInformationProcess: of class ProcessAccessToken, another primary token for a process; the information is a PROCESS_ACCESS_TOKEN. A
 * user's handles need PROCESS_SET_INFORMATION and TOKEN_ASSIGN_PRIMARY, and the user SeAssignPrimaryTokenPrivilege unless the token was
 * filtered from that of its own process or from the same as that.
 * Status  STATUS_INVALID_INFO_CLASS, STATUS_INFO_LENGTH_MISMATCH, STATUS_BAD_TOKEN_TYPE: an impersonation token.
 *         STATUS_TOKEN_ALREADY_IN_USE: another process has it. STATUS_PRIVILEGE_NOT_HELD, STATUS_ACCESS_DENIED, also for a token of a
 *         higher trust than the old one; STATUS_INVALID_HANDLE, STATUS_OBJECT_TYPE_MISMATCH. The process keeps its token then.
 */
_Must_inspect_result_ _IRQL_requires_max_(PASSIVE_LEVEL) NTSYSAPI NTSTATUS NTAPI ZwSetInformationProcess(
    _In_ HANDLE ProcessHandle, _In_ PROCESSINFOCLASS ProcessInformationClass, _In_reads_bytes_(ProcessInformationLength) PVOID ProcessInformation,
    _In_ ULONG ProcessInformationLength);
_Must_inspect_result_ _IRQL_requires_max_(PASSIVE_LEVEL) NTSYSCALLAPI NTSTATUS NTAPI NtSetInformationProcess(
    _In_ HANDLE ProcessHandle, _In_ PROCESSINFOCLASS ProcessInformationClass, _In_reads_bytes_(ProcessInformationLength) PVOID ProcessInformation,
    _In_ ULONG ProcessInformationLength);

/*
 * ZwSetInformationThread: of class ThreadImpersonationToken, as PsAssignImpersonationToken; the information is a HANDLE.
 * Status  STATUS_INFO_LENGTH_MISMATCH, STATUS_INVALID_INFO_CLASS, and those of PsAssignImpersonationToken.
 */
_Must_inspect_result_ _IRQL_requires_max_(PASSIVE_LEVEL) NTSYSAPI NTSTATUS NTAPI
ZwSetInformationThread(_In_ HANDLE ThreadHandle, _In_ THREADINFOCLASS ThreadInformationClass, _In_ PVOID ThreadInformation,
                       _In_ ULONG ThreadInformationLength);

_Must_inspect_result_ _IRQL_requires_max_(PASSIVE_LEVEL) NTSYSCALLAPI NTSTATUS NTAPI
NtSetInformationThread(_In_ HANDLE ThreadHandle, _In_ THREADINFOCLASS ThreadInformationClass, _In_ PVOID ThreadInformation,
                       _In_ ULONG ThreadInformationLength);

/*
 * ZwImpersonateThread: lets the server's thread act as the client's, as SeCreateClientSecurity and SeImpersonateClientEx would.
 * Status  STATUS_INVALID_PARAMETER, STATUS_ACCESS_DENIED, STATUS_INVALID_HANDLE, STATUS_BAD_IMPERSONATION_LEVEL, and those of both.
 */
_Must_inspect_result_ _IRQL_requires_max_(PASSIVE_LEVEL) NTSYSAPI NTSTATUS NTAPI ZwImpersonateThread(
    _In_ HANDLE ServerThreadHandle, _In_ HANDLE ClientThreadHandle, _In_ PSECURITY_QUALITY_OF_SERVICE SecurityQos);
_Must_inspect_result_ _IRQL_requires_max_(PASSIVE_LEVEL) NTSYSCALLAPI NTSTATUS NTAPI NtImpersonateThread(
    _In_ HANDLE ServerThreadHandle, _In_ HANDLE ClientThreadHandle, _In_ PSECURITY_QUALITY_OF_SERVICE SecurityQos);

/*
 * NtImpersonateAnonymousToken: lets a thread act as the anonymous user, at SecurityImpersonation.
 * Status  STATUS_INVALID_HANDLE, STATUS_ACCESS_DENIED: the handle lacks THREAD_IMPERSONATE, or the calling process is restricted.
 */
_Must_inspect_result_ _IRQL_requires_max_(PASSIVE_LEVEL) NTSYSCALLAPI NTSTATUS NTAPI NtImpersonateAnonymousToken(_In_ HANDLE ThreadHandle);
_Must_inspect_result_ _IRQL_requires_max_(PASSIVE_LEVEL) NTSYSAPI NTSTATUS NTAPI ZwImpersonateAnonymousToken(_In_ HANDLE ThreadHandle);

/* ------------------------------------------------------------------------------------------------- Memory, work, levels */

/*
 * ExAllocatePool2: memory, zeroed unless POOL_FLAG_UNINITIALIZED; NULL when there is none. One of the flags must be a kind of pool.
 * IRQL    DISPATCH_LEVEL; paged pool APC_LEVEL.
 * Owns    freed with ExFreePool or ExFreePoolWithTag. What is not freed is in the report of leaks, with its tag.
 */
_Must_inspect_result_ _IRQL_requires_max_(DISPATCH_LEVEL) NTKERNELAPI PVOID NTAPI ExAllocatePool2(_In_ POOL_FLAGS Flags, _In_ SIZE_T NumberOfBytes,
                                                                                                  _In_ ULONG Tag);

/* ExAllocatePoolWithTag: the older form; not zeroed. */
_Must_inspect_result_ _IRQL_requires_max_(DISPATCH_LEVEL) NTKERNELAPI PVOID NTAPI ExAllocatePoolWithTag(_In_ POOL_TYPE PoolType,
                                                                                                        _In_ SIZE_T NumberOfBytes, _In_ ULONG Tag);

/* ExFreePool: frees memory of the pool. */
_IRQL_requires_max_(DISPATCH_LEVEL) NTKERNELAPI VOID NTAPI ExFreePool(_In_ PVOID P);

/* ExFreePoolWithTag: the same; another tag than the allocation's is a finding, 0 is any. */
_IRQL_requires_max_(DISPATCH_LEVEL) NTKERNELAPI VOID NTAPI ExFreePoolWithTag(_In_ PVOID P, _In_ ULONG Tag);

/* ExQueueWorkItem: has a system worker call the item's routine, as the system. The item may be queued again once it has begun. */
_IRQL_requires_max_(DISPATCH_LEVEL) NTKERNELAPI VOID NTAPI ExQueueWorkItem(_Inout_ PWORK_QUEUE_ITEM WorkItem, _In_ WORK_QUEUE_TYPE QueueType);

/*
 * IoAllocateWorkItem: a work item that keeps its device; NULL when there is no memory.
 * Owns    freed with IoFreeWorkItem, not while it is queued.
 */
_Must_inspect_result_ _IRQL_requires_max_(DISPATCH_LEVEL) NTKERNELAPI PIO_WORKITEM NTAPI IoAllocateWorkItem(_In_ PDEVICE_OBJECT DeviceObject);

/* IoQueueWorkItem: has a system worker call WorkerRoutine(device, Context). */
_IRQL_requires_max_(DISPATCH_LEVEL) NTKERNELAPI VOID NTAPI IoQueueWorkItem(_In_ PIO_WORKITEM IoWorkItem, _In_ PIO_WORKITEM_ROUTINE WorkerRoutine,
                                                                           _In_ WORK_QUEUE_TYPE QueueType, _In_opt_ PVOID Context);

/* IoQueueWorkItemEx: the same with the item as third argument of the routine, which may free it. */
_IRQL_requires_max_(DISPATCH_LEVEL) NTKERNELAPI VOID NTAPI IoQueueWorkItemEx(_In_ PIO_WORKITEM IoWorkItem, _In_ PIO_WORKITEM_ROUTINE_EX WorkerRoutine,
                                                                             _In_ WORK_QUEUE_TYPE QueueType, _In_opt_ PVOID Context);

/* IoFreeWorkItem: frees a work item. */
_IRQL_requires_max_(DISPATCH_LEVEL) NTKERNELAPI VOID NTAPI IoFreeWorkItem(_In_ PIO_WORKITEM IoWorkItem);

/* KeGetCurrentIrql: the level of the calling thread. A number that the verifier compares; nothing is masked here. */
NTHALAPI KIRQL NTAPI KeGetCurrentIrql(VOID);

/* KeRaiseIrql: raises the level; the one before is kept in *OldIrql. */
NTHALAPI VOID NTAPI KeRaiseIrql(_In_ KIRQL NewIrql, _Out_ PKIRQL OldIrql);

/* KeLowerIrql: goes back to the level that KeRaiseIrql kept. */
NTHALAPI VOID NTAPI KeLowerIrql(_In_ KIRQL NewIrql);

/* KeEnterCriticalRegion: holds normal kernel APCs off; nests. */
_IRQL_requires_max_(APC_LEVEL) NTKERNELAPI VOID NTAPI KeEnterCriticalRegion(VOID);

/* KeLeaveCriticalRegion: ends one KeEnterCriticalRegion. */
_IRQL_requires_max_(APC_LEVEL) NTKERNELAPI VOID NTAPI KeLeaveCriticalRegion(VOID);

/* KeAreApcsDisabled: whether the calling thread is in a critical region. */
_IRQL_requires_max_(DISPATCH_LEVEL) NTKERNELAPI BOOLEAN NTAPI KeAreApcsDisabled(VOID);

/* ------------------------------------------------------------------------------------------------- Events and locks */

/* KeInitializeEvent: an event. A notification event stays set and lets everybody through, a synchronization event lets one. IRQL: any. */
NTKERNELAPI VOID NTAPI KeInitializeEvent(_Out_ PRKEVENT Event, _In_ EVENT_TYPE Type, _In_ BOOLEAN State);

/* KeSetEvent: sets an event; not 0 when it was set. Who waits is let through, even if the event is reset at once. */
_IRQL_requires_max_(DISPATCH_LEVEL) NTKERNELAPI LONG NTAPI KeSetEvent(_Inout_ PRKEVENT Event, _In_ KPRIORITY Increment, _In_ BOOLEAN Wait);

/* KeClearEvent: resets an event. */
_IRQL_requires_max_(DISPATCH_LEVEL) NTKERNELAPI VOID NTAPI KeClearEvent(_Inout_ PRKEVENT Event);

/* KeResetEvent: resets an event; not 0 when it was set. */
_IRQL_requires_max_(DISPATCH_LEVEL) NTKERNELAPI LONG NTAPI KeResetEvent(_Inout_ PRKEVENT Event);

/* KeReadStateEvent: not 0 when it is set. */
_IRQL_requires_max_(DISPATCH_LEVEL) NTKERNELAPI LONG NTAPI KeReadStateEvent(_In_ PRKEVENT Event);

/*
 * KeWaitForSingleObject: waits until an event is set or a thread has ended. Of *Timeout a negative number is hundreds of nanoseconds
 * from now, a positive one since 1601, and 0 does not wait; NULL waits for ever. Nothing is alerted here.
 * IRQL    DISPATCH_LEVEL with a timeout of 0, else APC_LEVEL: to wait above it is a finding.
 * Status  STATUS_TIMEOUT, a success. STATUS_INVALID_PARAMETER: neither an event that was initialised nor a thread.
 */
_IRQL_requires_max_(DISPATCH_LEVEL) NTKERNELAPI NTSTATUS NTAPI KeWaitForSingleObject(_In_ PVOID Object, _In_ KWAIT_REASON WaitReason,
                                                                                     _In_ KPROCESSOR_MODE WaitMode, _In_ BOOLEAN Alertable,
                                                                                     _In_opt_ PLARGE_INTEGER Timeout);

/* KeInitializeSpinLock: a spin lock that nobody holds. IRQL: any. */
NTKERNELAPI VOID NTAPI KeInitializeSpinLock(_Out_ PKSPIN_LOCK SpinLock);

/*
 * KeAcquireSpinLock: raises the thread to DISPATCH_LEVEL and waits for the lock; the level before is kept in *OldIrql. A macro over
 * KeAcquireSpinLockRaiseToDpc in kits of x64. A thread that has it already would wait for itself: a finding, or the end of the program.
 */
_IRQL_requires_max_(DISPATCH_LEVEL) NTKERNELAPI VOID NTAPI KeAcquireSpinLock(_Inout_ PKSPIN_LOCK SpinLock, _Out_ PKIRQL OldIrql);

/* KeAcquireSpinLockRaiseToDpc: the same, which answers the level before. */
_Must_inspect_result_ _IRQL_requires_max_(DISPATCH_LEVEL) NTKERNELAPI KIRQL NTAPI KeAcquireSpinLockRaiseToDpc(_Inout_ PKSPIN_LOCK SpinLock);

/* KeReleaseSpinLock: gives the lock back, at DISPATCH_LEVEL, and lowers the thread to the level that acquiring kept. */
_IRQL_requires_max_(DISPATCH_LEVEL) NTKERNELAPI VOID NTAPI KeReleaseSpinLock(_Inout_ PKSPIN_LOCK SpinLock, _In_ KIRQL NewIrql);

/* ExInitializeFastMutex: a mutex that nobody holds. */
_IRQL_requires_max_(DISPATCH_LEVEL) NTKERNELAPI VOID NTAPI ExInitializeFastMutex(_Out_ PFAST_MUTEX FastMutex);

/* ExAcquireFastMutex: raises the thread to APC_LEVEL and waits for the mutex. Not to be acquired twice. */
_IRQL_requires_max_(APC_LEVEL) NTKERNELAPI VOID FASTCALL ExAcquireFastMutex(_Inout_ PFAST_MUTEX FastMutex);

/* ExReleaseFastMutex: gives the mutex back and lowers the thread to the level before. */
_IRQL_requires_max_(APC_LEVEL) NTKERNELAPI VOID FASTCALL ExReleaseFastMutex(_Inout_ PFAST_MUTEX FastMutex);

/* ExInitializeResourceLite: a resource that nobody holds. Owns: ExDeleteResourceLite before its memory is used otherwise. */
_IRQL_requires_max_(DISPATCH_LEVEL) NTKERNELAPI NTSTATUS NTAPI ExInitializeResourceLite(_Out_ PERESOURCE Resource);

/*
 * ExAcquireResourceSharedLite: takes a resource together with other readers, before whom a waiting writer goes; whoever has it may have
 * it again. In a critical region, or at APC_LEVEL. FALSE when it is not free and Wait is FALSE.
 */
_IRQL_requires_max_(APC_LEVEL) NTKERNELAPI BOOLEAN NTAPI ExAcquireResourceSharedLite(_Inout_ PERESOURCE Resource, _In_ BOOLEAN Wait);

/* ExAcquireResourceExclusiveLite: takes a resource alone, also again; a reader that waits for it waits for itself. Otherwise the same. */
_IRQL_requires_max_(APC_LEVEL) NTKERNELAPI BOOLEAN NTAPI ExAcquireResourceExclusiveLite(_Inout_ PERESOURCE Resource, _In_ BOOLEAN Wait);

/* ExReleaseResourceLite: gives a resource back once. */
_IRQL_requires_max_(DISPATCH_LEVEL) NTKERNELAPI VOID FASTCALL ExReleaseResourceLite(_Inout_ PERESOURCE Resource);

/* ExDeleteResourceLite: ends a resource that nobody holds. */
_IRQL_requires_max_(DISPATCH_LEVEL) NTKERNELAPI NTSTATUS NTAPI ExDeleteResourceLite(_Inout_ PERESOURCE Resource);

/* ------------------------------------------------------------------------------------------------- Strings and masks */

/*
 * RtlInitUnicodeString: lets a string stand for a NUL-terminated text, which is not copied; NULL makes an empty string. A text of more
 * than 32,766 characters is cut there.
 * IRQL    DISPATCH_LEVEL when the text is resident.
 */
_IRQL_requires_max_(DISPATCH_LEVEL) NTSYSAPI VOID NTAPI RtlInitUnicodeString(_Out_ PUNICODE_STRING DestinationString, _In_opt_z_ PCWSTR SourceString);

/* RtlFreeUnicodeString: frees a string that an Rtl routine allocated, and clears it. A string without a buffer is left. */
_IRQL_requires_max_(PASSIVE_LEVEL) NTSYSAPI VOID NTAPI RtlFreeUnicodeString(_Inout_ PUNICODE_STRING UnicodeString);

/* RtlMapGenericMask: replaces the generic bits of a mask by what they mean for a type of object. IRQL: any. */
NTSYSAPI VOID NTAPI RtlMapGenericMask(_Inout_ PACCESS_MASK AccessMask, _In_ const GENERIC_MAPPING *GenericMapping);

/* RtlAreAllAccessesGranted: whether GrantedAccess has every bit of DesiredAccess. IRQL: any. */
_Must_inspect_result_ NTSYSAPI BOOLEAN NTAPI RtlAreAllAccessesGranted(_In_ ACCESS_MASK GrantedAccess, _In_ ACCESS_MASK DesiredAccess);

/* RtlAreAnyAccessesGranted: whether GrantedAccess has some bit of DesiredAccess. IRQL: any. */
_Must_inspect_result_ NTSYSAPI BOOLEAN NTAPI RtlAreAnyAccessesGranted(_In_ ACCESS_MASK GrantedAccess, _In_ ACCESS_MASK DesiredAccess);

/* ------------------------------------------------------------------------------------------------- Security identifiers */

/* RtlLengthRequiredSid: the bytes of a SID with so many sub-authorities. IRQL: any. */
NTSYSAPI ULONG NTAPI RtlLengthRequiredSid(_In_ ULONG SubAuthorityCount);

/*
 * RtlInitializeSid: writes revision, count and authority of a SID into RtlLengthRequiredSid(count) bytes. The sub-authorities are
 * for the caller to set with RtlSubAuthoritySid.
 * Status  STATUS_INVALID_PARAMETER: more than SID_MAX_SUB_AUTHORITIES.
 */
_IRQL_requires_max_(APC_LEVEL) NTSYSAPI NTSTATUS NTAPI RtlInitializeSid(_Out_ PSID Sid, _In_ PSID_IDENTIFIER_AUTHORITY IdentifierAuthority,
                                                                        _In_ UCHAR SubAuthorityCount);

/* RtlValidSid: whether revision and count are legal. FALSE for NULL. */
_Must_inspect_result_ _IRQL_requires_max_(APC_LEVEL) NTSYSAPI BOOLEAN NTAPI RtlValidSid(_In_ PSID Sid);

/* RtlEqualSid: whether two valid SIDs are the same; FALSE when one is not valid. */
_Must_inspect_result_ _IRQL_requires_max_(APC_LEVEL) NTSYSAPI BOOLEAN NTAPI RtlEqualSid(_In_ PSID Sid1, _In_ PSID Sid2);

/* RtlEqualPrefixSid: whether two valid SIDs differ at most in their last sub-authority. */
_Must_inspect_result_ _IRQL_requires_max_(APC_LEVEL) NTSYSAPI BOOLEAN NTAPI RtlEqualPrefixSid(_In_ PSID Sid1, _In_ PSID Sid2);

/* RtlCopySid: copies a SID. Status: STATUS_BUFFER_TOO_SMALL, and nothing was written; STATUS_INVALID_SID. */
_IRQL_requires_max_(APC_LEVEL) NTSYSAPI NTSTATUS NTAPI RtlCopySid(_In_ ULONG DestinationSidLength, _Out_ PSID DestinationSid, _In_ PSID SourceSid);

/* RtlLengthSid: the bytes of a valid SID; of anything else 0. */
_IRQL_requires_max_(APC_LEVEL) NTSYSAPI ULONG NTAPI RtlLengthSid(_In_ PSID Sid);

/* RtlSubAuthoritySid: where a sub-authority stands; NULL beyond the fifteenth. Not compared with the count: a SID is built with it. */
_IRQL_requires_max_(APC_LEVEL) NTSYSAPI PULONG NTAPI RtlSubAuthoritySid(_In_ PSID Sid, _In_ ULONG SubAuthority);

/* RtlSubAuthorityCountSid: where the count stands. */
_IRQL_requires_max_(APC_LEVEL) NTSYSAPI PUCHAR NTAPI RtlSubAuthorityCountSid(_In_ PSID Sid);

/* RtlIdentifierAuthoritySid: where the authority stands. */
_IRQL_requires_max_(APC_LEVEL) NTSYSAPI PSID_IDENTIFIER_AUTHORITY NTAPI RtlIdentifierAuthoritySid(_In_ PSID Sid);

/*
 * RtlConvertSidToUnicodeString: a SID as text, "S-1-5-18".
 * Owns    with AllocateDestinationString the buffer is freed with RtlFreeUnicodeString; otherwise the caller's is filled, with a NUL
 *         behind the text where there is room.
 * Status  STATUS_INVALID_SID, STATUS_BUFFER_OVERFLOW: it does not fit in MaximumLength, STATUS_NO_MEMORY.
 */
_Must_inspect_result_ _IRQL_requires_max_(PASSIVE_LEVEL) NTSYSAPI NTSTATUS NTAPI
RtlConvertSidToUnicodeString(_Inout_ PUNICODE_STRING UnicodeString, _In_ PSID Sid, _In_ BOOLEAN AllocateDestinationString);

/*
 * RtlCreateServiceSid: the SID that a service has by its name, S-1-5-80 and five numbers. *ServiceSidLength is its length afterwards.
 * Status  STATUS_BUFFER_TOO_SMALL: nothing was written but *ServiceSidLength. STATUS_INVALID_PARAMETER.
 */
_Must_inspect_result_ _IRQL_requires_max_(PASSIVE_LEVEL) NTSYSAPI NTSTATUS NTAPI RtlCreateServiceSid(_In_ PUNICODE_STRING ServiceName, _Out_ PSID ServiceSid,
                                                                                                     _Inout_ PULONG ServiceSidLength);

/* ------------------------------------------------------------------------------------------------- Access control lists */

/*
 * RtlCreateAcl: an empty list in AclLength bytes.
 * Status  STATUS_BUFFER_TOO_SMALL: less than the header. STATUS_INVALID_PARAMETER: another revision than 2 to 4, more than 65,532
 *         bytes. A length that is not a multiple of 4 is rounded down to one.
 */
_IRQL_requires_max_(APC_LEVEL) NTSYSAPI NTSTATUS NTAPI RtlCreateAcl(_Out_ PACL Acl, _In_ ULONG AclLength, _In_ ULONG AclRevision);

/* RtlValidAcl: whether a list and all its entries are well formed and inside its AclSize. FALSE for NULL. */
_Must_inspect_result_ _IRQL_requires_max_(APC_LEVEL) NTSYSAPI BOOLEAN NTAPI RtlValidAcl(_In_ PACL Acl);

/*
 * RtlFirstFreeAce: where the next entry would stand, in *FirstFree; NULL when the entries fill the list.
 * FALSE when the list is malformed.
 */
_Must_inspect_result_ _IRQL_requires_max_(APC_LEVEL) NTSYSAPI BOOLEAN NTAPI RtlFirstFreeAce(_In_ PACL Acl, _Out_ PVOID *FirstFree);

/*
 * RtlAddAccessAllowedAce: adds an entry that grants rights, behind the last.
 * Status  STATUS_INVALID_ACL, STATUS_INVALID_SID, STATUS_ALLOTTED_SPACE_EXCEEDED: no room; STATUS_REVISION_MISMATCH: AceRevision or the
 *         list's is not a known one. Nothing is changed then. The same for all routines that add one entry.
 */
_IRQL_requires_max_(APC_LEVEL) NTSYSAPI NTSTATUS NTAPI RtlAddAccessAllowedAce(_Inout_ PACL Acl, _In_ ULONG AceRevision, _In_ ACCESS_MASK AccessMask,
                                                                              _In_ PSID Sid);

/* RtlAddAccessAllowedAceEx: the same with inheritance flags. Status: also STATUS_INVALID_PARAMETER for other flags. */
_IRQL_requires_max_(APC_LEVEL) NTSYSAPI NTSTATUS NTAPI RtlAddAccessAllowedAceEx(_Inout_ PACL Acl, _In_ ULONG AceRevision, _In_ ULONG AceFlags,
                                                                                _In_ ACCESS_MASK AccessMask, _In_ PSID Sid);

/* RtlAddAccessDeniedAce: adds an entry that refuses rights, behind the last: the order is the caller's. */
_IRQL_requires_max_(APC_LEVEL) NTSYSAPI NTSTATUS NTAPI RtlAddAccessDeniedAce(_Inout_ PACL Acl, _In_ ULONG AceRevision, _In_ ACCESS_MASK AccessMask,
                                                                             _In_ PSID Sid);

/* RtlAddAccessDeniedAceEx: the same with inheritance flags. */
_IRQL_requires_max_(APC_LEVEL) NTSYSAPI NTSTATUS NTAPI RtlAddAccessDeniedAceEx(_Inout_ PACL Acl, _In_ ULONG AceRevision, _In_ ULONG AceFlags,
                                                                               _In_ ACCESS_MASK AccessMask, _In_ PSID Sid);

/* RtlAddAuditAccessAce: adds an entry that asks for an audit record of successes, failures or both. */
_IRQL_requires_max_(APC_LEVEL) NTSYSAPI NTSTATUS NTAPI RtlAddAuditAccessAce(_Inout_ PACL Acl, _In_ ULONG AceRevision, _In_ ACCESS_MASK AccessMask,
                                                                            _In_ PSID Sid, _In_ BOOLEAN AuditSuccess, _In_ BOOLEAN AuditFailure);

/* RtlAddAuditAccessAceEx: the same with inheritance flags; audit flags may be among them. */
_IRQL_requires_max_(APC_LEVEL) NTSYSAPI NTSTATUS NTAPI RtlAddAuditAccessAceEx(_Inout_ PACL Acl, _In_ ULONG AceRevision, _In_ ULONG AceFlags,
                                                                              _In_ ACCESS_MASK AccessMask, _In_ PSID Sid, _In_ BOOLEAN AuditSuccess,
                                                                              _In_ BOOLEAN AuditFailure);

/*
 * RtlAddMandatoryAce: adds a mandatory label; AccessMask is SYSTEM_MANDATORY_LABEL_NO_ bits.
 * Status  STATUS_INVALID_PARAMETER also for another type, a SID that is no integrity level, and other bits.
 */
_IRQL_requires_max_(APC_LEVEL) NTSYSAPI NTSTATUS NTAPI RtlAddMandatoryAce(_Inout_ PACL Acl, _In_ ULONG AceRevision, _In_ ULONG AceFlags, _In_ PSID Sid,
                                                                          _In_ UCHAR AceType, _In_ ACCESS_MASK AccessMask);

/*
 * RtlAddAce: adds whole entries that stand one behind the other, before entry StartingAceIndex; MAXULONG adds at the end.
 * Status  STATUS_INVALID_PARAMETER: the entries are malformed or do not fill AceListLength. STATUS_REVISION_MISMATCH,
 *         STATUS_ALLOTTED_SPACE_EXCEEDED, STATUS_INVALID_ACL.
 */
_IRQL_requires_max_(APC_LEVEL) NTSYSAPI NTSTATUS NTAPI RtlAddAce(_Inout_ PACL Acl, _In_ ULONG AceRevision, _In_ ULONG StartingAceIndex,
                                                                 _In_ PVOID AceList, _In_ ULONG AceListLength);

/* RtlDeleteAce: removes an entry; the others move up. Status: STATUS_INVALID_PARAMETER: no such entry, or a malformed list. */
_IRQL_requires_max_(APC_LEVEL) NTSYSAPI NTSTATUS NTAPI RtlDeleteAce(_Inout_ PACL Acl, _In_ ULONG AceIndex);

/* RtlGetAce: where an entry stands, in *Ace. Status: as RtlDeleteAce. */
_IRQL_requires_max_(APC_LEVEL) NTSYSAPI NTSTATUS NTAPI RtlGetAce(_In_ PACL Acl, _In_ ULONG AceIndex, _Outptr_ PVOID *Ace);

#ifndef MAXULONG
#define MAXULONG 0xFFFFFFFFu
#endif
#ifndef MAXUSHORT
#define MAXUSHORT 0xFFFFu
#endif

/* ------------------------------------------------------------------------------------------------- Security descriptors */

/* RtlCreateSecurityDescriptor: an empty absolute descriptor. Status: STATUS_UNKNOWN_REVISION. */
_IRQL_requires_max_(APC_LEVEL) NTSYSAPI NTSTATUS NTAPI RtlCreateSecurityDescriptor(_Out_ PSECURITY_DESCRIPTOR SecurityDescriptor, _In_ ULONG Revision);

/* RtlValidSecurityDescriptor: whether a descriptor of either form, with its SIDs and lists, is well formed. FALSE for NULL. */
_Must_inspect_result_ _IRQL_requires_max_(APC_LEVEL) NTSYSAPI BOOLEAN NTAPI RtlValidSecurityDescriptor(_In_ PSECURITY_DESCRIPTOR SecurityDescriptor);

/*
 * RtlValidRelativeSecurityDescriptor: whether so many bytes hold a self-relative descriptor, well formed and with the parts named
 * in RequiredInformation. Nothing outside the bytes is read.
 */
_Must_inspect_result_ _IRQL_requires_max_(APC_LEVEL) NTSYSAPI BOOLEAN NTAPI RtlValidRelativeSecurityDescriptor(
    _In_ PSECURITY_DESCRIPTOR SecurityDescriptorInput, _In_ ULONG SecurityDescriptorLength, _In_ SECURITY_INFORMATION RequiredInformation);

/* RtlLengthSecurityDescriptor: the bytes a descriptor and its parts take in its own form; 0 when it is malformed. */
_IRQL_requires_max_(APC_LEVEL) NTSYSAPI ULONG NTAPI RtlLengthSecurityDescriptor(_In_ PSECURITY_DESCRIPTOR SecurityDescriptor);

/*
 * RtlSetDaclSecurityDescriptor: lets an absolute descriptor point to a DACL, which is not copied. Dacl NULL with DaclPresent TRUE
 * grants everything to everyone.
 * Status  STATUS_UNKNOWN_REVISION; STATUS_INVALID_SECURITY_DESCR: it is self-relative. The same for all three that follow.
 */
_IRQL_requires_max_(APC_LEVEL) NTSYSAPI NTSTATUS NTAPI RtlSetDaclSecurityDescriptor(_Inout_ PSECURITY_DESCRIPTOR SecurityDescriptor,
                                                                                    _In_ BOOLEAN DaclPresent, _In_opt_ PACL Dacl,
                                                                                    _In_ BOOLEAN DaclDefaulted);

/* RtlSetSaclSecurityDescriptor: the same of the SACL. */
_IRQL_requires_max_(APC_LEVEL) NTSYSAPI NTSTATUS NTAPI RtlSetSaclSecurityDescriptor(_Inout_ PSECURITY_DESCRIPTOR SecurityDescriptor,
                                                                                    _In_ BOOLEAN SaclPresent, _In_opt_ PACL Sacl,
                                                                                    _In_ BOOLEAN SaclDefaulted);

/* RtlSetOwnerSecurityDescriptor: the same of the owner; NULL removes it. */
_IRQL_requires_max_(APC_LEVEL) NTSYSAPI NTSTATUS NTAPI RtlSetOwnerSecurityDescriptor(_Inout_ PSECURITY_DESCRIPTOR SecurityDescriptor,
                                                                                     _In_opt_ PSID Owner, _In_ BOOLEAN OwnerDefaulted);

/* RtlSetGroupSecurityDescriptor: the same of the group; NULL removes it. */
_IRQL_requires_max_(APC_LEVEL) NTSYSAPI NTSTATUS NTAPI RtlSetGroupSecurityDescriptor(_Inout_ PSECURITY_DESCRIPTOR SecurityDescriptor,
                                                                                     _In_opt_ PSID Group, _In_ BOOLEAN GroupDefaulted);

/*
 * RtlGetDaclSecurityDescriptor: where the DACL of a descriptor of either form stands. *DaclPresent is always written, the others
 * only when there is one; *Dacl NULL then means that everything is granted to everyone.
 * Status  STATUS_UNKNOWN_REVISION. The same for all three that follow.
 */
_IRQL_requires_max_(APC_LEVEL) NTSYSAPI NTSTATUS NTAPI RtlGetDaclSecurityDescriptor(_In_ PSECURITY_DESCRIPTOR SecurityDescriptor, _Out_ PBOOLEAN DaclPresent,
                                                                                    _Out_ PACL *Dacl, _Out_ PBOOLEAN DaclDefaulted);

/* RtlGetSaclSecurityDescriptor: the same of the SACL. */
_IRQL_requires_max_(APC_LEVEL) NTSYSAPI NTSTATUS NTAPI RtlGetSaclSecurityDescriptor(_In_ PSECURITY_DESCRIPTOR SecurityDescriptor, _Out_ PBOOLEAN SaclPresent,
                                                                                    _Out_ PACL *Sacl, _Out_ PBOOLEAN SaclDefaulted);

/* RtlGetOwnerSecurityDescriptor: where the owner stands; *Owner is NULL when there is none. */
_IRQL_requires_max_(APC_LEVEL) NTSYSAPI NTSTATUS NTAPI RtlGetOwnerSecurityDescriptor(_In_ PSECURITY_DESCRIPTOR SecurityDescriptor, _Out_ PSID *Owner,
                                                                                     _Out_ PBOOLEAN OwnerDefaulted);

/* RtlGetGroupSecurityDescriptor: where the group stands; *Group is NULL when there is none. */
_IRQL_requires_max_(APC_LEVEL) NTSYSAPI NTSTATUS NTAPI RtlGetGroupSecurityDescriptor(_In_ PSECURITY_DESCRIPTOR SecurityDescriptor, _Out_ PSID *Group,
                                                                                     _Out_ PBOOLEAN GroupDefaulted);

/*
 * RtlAbsoluteToSelfRelativeSD: copies an absolute descriptor into *BufferLength bytes, self-relative.
 * Status  STATUS_BUFFER_TOO_SMALL with what is needed in *BufferLength; STATUS_BAD_DESCRIPTOR_FORMAT: it is self-relative already;
 *         those of a malformed descriptor.
 */
_IRQL_requires_max_(APC_LEVEL) NTSYSAPI NTSTATUS NTAPI RtlAbsoluteToSelfRelativeSD(_In_ PSECURITY_DESCRIPTOR AbsoluteSecurityDescriptor,
                                                                                   _Out_ PSECURITY_DESCRIPTOR SelfRelativeSecurityDescriptor,
                                                                                   _Inout_ PULONG BufferLength);

/*
 * RtlSelfRelativeToAbsoluteSD: takes a self-relative descriptor apart into buffers of the caller's.
 * Status  STATUS_BUFFER_TOO_SMALL: some buffer is; all sizes are what is needed then, and nothing else was written.
 *         STATUS_BAD_DESCRIPTOR_FORMAT: it is absolute; those of a malformed descriptor.
 */
_IRQL_requires_max_(APC_LEVEL) NTSYSAPI NTSTATUS NTAPI RtlSelfRelativeToAbsoluteSD(
    _In_ PSECURITY_DESCRIPTOR SelfRelativeSecurityDescriptor, _Out_ PSECURITY_DESCRIPTOR AbsoluteSecurityDescriptor,
    _Inout_ PULONG AbsoluteSecurityDescriptorSize, _Out_ PACL Dacl, _Inout_ PULONG DaclSize, _Out_ PACL Sacl, _Inout_ PULONG SaclSize,
    _Out_ PSID Owner, _Inout_ PULONG OwnerSize, _Out_ PSID PrimaryGroup, _Inout_ PULONG PrimaryGroupSize);

/* ------------------------------------------------------------------------------------------------- Data */

extern NTKERNELAPI PSE_EXPORTS SeExports;
extern NTKERNELAPI POBJECT_TYPE *SeTokenObjectType;
extern NTKERNELAPI POBJECT_TYPE *PsThreadType;
extern NTKERNELAPI POBJECT_TYPE *PsProcessType;

#ifdef __cplusplus
}
#endif

#endif
