// One function a subject, each adding its families to a list that prometheus-cpp writes out. The figures lie
// with those who count them; nothing is kept here. What is told of databases is told of a list of them, each
// with its labels: of one that stands for all, or of each by name.
#include "tools/metrics.h"

#include <prometheus/metric_family.h>
#include <prometheus/text_serializer.h>

#include <algorithm>
#include <array>
#include <filesystem>
#include <functional>
#include <optional>
#include <system_error>
#include <utility>
#include <vector>

#include "tools/backup_driver.h"
#include "tools/replica.h"

namespace tidemark::tools {
namespace {

using prometheus::ClientMetric;
using prometheus::MetricType;
using Label = ClientMetric::Label;

constexpr double kMicroseconds = 1e-6;

class Families {
 public:
  struct Sample {
    std::vector<Label> labels;
    double value;
  };

  void counter(const char* name, const char* help, uint64_t value) {
    counters(name, help, {{{}, static_cast<double>(value)}});
  }
  void counters(const char* name, const char* help, const std::vector<Sample>& samples) {
    add(name, help, MetricType::Counter, samples,
        [](ClientMetric& metric, double value) { metric.counter.value = value; });
  }
  void gauge(const char* name, const char* help, uint64_t value) {
    gauges(name, help, {{{}, static_cast<double>(value)}});
  }
  void gauges(const char* name, const char* help, const std::vector<Sample>& samples) {
    add(name, help, MetricType::Gauge, samples,
        [](ClientMetric& metric, double value) { metric.gauge.value = value; });
  }

  // Bounds are the powers of two from 2^first to 2^last, times `unit`.
  struct Bounds {
    size_t first;
    size_t last;
    double unit;
  };
  struct Distribution {
    std::vector<Label> labels;
    HistogramCounts counts;
  };
  void histograms(const char* name, const char* help, const Bounds& bounds,
                  const std::vector<Distribution>& distributions) {
    prometheus::MetricFamily family{name, help, MetricType::Histogram, {}};
    for (const Distribution& one : distributions) {
      ClientMetric& metric = family.metric.emplace_back();
      metric.label = one.labels;
      // The total is what the buckets have: all of it comes from one reading.
      metric.histogram.sample_count = one.counts.count();
      metric.histogram.sample_sum = static_cast<double>(one.counts.sum) * bounds.unit;
      uint64_t below = 0;
      for (size_t k = 0; k <= bounds.last; ++k) {
        below += one.counts.counts[k];
        if (k < bounds.first) continue;
        metric.histogram.bucket.push_back({below, static_cast<double>(uint64_t{1} << k) * bounds.unit});
      }
    }
    families_.push_back(std::move(family));
  }

  std::string text() const { return prometheus::TextSerializer().Serialize(families_); }

 private:
  template <class F>
  void add(const char* name, const char* help, MetricType type, const std::vector<Sample>& samples, F&& set) {
    prometheus::MetricFamily family{name, help, type, {}};
    for (const Sample& sample : samples) {
      ClientMetric& metric = family.metric.emplace_back();
      metric.label = sample.labels;
      set(metric, sample.value);
    }
    families_.push_back(std::move(family));
  }

