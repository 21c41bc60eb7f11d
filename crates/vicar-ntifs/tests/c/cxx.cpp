/* The same from C++. */
#include <memory>
#include <vector>

#include "people.h"

namespace {

/* A client context that is deleted at the end of its block, and an impersonation that ends there. */
class Client {
 public:
  explicit Client(PETHREAD thread) : context_(client_of(thread)) {}
  ~Client() { SeDeleteClientSecurity(&context_); }
  Client(const Client &) = delete;
  Client &operator=(const Client &) = delete;
  PSECURITY_CLIENT_CONTEXT get() { return &context_; }

 private:
  SECURITY_CLIENT_CONTEXT context_;
};

struct Revert {
  ~Revert() { SeStopImpersonatingClient(); }
};

constexpr std::size_t size = sizeof(SECURITY_CLIENT_CONTEXT);
static_assert(size == 72, "as in C");

}  // namespace

TEST(objects_of_cxx_give_back_what_they_hold) {
  people();
  LONG64 before = vicar_balance();
  {
    Client client(alice);
    Revert revert;
    OK(SeImpersonateClientEx(client.get(), nullptr));
    OK(may_read(readable_by(ALICE)));
  }
  acts_at(-1);
  EQ(vicar_balance(), before);
}

TEST(lists_of_cxx_find_their_entries) {
  struct Entry {
    LIST_ENTRY link;
    int value;
  };
  LIST_ENTRY head;
  std::vector<std::unique_ptr<Entry>> kept;
  InitializeListHead(&head);
  for (int value = 0; value < 3; value++) {
    kept.push_back(std::make_unique<Entry>());
    kept.back()->value = value;
    InsertTailList(&head, &kept.back()->link);
  }
  for (int value = 0; value < 3; value++) {
    CHECK(!IsListEmpty(&head));
    EQ(CONTAINING_RECORD(RemoveHeadList(&head), Entry, link)->value, value);
  }
  CHECK(IsListEmpty(&head));
}
