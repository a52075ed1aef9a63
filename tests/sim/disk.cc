#include "tests/sim/disk.h"

#include <algorithm>
#include <optional>
#include <set>
#include <unordered_map>

#include "engine/base/check.h"

namespace tidemark::sim {

std::string& Node::own(std::shared_ptr<std::string>& bytes) {
  if (bytes.use_count() > 1) bytes = std::make_shared<std::string>(*bytes);
  return *bytes;
}

void Node::apply(std::string& bytes, const Change& change) {
  if (const auto* resize = std::get_if<Resize>(&change)) {
    bytes.resize(resize->size, '\0');
    return;
  }
  const Write& write = std::get<Write>(change);
  if (bytes.size() < write.offset + write.bytes.size()) bytes.resize(write.offset + write.bytes.size(), '\0');
  std::copy(write.bytes.begin(), write.bytes.end(), bytes.begin() + static_cast<ptrdiff_t>(write.offset));
}

void Node::apply(Entries& entries, const DirChange& change) {
  for (const auto& [name, node] : change) {
    if (node == nullptr)
      entries.erase(name);
    else
      entries[name] = node;
  }
}

void Node::write(uint64_t offset, std::string_view bytes) {
  changes_.emplace_back(Write{offset, std::string(bytes)});
  apply(own(bytes_), changes_.back());
}

void Node::resize(uint64_t size) {
  changes_.emplace_back(Resize{size});
  apply(own(bytes_), changes_.back());
}

// Another sync, begun later, may have ended before.
template <class F>
void Node::end_sync(uint64_t mark, F&& is_kept) {
  if (mark <= synced_changes_) return;
  const auto count = static_cast<ptrdiff_t>(mark - synced_changes_);
  synced_changes_ = mark;
  const auto end = [count](auto& changes, auto& synced, auto& kept) {
    for (ptrdiff_t i = 0; i < count; ++i)
      if (kept()) apply(synced, changes[static_cast<size_t>(i)]);
    changes.erase(changes.begin(), changes.begin() + count);
  };
  if (is_dir_)
    end(dir_changes_, synced_entries_, is_kept);
  else
    end(changes_, own(synced_), is_kept);
}

void Node::finish_sync(uint64_t mark) {
  end_sync(mark, [] { return true; });
}

void Node::fail_sync(uint64_t mark, Random& random) {
  end_sync(mark, [&] { return random.one_in(2); });
}

void Node::change(DirChange change) {
  apply(entries_, change);
  dir_changes_.push_back(std::move(change));
}

void Node::set_entry(const std::string& name, std::shared_ptr<Node> node) {
  change({{name, std::move(node)}});
}

void Node::remove_entry(const std::string& name) {
  change({{name, nullptr}});
}

void Node::move_entry(const std::string& from, const std::string& to) {
  change({{to, entries_.at(from)}, {from, nullptr}});
}

void Node::flip_bit(uint64_t bit) {
  for (auto* bytes : {&bytes_, &synced_}) {
    std::string& own_bytes = own(*bytes);
    if (bit / 8 < own_bytes.size())
      own_bytes[bit / 8] = static_cast<char>(own_bytes[bit / 8] ^ (1 << bit % 8));
  }
}

std::shared_ptr<Node> Disk::find(std::string_view path) const {
  std::shared_ptr<Node> node = root_;
  while (!path.empty() && node != nullptr) {
    const size_t slash = std::min(path.find('/'), path.size());
    const std::string_view name = path.substr(0, slash);
    path.remove_prefix(std::min(slash + 1, path.size()));
    if (name.empty()) continue;
    const auto found = node->entries().find(std::string(name));
    node = found == node->entries().end() ? nullptr : found->second;
  }
  return node;
}

namespace {

template <class F>
void visit_files(const Node& dir, const std::string& path, F&& visit) {
  for (const auto& [name, node] : dir.entries()) {
    if (node->is_dir())
      visit_files(*node, path + "/" + name, visit);
    else
      visit(path + "/" + name, *node);
  }
}

}  // namespace

uint64_t Disk::bytes() const {
  uint64_t sum = 0;
  std::set<const Node*> seen;
  visit_files(*root_, "", [&](const std::string&, const Node& file) {
    if (seen.insert(&file).second) sum += file.bytes().size();
  });
  return sum;
}

std::vector<std::string> Disk::files() const {
  std::vector<std::string> paths;
  visit_files(*root_, "", [&](const std::string& path, const Node&) { paths.push_back(path); });
  return paths;
}

// One power loss. A file that has two names stays one.
class Disk::Crash {
 public:
  // No loss: everything is on the disk.
  Crash(std::optional<Loss> loss, Random& random)
      : loss_(loss), random_(random), sector_(random.one_in(2) ? 512 : 4096) {
    static constexpr uint64_t kOdds[] = {2, 4, 10};
    odds_ = kOdds[random_.below(3)];
    mostly_kept_ = random_.one_in(2);
  }

