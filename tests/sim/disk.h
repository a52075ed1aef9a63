// What a disk holds, what the system believes that it holds, and what may be left of it when the power goes.
#pragma once

#include <cstdint>
#include <map>
#include <memory>
#include <string>
#include <string_view>
#include <utility>
#include <variant>
#include <vector>

#include "engine/base/random.h"

namespace tidemark::sim {

// A file or a folder. What was written and not yet synced is kept apart, in order.
class Node {
 public:
  using Entries = std::map<std::string, std::shared_ptr<Node>>;

  explicit Node(bool is_dir) : is_dir_(is_dir) {}
  bool is_dir() const { return is_dir_; }

  // Of a file: as the system shows it.
  const std::string& bytes() const { return *bytes_; }
  void write(uint64_t offset, std::string_view bytes);
  void resize(uint64_t size);
  // What a sync that begins now will make durable, for those below.
  uint64_t sync_mark() const { return synced_changes_ + changes_.size() + dir_changes_.size(); }
  // All up to the mark is on the disk.
  void finish_sync(uint64_t mark);
  // The sync failed: each change up to the mark may be on the disk or not, and no later sync will tell.
  void fail_sync(uint64_t mark, Random& random);

  // Of a folder: as the system shows it.
  const Entries& entries() const { return entries_; }
  void set_entry(const std::string& name, std::shared_ptr<Node> node);
  void remove_entry(const std::string& name);
  // One change: seen whole or not at all.
  void move_entry(const std::string& from, const std::string& to);

  // Damage: a bit of what is there and on the disk turns over.
  void flip_bit(uint64_t bit);

 private:
  friend class Disk;
  struct Write {
    uint64_t offset;
    std::string bytes;
  };
  struct Resize {
    uint64_t size;
  };
  using Change = std::variant<Write, Resize>;
  // Names and what they stand for from then on; null: nothing.
  using DirChange = std::vector<std::pair<std::string, std::shared_ptr<Node>>>;

  template <class F>
  void end_sync(uint64_t mark, F&& is_kept);
  static void apply(std::string& bytes, const Change& change);
  static void apply(Entries& entries, const DirChange& change);
  static std::string& own(std::shared_ptr<std::string>& bytes);
  void change(DirChange change);

  const bool is_dir_;
  // Copied when written to while shared with the disk of a crash.
  std::shared_ptr<std::string> bytes_ = std::make_shared<std::string>();
  std::shared_ptr<std::string> synced_ = std::make_shared<std::string>();
  std::vector<Change> changes_;
  Entries entries_;
  Entries synced_entries_;
  std::vector<DirChange> dir_changes_;
  uint64_t synced_changes_ = 0;
};

// How a crash treats what was not synced.
enum class Loss : uint8_t {
  kAll,      // nothing of it is there
  kNone,     // all of it is
  kTail,     // of each file and folder all up to some moment, what was under way then by half
  kSectors,  // each sector as it happens: new, old, zeros or garbage; entries and sizes too
};
inline constexpr int kLosses = 4;

class Disk {
 public:
  Disk() : root_(std::make_shared<Node>(true)) {}

  Node& root() { return *root_; }
  const Node& root() const { return *root_; }
  // Null if there is none.
  std::shared_ptr<Node> find(std::string_view path) const;
  // Bytes of all files.
  uint64_t bytes() const;
  // Paths of all files, in order.
  std::vector<std::string> files() const;

  // Another disk, as this one might be found after power loss.
  Disk after_crash(Loss loss, Random& random) const;
  // Another disk, as this one is, with all that the system believes to be there.
  Disk copy() const;

 private:
  class Crash;

  std::shared_ptr<Node> root_;
};

}  // namespace tidemark::sim
