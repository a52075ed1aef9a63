// A store of objects outside of the simulated machine: it takes its time, fails, and does late what it was
// asked for. What it holds outlives the machine.
#pragma once

#include <cstdint>
#include <functional>
#include <string>

#include "tests/sim/scheduler.h"
#include "tests/support/memory_object_store.h"

namespace tidemark::crash {

// As one process reaches it. For fibers of one scheduler; requests that were given up may still arrive until
// that has ended.
class DistantStore final : public backup::ObjectStore {
 public:
  DistantStore(sim::Scheduler& scheduler, MemoryObjectStore& objects)
      : scheduler_(scheduler), objects_(objects) {}

  // Called before each request arrives, and again before its answer does, with a number counted from 1.
  using Hook = std::function<void(uint64_t number, const std::string& what)>;
  void set_hook(Hook hook) { hook_ = std::move(hook); }
  // One in so many requests goes wrong; 0: none.
  void set_faults(uint64_t one_in) { faults_ = one_in; }
  // The machine has lost its power: what is on its way may arrive, nothing is answered.
  void cut_off() { off_ = true; }
  uint64_t faults_met() const { return faults_met_; }

  Result<std::string> put(std::string_view key, std::string_view bytes,
                          const backup::PutCondition& condition) override;
  Result<std::optional<backup::Object>> get_if_changed(std::string_view key, std::string_view known_tag,
                                                       uint64_t max_bytes) override;
  Result<backup::ObjectPage> list(std::string_view prefix, std::string_view start_after,
                                  int max_keys) override;
  Result<std::vector<std::string>> list_folders(std::string_view prefix) override;
  Status remove(std::string_view key) override;
  void cancel() override {}
  std::string describe() const override { return objects_.describe(); }

 private:
  enum class Fate : uint8_t { kDone, kRefused, kUnheard, kHalf, kLate };

  // Waits, and says what becomes of the request.
  Fate begin(const std::string& what);
  template <class T>
  Result<T> end(const std::string& what, Fate fate, Result<T> answer);
  void pass_some_time();
  static std::unexpected<Error> unreachable(const std::string& what) {
    return fail(ErrorCode::kUnavailable, what + ": the store cannot be reached");
  }

  sim::Scheduler& scheduler_;
  MemoryObjectStore& objects_;
  Hook hook_;
  uint64_t faults_ = 0;
  uint64_t faults_met_ = 0;
  uint64_t number_ = 0;
  bool off_ = false;
};

}  // namespace tidemark::crash
