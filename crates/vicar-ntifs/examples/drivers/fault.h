/*
 * The drivers of this folder are right as they stand. Compiled with -DFAULT=n, the same source has one mistake planted in it,
 * of those that drivers were seen to make; the tests know what the verifier has to say about each.
 */
#ifndef FAULT_H
#define FAULT_H

#ifndef FAULT
#define FAULT 0
#endif
#define FAULTY(number) (FAULT == (number))

/* Memory of the pool, as every kit has it. */
#define ALLOCATE(type, tag) ((type *)ExAllocatePoolWithTag(NonPagedPool, sizeof(type), (tag)))

/* Opens a file as whoever the calling thread acts as, with OBJ_FORCE_ACCESS_CHECK: ZwCreateFile behind a pointer that a test sets. */
typedef NTSTATUS NTAPI OPEN_FILE(PCUNICODE_STRING Path, ACCESS_MASK DesiredAccess);
typedef OPEN_FILE *POPEN_FILE;

#endif