  std::shared_ptr<Node> found(const std::shared_ptr<Node>& node) {
    auto& copy = copies_[node.get()];
    if (copy != nullptr) return copy;
    copy = std::make_shared<Node>(node->is_dir());
    const std::shared_ptr<Node> result = copy;  // the map may grow
    if (node->is_dir()) {
      for (const auto& [name, entry] : entries_left(*node)) result->entries_[name] = found(entry);
      result->synced_entries_ = result->entries_;
    } else {
      result->bytes_ = bytes_left(*node);
      result->synced_ = result->bytes_;
    }
    return result;
  }

 private:
  bool survives() { return random_.one_in(odds_) != mostly_kept_; }

  // How many changes a loss of kind kTail leaves whole.
  size_t whole(size_t count) { return random_.below(count + 1); }

  Node::Entries entries_left(const Node& dir) {
    if (!loss_ || *loss_ == Loss::kNone) return dir.entries_;
    Node::Entries entries = dir.synced_entries_;
    if (*loss_ == Loss::kAll) return entries;
    const size_t kept = *loss_ == Loss::kTail ? whole(dir.dir_changes_.size()) : dir.dir_changes_.size();
    for (size_t i = 0; i < kept; ++i)
      if (*loss_ == Loss::kTail || survives()) Node::apply(entries, dir.dir_changes_[i]);
    return entries;
  }

  std::shared_ptr<std::string> bytes_left(const Node& file) {
    if (!loss_ || *loss_ == Loss::kNone) return file.bytes_;
    if (*loss_ == Loss::kAll || file.changes_.empty()) return file.synced_;
    auto bytes = std::make_shared<std::string>(*file.synced_);
    if (*loss_ == Loss::kTail) {
      const size_t kept = whole(file.changes_.size());
      for (size_t i = 0; i < kept; ++i) Node::apply(*bytes, file.changes_[i]);
      if (kept < file.changes_.size()) apply_part(*bytes, file.changes_[kept]);
      return bytes;
    }
    for (const Node::Change& change : file.changes_) apply_sectors(*bytes, change);
    return bytes;
  }

  void apply_part(std::string& bytes, const Node::Change& change) {
    const auto* write = std::get_if<Node::Write>(&change);
    if (write == nullptr) return;
    Node::apply(bytes,
                Node::Write{write->offset, write->bytes.substr(0, random_.below(write->bytes.size() + 1))});
  }

  void apply_sectors(std::string& bytes, const Node::Change& change) {
    const auto* write = std::get_if<Node::Write>(&change);
    if (write == nullptr) {
      if (survives()) Node::apply(bytes, change);
      return;
    }
    for (size_t done = 0; done < write->bytes.size();) {
      const uint64_t offset = write->offset + done;
      const size_t size = std::min<size_t>(sector_ - offset % sector_, write->bytes.size() - done);
      std::string sector = write->bytes.substr(done, size);
      done += size;
      if (!survives()) {
        if (random_.one_in(2)) continue;
        const bool zeros = random_.one_in(2);
        for (char& c : sector) c = zeros ? '\0' : static_cast<char>(random_.next());
      }
      Node::apply(bytes, Node::Write{offset, std::move(sector)});
    }
  }

  const std::optional<Loss> loss_;
  Random& random_;
  const uint64_t sector_;
  uint64_t odds_ = 2;
  bool mostly_kept_ = false;
  std::unordered_map<const Node*, std::shared_ptr<Node>> copies_;
};

Disk Disk::after_crash(Loss loss, Random& random) const {
  Disk disk;
  disk.root_ = Crash(loss, random).found(root_);
  return disk;
}

Disk Disk::copy() const {
  Random unused(0);
  Disk disk;
  disk.root_ = Crash(std::nullopt, unused).found(root_);
  return disk;
}

}  // namespace tidemark::sim