  std::vector<prometheus::MetricFamily> families_;
};

constexpr Families::Bounds kTimes{5, 24, kMicroseconds};  // 32 us to 17 s
constexpr Families::Bounds kGroups{0, 14, 1};

std::string status_class(size_t hundreds) {
  return std::to_string(hundreds) + "xx";
}

void add_requests(Families& out, const RequestMetrics& requests) {
  std::vector<Families::Sample> answers;
  std::vector<Families::Distribution> durations;
  for (size_t k = 0; k < kCallKinds; ++k) {
    const auto kind = static_cast<CallKind>(k);
    const std::string name(to_string(kind));
    const RequestMetrics::Call call = requests.read(kind);
    for (size_t hundreds = 2; hundreds < call.answers.size(); ++hundreds)
      answers.push_back({{{"call", name}, {"status", status_class(hundreds)}},
                         static_cast<double>(call.answers[hundreds])});
    durations.push_back({{{"call", name}}, call.duration_us});
  }
  out.counters("tidemark_requests_total", "Requests answered, by call and class of the status.", answers);
  out.histograms("tidemark_request_duration_seconds",
                 "From a request's last byte, as it was taken up, to its answer.", kTimes, durations);
}

void add_listener(Families& out, const http::Counters& counters) {
  out.gauge("tidemark_connections_open", "Connections open now.", counters.connections_open);
  out.counter("tidemark_connections_total", "Connections accepted and served.", counters.connections_total);
  out.counter("tidemark_connections_refused_total", "Connections closed at once, for being too many.",
              counters.connections_refused);
  out.counter("tidemark_accept_errors_total", "Failures to accept a connection.", counters.accept_errors);
  std::vector<Families::Sample> responses;
  for (size_t hundreds = 2; hundreds < counters.responses.size(); ++hundreds)
    responses.push_back(
        {{{"status", status_class(hundreds)}}, static_cast<double>(counters.responses[hundreds])});
  out.counters("tidemark_http_responses_total",
               "HTTP responses by class of the status, refusals of malformed requests included.", responses);
  out.counter("tidemark_http_timeouts_total", "Connections and streams ended for being slow.",
              counters.timeouts);
  out.counter("tidemark_http_floods_total", "HTTP/2 connections ended for floods of frames.",
              counters.floods);
  out.gauge("tidemark_http_response_bytes_waiting", "Bytes of answers not sent yet, with what is reserved.",
            counters.response_bytes_waiting);
  out.gauge("tidemark_http_request_bytes_held", "Bytes of request bodies in memory.",
            counters.request_bytes_held);
  out.counter("tidemark_http_wakeups_total", "Wake-ups of network threads by answers from other threads.",
              counters.wakeups);
  out.counter("tidemark_http_writes_total", "System calls that wrote to a client.", counters.writes);
}

void add_cache(Families& out, const EngineStats& stats) {
  out.counter("tidemark_block_cache_hits_total", "Blocks found in memory.", stats.block_cache_hits);
  out.counter("tidemark_block_cache_misses_total", "Blocks looked for in memory and not found.",
              stats.block_cache_misses);
  out.gauge("tidemark_block_cache_bytes", "Memory of cached blocks.", stats.block_cache_bytes);
  out.gauge("tidemark_segment_index_bytes", "Memory of indexes and filters of open segments.",
            stats.index_bytes);
  out.gauge("tidemark_block_cache_capacity_bytes", "Memory that blocks, indexes and filters may take.",
            stats.block_cache_capacity_bytes);
  out.gauge("tidemark_open_segments", "Segment files open now.", stats.open_segments);
}

// Of one database, or of all together.
struct Measured {
  std::vector<Label> labels;
  DatabaseStats stats;
  uint64_t expired_keys = 0;
  // Of those that are open.
  bool open = false;
  uint64_t watches = 0;
  int64_t expiry_lag_ms = 0;
};
using Databases = std::vector<Measured>;

// A sample of each.
template <class F>
std::vector<Families::Sample> each(const Databases& databases, F&& figure, double unit = 1) {
  std::vector<Families::Sample> samples;
  for (const Measured& one : databases)
    samples.push_back({one.labels, static_cast<double>(std::invoke(figure, one)) * unit});
  return samples;
}
template <class T, class C>
std::vector<Families::Sample> each(const Databases& databases, T C::* figure, double unit = 1) {
  return each(databases, [figure](const Measured& one) { return one.stats.*figure; }, unit);
}
std::vector<Families::Distribution> each_histogram(const Databases& databases,
                                                   HistogramCounts DatabaseCounters::* figure) {
  std::vector<Families::Distribution> distributions;
  for (const Measured& one : databases) distributions.push_back({one.labels, one.stats.*figure});
  return distributions;
}
// A sample of each level of those that are open.
std::vector<Families::Sample> each_level(const Databases& databases, uint64_t LevelStats::* figure) {
  std::vector<Families::Sample> samples;
  for (const Measured& one : databases) {
    for (const LevelStats& level : one.stats.live) {
      std::vector<Label> labels = one.labels;
      labels.push_back({"level", std::to_string(level.level)});
      samples.push_back({std::move(labels), static_cast<double>(level.*figure)});
    }
  }
  return samples;
}

void add_commits(Families& out, const Databases& all) {
  out.counters("tidemark_commits_total", "Commits made durable.", each(all, &DatabaseStats::commits));
  out.histograms("tidemark_commit_group_commits", "Commits of each group, which share one sync.", kGroups,
                 each_histogram(all, &DatabaseStats::group_commits));
  out.histograms("tidemark_sync_duration_seconds", "Syncs of the log.", kTimes,
                 each_histogram(all, &DatabaseStats::sync_us));
  out.counters("tidemark_write_delay_seconds_total", "Time by which writers were held back.",
               each(all, &DatabaseStats::write_delay_us, kMicroseconds));
  out.gauges("tidemark_memtable_bytes", "Memory of writes that are not in segments yet.",
             each(all, &DatabaseStats::memtable_bytes));
  out.gauges("tidemark_wal_bytes", "Bytes in the newest file of each log.",
             each(all, &DatabaseStats::wal_bytes));
}

void add_background(Families& out, const Databases& all) {
  out.counters("tidemark_flushes_total", "Memtables written to segments.",
               each(all, &DatabaseStats::flushes));
  out.counters("tidemark_flush_written_bytes_total", "Segment bytes written by flushes.",
               each(all, &DatabaseStats::flush_written_bytes));
  out.counters("tidemark_flush_seconds_total", "Time spent in flushes.",
               each(all, &DatabaseStats::flush_us, kMicroseconds));
  out.counters("tidemark_compactions_total", "Merges, moves and removals of segments.",
               each(all, &DatabaseStats::compactions));
  out.counters("tidemark_compaction_read_bytes_total", "Segment bytes that merges took.",
               each(all, &DatabaseStats::compaction_read_bytes));
  out.counters("tidemark_compaction_written_bytes_total", "Segment bytes that merges wrote.",
               each(all, &DatabaseStats::compaction_written_bytes));
  out.counters("tidemark_compaction_seconds_total", "Time spent in compactions.",
               each(all, &DatabaseStats::compaction_us, kMicroseconds));
}

void add_segments(Families& out, const Databases& all) {
  out.gauges("tidemark_live_segments", "Segments of newest versions, by level.",
             each_level(all, &LevelStats::segments));
  out.gauges("tidemark_live_bytes", "Bytes of those segments, by level.",
             each_level(all, &LevelStats::bytes));
  out.gauges("tidemark_history_segments", "Segments of superseded versions.",
             each(all, [](const Measured& one) { return one.stats.history.segments; }));
  out.gauges("tidemark_history_bytes", "Bytes of segments of superseded versions.",
             each(all, [](const Measured& one) { return one.stats.history.bytes; }));
  out.gauges("tidemark_change_file_bytes", "Bytes of change files.",
             each(all, &DatabaseStats::change_file_bytes));
  std::vector<Families::Sample> ages;
  for (const Measured& one : all) {
    if (const auto age_us = one.stats.horizon_age_us)
      ages.push_back({one.labels, static_cast<double>(*age_us) * kMicroseconds});
  }
  if (ages.empty()) return;
  out.gauges("tidemark_horizon_age_seconds",
             "How far back every database can be read; absent while none has dropped anything.", ages);
}

void add_keys(Families& out, const Databases& all) {
  out.gauges("tidemark_watches", "Watches open now.",
             each(all, [](const Measured& one) { return one.watches; }));
  out.counters("tidemark_expired_keys_total", "Keys deleted because they had expired.",
               each(all, [](const Measured& one) { return one.expired_keys; }));
  out.gauges("tidemark_expiry_lag_seconds",
             "How long the key that has been due longest has waited to be deleted. Readers do not see it.",
             each(all, [](const Measured& one) { return one.expiry_lag_ms; }, 1e-3));
}

void add_disk(Families& out, const std::string& data_dir, FileSystem& file_system) {
  namespace fs = std::filesystem;
  uint64_t bytes = 0;
  std::error_code error;
  // Files come and go meanwhile; what is gone counts nothing.
  for (fs::recursive_directory_iterator it(data_dir, error), end; it != end; it.increment(error)) {
    std::error_code gone;
    if (!it->is_regular_file(gone)) continue;
    const uint64_t size = it->file_size(gone);
    if (!gone) bytes += size;
    if (error) break;
  }
  out.gauge("tidemark_disk_bytes", "Size of all files in the data folder, reserved space included.", bytes);
  if (const Result<uint64_t> free = file_system.free_bytes(data_dir))
    out.gauge("tidemark_disk_free_bytes", "Room left on the disk of the data folder.", *free);
}

void add_level(LevelStats& sum, const LevelStats& one) {
  sum.segments += one.segments;
  sum.bytes += one.bytes;
  sum.entries += one.entries;
  sum.tombstones += one.tombstones;
}

// How things stand in an open database.
Measured measure(host::HostedDatabase& hosted) {
  Measured out;
  out.open = true;
  out.stats = hosted.database().stats();
  out.watches = hosted.store().watch_hub().watchers();
  out.expiry_lag_ms = hosted.store().expiry().lag_ms();
  return out;
}

void set_counters(Measured& measured, const host::HostedCounters& counters) {
  static_cast<DatabaseCounters&>(measured.stats) = counters.engine;
  measured.expired_keys = counters.expired_keys;
}

// All but the counters.
void add_database(Measured& sum, const Measured& one) {
  DatabaseStats& stats = sum.stats;
  stats.memtable_bytes += one.stats.memtable_bytes;
  stats.wal_bytes += one.stats.wal_bytes;
  for (const LevelStats& level : one.stats.live) {
    const auto place = std::ranges::find(stats.live, level.level, &LevelStats::level);
    add_level(place == stats.live.end() ? stats.live.emplace_back(LevelStats{.level = level.level}) : *place,
              level);
  }
  add_level(stats.history, one.stats.history);
  stats.change_file_bytes += one.stats.change_file_bytes;
  // The shortest: so far back all of them go.
  if (one.stats.horizon_age_us)
    stats.horizon_age_us = std::min(*one.stats.horizon_age_us, stats.horizon_age_us.value_or(INT64_MAX));
  sum.watches += one.watches;
  sum.expiry_lag_ms = std::max(sum.expiry_lag_ms, one.expiry_lag_ms);
}

// How one database's backup, or all together, stand.
struct MeasuredBackup {
  std::vector<Label> labels;
  std::array<uint64_t, 3> states{};  // by ShipperState, how many
  backup::Lag lag;
  uint64_t log_objects = 0;
  uint64_t uploaded_bytes = 0;
};

void add_backup(MeasuredBackup& sum, const MeasuredBackup& one) {
  for (size_t i = 0; i < sum.states.size(); ++i) sum.states[i] += one.states[i];
  sum.lag.commits += one.lag.commits;
  sum.lag.bytes += one.lag.bytes;
  sum.lag.ms = std::max(sum.lag.ms, one.lag.ms);
  sum.log_objects += one.log_objects;
  sum.uploaded_bytes += one.uploaded_bytes;
}

// Of those that are backed up.
std::vector<MeasuredBackup> measure_backups(BackupDriver& backups) {
  std::vector<MeasuredBackup> out;
  for (const BackupDriver::DatabaseBackup& one : backups.statuses()) {
    if (!one.target) continue;
    MeasuredBackup& measured = out.emplace_back();
    measured.labels = {{"database", one.record.name}};
    auto state = one.problem.empty() ? backup::ShipperState::kPending : backup::ShipperState::kFailed;
    if (one.report) {
      const backup::ShipperStatus& status = one.report->status;
      if (one.problem.empty()) state = status.state;
      measured.log_objects = status.log_objects;
      measured.uploaded_bytes = status.log_bytes + status.snapshot_bytes;
      measured.lag = one.lag;
    }
    ++measured.states[static_cast<size_t>(state)];
  }
  return out;
}

void add_backups(Families& out, const std::vector<MeasuredBackup>& all) {
  if (all.empty()) return;
  constexpr std::array<const char*, 3> kStates = {"pending", "active", "failed"};
  std::vector<Families::Sample> states, commits, bytes, seconds, objects, uploaded;
  for (const MeasuredBackup& one : all) {
    for (size_t i = 0; i < kStates.size(); ++i) {
      std::vector<Label> labels = one.labels;
      labels.push_back({"state", kStates[i]});
      states.push_back({std::move(labels), static_cast<double>(one.states[i])});
    }
    commits.push_back({one.labels, static_cast<double>(one.lag.commits)});
    bytes.push_back({one.labels, static_cast<double>(one.lag.bytes)});
    seconds.push_back({one.labels, static_cast<double>(one.lag.ms) * 1e-3});
    objects.push_back({one.labels, static_cast<double>(one.log_objects)});
    uploaded.push_back({one.labels, static_cast<double>(one.uploaded_bytes)});
  }
  out.gauges("tidemark_backup_databases", "Databases that are backed up, by how that goes.", states);
  out.gauges("tidemark_backup_lag_commits", "Commits that are not in the backup; at most 100000 are counted.",
             commits);
  out.gauges("tidemark_backup_lag_bytes", "Bytes of their keys and values.", bytes);
  out.gauges("tidemark_backup_lag_seconds", "How long the oldest of them has waited.", seconds);
  out.counters("tidemark_backup_log_objects_total", "Objects of logs written to backups.", objects);
  out.counters("tidemark_backup_uploaded_bytes_total", "Bytes of logs and snapshots written to backups.",
               uploaded);
}

void add_replica(Families& out, const Replica& replica, int64_t now_ms) {
  const ReplicaStatus status = replica.status();
  out.counter("tidemark_replica_commits_total", "Commits taken from the backup's log.", status.commits);
  if (status.checked_ms == 0) return;
  out.gauges("tidemark_replica_stale_seconds", "How long ago this replica had all that was in the backup.",
             {{{}, static_cast<double>(std::max<int64_t>(now_ms - status.checked_ms, 0)) * 1e-3}});
}

}  // namespace

std::string Metrics::text() const {
  host::Host& host = *sources_.host;
  const auto open = host.opened();
  Databases all(1);
  for (const auto& hosted : open) add_database(all.front(), measure(*hosted));
  set_counters(all.front(), host.counters());

  Families out;
  out.gauge("tidemark_ready", "Whether GET /readyz says 200.", sources_.health->trouble().empty() ? 1 : 0);
  out.gauge("tidemark_databases_open", "Databases open now, over which sizes are summed.", open.size());
  add_requests(out, *sources_.requests);
  add_listener(out, sources_.listener());
  add_commits(out, all);
  add_cache(out, host.engine().stats());
  add_background(out, all);
  add_segments(out, all);
  add_disk(out, sources_.data_dir, host.engine().file_system());
  add_keys(out, all);
  out.gauge("tidemark_history_trimmed_for_disk", "Whether --max-disk-bytes has history trimmed early.",
            host.disk_state().trims ? 1 : 0);
  out.gauge("tidemark_writes_refused_for_disk", "Whether --max-disk-bytes has writes refused.",
            host.disk_state().full ? 1 : 0);
  const int64_t now_ms = host.engine().clock().wall_us() / 1000;
  if (sources_.backups != nullptr) {
    const auto backups = measure_backups(*sources_.backups);
    std::vector<MeasuredBackup> sum(backups.empty() ? 0 : 1);
    for (const MeasuredBackup& one : backups) add_backup(sum.front(), one);
    add_backups(out, sum);
  }
  if (sources_.replica != nullptr && sources_.replica->follows()) add_replica(out, *sources_.replica, now_ms);
  return out.text();
}

std::string Metrics::text_by_database() const {
  Databases all;
  for (const host::Host::Figures& figures : sources_.host->figures()) {
    Measured& one = all.emplace_back(figures.database ? measure(*figures.database) : Measured());
    set_counters(one, figures.counters);
    one.labels = {{"database", figures.name}};
  }
  Families out;
  out.gauges("tidemark_database_open",
             "Whether the database is open now; of one that is not, sizes are told as 0.",
             each(all, [](const Measured& one) { return one.open ? 1 : 0; }));
  add_commits(out, all);
  add_background(out, all);
  add_segments(out, all);
  add_keys(out, all);
  if (sources_.backups != nullptr) add_backups(out, measure_backups(*sources_.backups));
  return out.text();
}

}  // namespace tidemark::tools
