// A database and its backup through several processes: writers, the shipper, a replica and merges in one
// simulated machine, which loses power at requests to the store of objects and at calls that change its disk.
// Behind each, what the store holds is restored, and what the disk holds is gone on with.
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <string>

#include "server/backup/service.h"
#include "tests/crash/distant_store.h"
#include "tests/crash/model.h"
#include "tests/sim/machine.h"

namespace tidemark::crash {

struct BackupRunOptions {
  uint64_t seed = 1;
  int processes = 3;
  // One in so many is a crash point; 1: all.
  uint64_t request_in = 2;  // before a request arrives, and before its answer does
  uint64_t change_in = 20;  // calls that change the disk
  int steps = 15;           // of each client
  bool faults = true;
};

class BackupRun {
 public:
  struct Tally {
    uint64_t runs = 0;
    uint64_t crash_points = 0;  // each with a restore and a comparison behind it
    uint64_t at_requests = 0;   // of those
    uint64_t gone_on = 0;       // of those: with the disk gone on with until all was shipped
    uint64_t power_losses = 0;  // that a run went on from
    uint64_t commits = 0;       // acknowledged
    uint64_t requests = 0;
    uint64_t faults = 0;       // of the store
    uint64_t generations = 0;  // that the store held in the end
    uint64_t gaps = 0;         // of those: not continuing the one before
    uint64_t pulled = 0;       // commits, by the replica
    uint64_t refilled = 0;     // replicas that had to begin anew
    uint64_t gated = 0;        // runs whose commits waited for the store

    void add(const Tally& other);
  };

  explicit BackupRun(const BackupRunOptions& options);
  // What is wrong; empty if nothing is.
  std::string go();
  const Tally& tally() const { return tally_; }

 private:
  class Write;
  // What was promised about the store's contents.
  struct Promise {
    Versionstamp acknowledged;
    Versionstamp shipped;  // was said to be in the store
    bool restorable = false;
  };

  void choose_terms();
  void one_process();
  void main();
  void work();
  void poll_until_done();
  void write_some();
  void follow_some();
  void follow();
  std::string replica_dir() const;
  DatabaseOptions replica_options() const;
  void maintain_some();
  void ingest();
  void look_at_promise();

  void on_change(uint64_t number, sim::Op op, const std::string& path);
  void on_request(uint64_t number, const std::string& what);
  void crash_point(bool lost, uint64_t one_in, const std::string& when);
  // Of what the store holds now, and of the disk if it is given. Outside of the machine.
  std::string check(std::optional<sim::Disk> disk, bool all);
  std::string check_restore(Engine& engine, backup::ObjectStore& store, Random& random, bool all) const;
  std::string check_until(Engine& engine, backup::ObjectStore& store, Versionstamp until, Versionstamp end,
                          const std::string& dir) const;
  std::string go_on(Engine& engine, const std::shared_ptr<MemoryObjectStore>& store, Random& random) const;
  std::string go_on_following(Engine& engine, backup::ObjectStore& store, Versionstamp head) const;
  std::string compare_states(Database& database, const Model& model, Versionstamp head, Random& random) const;
  static uint64_t gaps(backup::ObjectStore& store);
  static bool excused(const Error& error, backup::ObjectStore& store);

  bool done() const { return off_ || !model_.problem().empty(); }
  backup::ShipperIdentity identity(const std::string& session) const {
    return {"database", "default", "store", session};
  }

  const BackupRunOptions options_;
  Random random_;  // for what must not depend on the order of fibers
  DatabaseOptions database_options_;
  backup::ShipperOptions shipper_options_;
  bool chained_ = false;  // each commit says which one it has seen before it
  bool may_let_go_ = false;
  sim::Disk disk_;
  const std::shared_ptr<MemoryObjectStore> objects_ = std::make_shared<MemoryObjectStore>();
  Model model_;
  Promise promise_;
  int64_t wall_us_ = 1'700'000'000'000'000;
  int processes_ = 0;
  uint64_t values_ = 0;
  int replicas_ = 0;
  Tally tally_;

  // Of the process that lives.
  sim::Machine* machine_ = nullptr;
  std::shared_ptr<DistantStore> store_;
  std::unique_ptr<Engine> engine_;
  std::unique_ptr<backup::BackupService> service_;
  std::shared_ptr<Database> database_;
  int working_ = 0;  // fibers
  bool off_ = false;
  uint64_t lost_at_change_ = 0;
  uint64_t lost_at_request_ = 0;
  std::optional<sim::Disk> lost_;
};

}  // namespace tidemark::crash
