/* A test program: tests that register themselves, each in a world of its own, and libtest's last line. */
#ifndef CHECK_H
#define CHECK_H
#ifndef _GNU_SOURCE
#define _GNU_SOURCE
#endif

#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>

#include "ntifs.h"
#include "vicar_test.h"

static unsigned check_count, failed_checks;

#ifndef CHECK_WITHOUT_MAIN
typedef void (*test_function)(void);
static struct {
  const char *name;
  test_function run;
} tests[256];
static unsigned test_count;

/* Declares and registers a test; its body follows. */
#define TEST(title)                                                   \
  static void title(void);                                            \
  __attribute__((constructor)) static void register_##title(void) {   \
    tests[test_count].name = #title;                                  \
    tests[test_count++].run = title;                                  \
  }                                                                   \
  static void title(void)
#endif

static inline void judge(int is_right, const char *file, int line, const char *what, long long one, long long other) {
  check_count++;
  if (is_right) return;
  failed_checks++;
  fprintf(stderr, "%s:%d: %s: 0x%llx, 0x%llx\n", file, line, what, (unsigned long long)one, (unsigned long long)other);
}

#define CHECK(condition) judge(!!(condition), __FILE__, __LINE__, #condition, 0, 0)
#define EQ(one, other) do { long long one_ = (long long)(one), other_ = (long long)(other); judge(one_ == other_, __FILE__, __LINE__, #one " is " #other, one_, other_); } while (0)
/* A status; the constant is printed, so both are cut to 32 bits. */
#define STATUS(call, status) do { NTSTATUS found_ = (call); judge(found_ == (status), __FILE__, __LINE__, #call " is " #status, (ULONG)found_, (ULONG)(status)); } while (0)
#define OK(call) STATUS(call, STATUS_SUCCESS)
#define SAME(one, other, bytes) judge(memcmp((one), (other), (bytes)) == 0, __FILE__, __LINE__, #one " equals " #other, 0, 0)

/* The findings of one rule, all of which are forgotten. Other findings stay and fail the test. */
static inline __attribute__((unused)) unsigned reported(ULONG rule) {
  unsigned count = 0, others = 0;
  for (ULONG index = 0; index < vicar_finding_count(); index++) {
    VICAR_FINDING finding;
    if (vicar_finding(index, &finding) == STATUS_SUCCESS && finding.Rule == rule) count++; else others++;
  }
  if (others == 0) vicar_findings_clear();
  return count;
}

static inline __attribute__((unused)) void world(ULONG profile, ULONG verifier) {
  VICAR_WORLD made = { sizeof made, profile, verifier, 0 };
  OK(vicar_reset(&made));
}

/* A user's thread, acted as until the end of the test. */
static inline __attribute__((unused)) PETHREAD act_as(const VICAR_PERSON *person) {
  PETHREAD thread = NULL;
  OK(vicar_user_thread(person, &thread));
  OK(vicar_act_as(thread));
  return thread;
}

/* A SID in text, in memory that the next eight do not reuse. */
static inline __attribute__((unused)) PSID sid(const char *text) {
  static ULONG memory[8][17];
  static unsigned next;
  UCHAR *bytes = (UCHAR *)memory[next++ % 8];
  char *rest;
  unsigned long long authority = strtoull(text + 4, &rest, 0);
  unsigned count = 0;
  memset(bytes, 0, 68);
  bytes[0] = 1;
  for (int index = 0; index < 6; index++) bytes[2 + index] = (UCHAR)(authority >> (40 - 8 * index));
  while (*rest == '-') {
    ULONG value = (ULONG)strtoul(rest + 1, &rest, 10);
    memcpy(bytes + 8 + 4 * count++, &value, 4);
  }
  bytes[1] = (UCHAR)count;
  return bytes;
}

/* A copy of some bytes behind which nothing can be read: the library is not instrumented, so a page that faults watches it. */
static inline __attribute__((unused)) UCHAR *guarded(const void *from, size_t length) {
  static UCHAR *pages;
  if (pages == NULL) {
    pages = (UCHAR *)mmap(NULL, 0x12000, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    if (pages == MAP_FAILED || mprotect(pages + 0x11000, 0x1000, PROT_NONE) != 0) abort();
  }
  memcpy(pages + 0x11000 - length, from, length);
  return pages + 0x11000 - length;
}

#ifndef CHECK_WITHOUT_MAIN
int main(int argc, char **argv) {
  unsigned failed_tests = 0, run = 0;
  for (unsigned index = 0; index < test_count; index++) {
    if (argc > 1 && strcmp(argv[1], tests[index].name) != 0) continue;
    unsigned before = failed_checks;
    run++;
    world(VICAR_PROFILE_WINDOWS_10, VICAR_VERIFIER_COLLECT);
    tests[index].run();
    OK(vicar_act_as(NULL));
    for (ULONG found = 0, count = vicar_verify(); found < count; found++) {
      char text[1000];
      vicar_finding_text(found, VICAR_FINDING_WHOLE, text, sizeof text);
      fprintf(stderr, "%s: %s\n", tests[index].name, text);
      failed_checks++;
    }
    vicar_findings_clear();
    if (failed_checks > before) {
      failed_tests++;
      printf("%s ... FAILED\n", tests[index].name);
    }
  }
  printf("checks: %u\ntest result: %s. %u passed; %u failed; 0 ignored\n", check_count, failed_tests ? "FAILED" : "ok",
         run - failed_tests, failed_tests);
  return failed_tests != 0 || run == 0;
}
#endif

#endif
