// A whole store in the simulated machine, databases, tokens and expiring keys included, under a fixed
// workload, with power lost at every call that changes something on the disk.
#pragma once

#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "server/host/host.h"
#include "server/kv/moment.h"
#include "tests/crash/model.h"
#include "tests/crash/run.h"
#include "tests/sim/machine.h"

namespace tidemark::crash {

struct StoreRunOptions {
  uint64_t seed = 1;  // of the schedule, of what is lost, and of the way that it wanders
  uint64_t crash_point_in = 1;
  int depth = 1;
  bool wanders = false;  // through a random history of Deno KV's keys, back and forth
};

class StoreRun {
 public:
  explicit StoreRun(const StoreRunOptions& options) : options_(options), random_(options.seed) {}
  // What is wrong; empty if nothing is.
  std::string go();
  const Tally& tally() const { return tally_; }
  uint64_t databases_made() const { return made_; }
  uint64_t databases_removed() const { return removed_; }
  uint64_t expired() const { return expired_; }

 private:
  enum class Presence : uint8_t { kPerhaps, kThere, kGone };
  struct KnownDatabase {
    Presence presence = Presence::kPerhaps;
    std::string name;      // once it is there
    std::string new_name;  // while it is being renamed
    Model model;
  };
  struct KnownToken {
    std::string secret;
    Presence good = Presence::kThere;
  };
  // A key of Deno KV: what it holds, or may hold while it is being written.
  struct Value {
    std::string data;
    int64_t expire_at_ms = 0;
  };
  struct KnownKey {
    std::optional<Value> value;
    std::optional<std::optional<Value>> perhaps;
  };

  void first_process();
  void second_process();
  void process(const std::function<void()>& work);
  bool open(sim::Machine& machine, bool make);
  void close();
  host::HostOptions host_options() const;

  void make(const std::string& name);
  void rename(const std::string& name, const std::string& new_name);
  void remove(const std::string& name, bool for_good);
  void bring_back(const std::string& name);
  void make_token();
  void revoke_token();
  void fill(const std::string& name, int commits);
  void overwrite_and_flush(const std::string& name);
  void ingest(const std::string& name);
  // Of an earlier moment; then both go on.
  void fork(const std::string& name, const std::string& new_name);
  // Changes keys of Deno KV, and takes that back.
  void rewind_keys();
  using Keys = std::map<std::string, std::optional<Value>>;
  Keys held() const;
  void rewind_to(const kv::Moment& then, Keys held);
  void wander();
  void set_key(const std::string& key, const std::string& data, int64_t expire_at_ms);
  void erase_key(const std::string& key);
  void write_key(const std::string& key, std::optional<Value> value);
  void let_expire();

  host::DatabaseRef use(const std::string& name);
  KnownDatabase& known(const std::string& name);
  void commit(const std::string& name,
              std::vector<std::pair<std::string, std::optional<std::string>>> writes);

  void on_change(uint64_t number, sim::Op op, const std::string& path);
  std::string check(sim::Disk disk, uint64_t seed, int depth) const;
  std::string check_host(host::Host& host, Random& random) const;
  std::string check_keys(host::Host& host) const;
  using Found = std::map<std::string, std::string>;
  bool fits(const std::optional<Value>& value, const Found& found, const std::string& key, int64_t before_ms,
            int64_t after_ms) const;

  bool failed() const { return !problem_.empty(); }
  void blame(const std::string& problem) {
    if (problem_.empty()) problem_ = problem;
  }
  void expect(bool condition, const std::string& problem) {
    if (!condition) blame(problem);
  }

  const StoreRunOptions options_;
  Random random_;
  sim::Disk disk_;
  int64_t wall_us_ = 1'700'000'000'000'000;
  sim::Machine* machine_ = nullptr;
  std::unique_ptr<Engine> engine_;
  std::unique_ptr<host::Host> host_;
  bool store_made_ = false;
  std::map<std::string, KnownDatabase> databases_;  // by id
  std::vector<KnownToken> tokens_;
  std::map<std::string, KnownKey> keys_;
  // While a rewind is under way: what all of them hold, if it has happened.
  std::optional<Keys> rewound_;
  uint64_t values_ = 0;
  uint64_t made_ = 0;
  uint64_t removed_ = 0;
  uint64_t expired_ = 0;
  std::string problem_;
  Tally tally_;
};

}  // namespace tidemark::crash
