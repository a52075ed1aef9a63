#include "tests/crash/model.h"

#include <algorithm>

namespace tidemark::crash {
namespace {

std::string shown(const std::string& text) {
  return text.size() <= 24 ? text : text.substr(0, 24) + "... (" + std::to_string(text.size()) + " bytes)";
}

std::string shown(const Version& version) {
  return shown(version.value) + " of " + version.stamp.hex();
}

void apply(State& state, const Written& write) {
  if (write.value)
    state[write.key] = {*write.value, write.stamp};
  else
    state.erase(write.key);
}

}  // namespace

void Model::see(Entry& entry) {
  entry.unseen = false;
  for (const Written& write : entry.writes) apply(newest_, write);
}

// Seldom: the newest values of its keys are looked for again.
void Model::drop(std::map<Versionstamp, Entry>::iterator dropped) {
  const std::vector<Written> writes = std::move(dropped->second.writes);
  entries_.erase(dropped);
  for (const Written& write : writes) newest_.erase(write.key);
  for (const auto& [stamp, entry] : entries_)
    for (const Written& write : entry.writes)
      if (!entry.unseen && std::ranges::find(writes, write.key, &Written::key) != writes.end())
        apply(newest_, write);
}

void Model::follow(std::optional<Versionstamp> previous, Versionstamp stamp) {
  if (previous) {
    const auto seen = entries_.find(*previous);
    if (seen != entries_.end() && seen->second.unseen) see(seen->second);
  }
  // An ingest may still come as long as no commit above it has been seen.
  for (auto it = entries_.begin(); previous && it != entries_.end() && it->first < *previous;) {
    const auto next = std::next(it);
    if (it->second.unseen) drop(it);
    it = next;
  }
  for (auto it = previous ? entries_.upper_bound(*previous) : entries_.lower_bound(stamp);
       it != entries_.end();) {
    const auto next = std::next(it);
    if (!it->second.unseen) {
      if (it->second.fate == Fate::kDurable)
        blame("commit " + stamp.hex() + " did not see " + it->first.hex() +
              ", which was acknowledged before");
      drop(it);
    }
    it = next;
  }
}

void Model::begin(Versionstamp stamp, int64_t timestamp_ms, std::vector<Written> writes, int64_t open_us) {
  Entry& entry = entries_[stamp];
  entry = {timestamp_ms, std::move(writes), open_us, false, true, Fate::kPerhaps};
  see(entry);
}

void Model::begin_ingest(Versionstamp last, int64_t timestamp_ms, std::vector<Written> writes,
                         int64_t open_us) {
  // In the order of their stamps, so that of one key the newest comes last.
  std::ranges::stable_sort(writes, {}, &Written::stamp);
  entries_[last] = {timestamp_ms, std::move(writes), open_us, true, true, Fate::kPerhaps};
}

void Model::finish(Versionstamp stamp, const CommitOutcome& outcome) {
  const auto entry = entries_.find(stamp);
  if (entry == entries_.end()) {
    if (outcome.committed)
      blame("commit " + stamp.hex() + " was acknowledged, and the one after it did not see it");
    return;
  }
  if (outcome.committed) {
    if (entry->second.fate != Fate::kDurable) ++acknowledged_count_;
    entry->second.fate = Fate::kDurable;
    if (entry->second.unseen) see(entry->second);
    acknowledged_ = std::max(acknowledged_, stamp);
  } else if (outcome.status || outcome.status.error().code != ErrorCode::kUnknownOutcome) {
    drop(entry);
  }
}

std::string Model::check_head(Versionstamp head, int64_t timestamp_ms) const {
  if (head < acknowledged_)
    return "the head is " + head.hex() + ", and " + acknowledged_.hex() + " was acknowledged";
  if (head < shown_) return "the head is " + head.hex() + ", and " + shown_.hex() + " was seen by somebody";
  if (head == Versionstamp::min()) return {};
  const auto entry = entries_.find(head);
  if (entry == entries_.end()) return "the head is " + head.hex() + ", which is no commit";
  if (entry->second.timestamp_ms != timestamp_ms)
    return "the head's time is " + std::to_string(timestamp_ms) + ", and was " +
           std::to_string(entry->second.timestamp_ms);
  return {};
}

std::string Model::check_horizon(Versionstamp horizon, std::optional<int64_t> retention_us,
                                 int64_t open_us) const {
  // Not below where it was *durable*; what was seen of it in memory may be lost with everything else.
  if (horizon == Versionstamp::min()) return {};
  if (!retention_us) return "the horizon is " + horizon.hex() + ", and history lasts for ever";
  const auto next = entries_.upper_bound(horizon);
  // What was superseded at `next` must have been so for long enough.
  if (next == entries_.end()) return {};
  const auto at = entries_.find(horizon);
  const int64_t age_us = open_us - (at == entries_.end() ? next : at)->second.open_us;
  if (age_us + 2000 >= *retention_us) return {};
  return "the horizon is " + horizon.hex() + ", which is " + std::to_string(age_us) +
         " us old, and history lasts " + std::to_string(*retention_us) + " us";
}

std::string Model::check_changes(const Changes& found, Versionstamp from, Versionstamp to) const {
  Changes wanted;
  for (auto it = entries_.upper_bound(from); it != entries_.end() && it->first <= to; ++it) {
    const Entry& entry = it->second;
    if (entry.unseen && it->first != to) continue;
    wanted[it->first].timestamp_ms = entry.timestamp_ms;
    for (const Written& write : entry.writes) {
      // An ingest has several.
      if (write.stamp <= from) continue;
      Change& change = wanted[write.stamp];
      change.timestamp_ms = entry.timestamp_ms;
      change.keys.insert(write.key);
    }
  }
  auto w = wanted.begin();
  for (auto f = found.upper_bound(from); f != found.end() || w != wanted.end(); ++w) {
    if (f == found.end() || (w != wanted.end() && w->first < f->first))
      return "commit " + w->first.hex() + " is in no change file";
    if (w == wanted.end() || f->first < w->first)
      return "commit " + f->first.hex() + " is in a change file, and never was";
    if (f->second != w->second) return "commit " + f->first.hex() + " is another one in its change file";
    ++f;
  }
  return {};
}

void Model::settle(Versionstamp head) {
  while (!entries_.empty() && entries_.rbegin()->first > head) {
    if (entries_.rbegin()->second.fate == Fate::kDurable)
      blame("commit " + entries_.rbegin()->first.hex() + " was acknowledged and is lost");
    drop(std::prev(entries_.end()));
  }
  for (auto it = entries_.begin(); it != entries_.end();) {
    const auto next = std::next(it);
    Entry& entry = it->second;
    entry.fate = Fate::kDurable;
    if (entry.unseen && it->first == head) see(entry);
    // What committed above it got ahead of it, and it can come no more.
    if (entry.unseen) drop(it);
    it = next;
  }
  acknowledged_ = std::max(acknowledged_, head);
}

void Model::fork(Versionstamp at) {
  while (!entries_.empty() && entries_.rbegin()->first > at) drop(std::prev(entries_.end()));
  acknowledged_ = at;
  shown_ = std::min(shown_, at);
}

State Model::state_at(Versionstamp stamp, Versionstamp head) const {
  State state;
  for (auto it = entries_.begin(); it != entries_.end() && it->first <= head; ++it) {
    // What committed above an ingest has either seen it or got ahead of it.
    if (it->second.unseen && it->first != head) continue;
    for (const Written& write : it->second.writes)
      if (write.stamp <= stamp) apply(state, write);
  }
  return state;
}

const Version* Model::newest(const std::string& key) const {
  const auto found = newest_.find(key);
  return found == newest_.end() ? nullptr : &found->second;
}

std::vector<Versionstamp> Model::stamps(Versionstamp from, Versionstamp to) const {
  std::vector<Versionstamp> all;
  for (auto it = entries_.lower_bound(from); it != entries_.end() && it->first <= to; ++it)
    all.push_back(it->first);
  return all;
}

Versionstamp Model::newest_stamp() const {
  return entries_.empty() ? Versionstamp::min() : entries_.rbegin()->first;
}

std::string Model::describe() const {
  std::string out;
  for (const auto& [stamp, entry] : entries_) {
    out += stamp.hex() + (entry.fate == Fate::kDurable ? " durable" : " perhaps") +
           (entry.unseen ? ", an ingest not seen yet" : "") + ", open for " + std::to_string(entry.open_us) +
           " us\n";
    for (const Written& write : entry.writes)
      out += "  " + write.key + (write.value ? " = " + shown(*write.value) : std::string(" erased")) +
             (write.stamp == stamp ? "" : " at " + write.stamp.hex()) + "\n";
  }
  return out + "acknowledged " + acknowledged_.hex() + ", seen " + shown_.hex() + "\n";
}

std::string difference(const State& wanted, const State& found) {
  auto w = wanted.begin(), f = found.begin();
  while (w != wanted.end() || f != found.end()) {
    if (f == found.end() || (w != wanted.end() && w->first < f->first))
      return shown(w->first) + " is missing; it was " + shown(w->second);
    if (w == wanted.end() || f->first < w->first)
      return shown(f->first) + " is there as " + shown(f->second) + ", and should not be";
    if (w->second != f->second)
      return shown(f->first) + " is " + shown(f->second) + " instead of " + shown(w->second);
    ++w, ++f;
  }
  return {};
}

}  // namespace tidemark::crash
