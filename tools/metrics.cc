// One function a subject, each adding its families to a list that prometheus-cpp writes out. The figures lie
// with those who count them; nothing is kept here. Whoever measures something new (watchers, expiry) adds a
// function beside these and calls it in text().
#include "tools/metrics.h"

#include <prometheus/metric_family.h>
#include <prometheus/text_serializer.h>

#include <algorithm>
#include <filesystem>
#include <optional>
#include <system_error>
#include <utility>
#include <vector>

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
    uint64_t value;
  };

  void counter(const char* name, const char* help, uint64_t value) { counters(name, help, {{{}, value}}); }
  void counters(const char* name, const char* help, const std::vector<Sample>& samples) {
    add(name, help, MetricType::Counter, samples,
        [](ClientMetric& metric, uint64_t value) { metric.counter.value = static_cast<double>(value); });
  }
  void seconds_counter(const char* name, const char* help, uint64_t us) {
    ClientMetric metric;
    metric.counter.value = static_cast<double>(us) * kMicroseconds;
    families_.push_back({name, help, MetricType::Counter, {metric}});
  }
  void gauge(const char* name, const char* help, uint64_t value) { gauges(name, help, {{{}, value}}); }
  void gauges(const char* name, const char* help, const std::vector<Sample>& samples) {
    add(name, help, MetricType::Gauge, samples,
        [](ClientMetric& metric, uint64_t value) { metric.gauge.value = static_cast<double>(value); });
  }
  void seconds_gauge(const char* name, const char* help, double seconds) {
    ClientMetric metric;
    metric.gauge.value = seconds;
    families_.push_back({name, help, MetricType::Gauge, {metric}});
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
      answers.push_back({{{"call", name}, {"status", status_class(hundreds)}}, call.answers[hundreds]});
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
    responses.push_back({{{"status", status_class(hundreds)}}, counters.responses[hundreds]});
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

void add_commits(Families& out, const DatabaseStats& sum) {
  out.counter("tidemark_commits_total", "Commits made durable.", sum.commits);
  out.histograms("tidemark_commit_group_commits", "Commits of each group, which share one sync.", kGroups,
                 {{{}, sum.group_commits}});
  out.histograms("tidemark_sync_duration_seconds", "Syncs of the log.", kTimes, {{{}, sum.sync_us}});
  out.seconds_counter("tidemark_write_delay_seconds_total", "Time by which writers were held back.",
                      sum.write_delay_us);
  out.gauge("tidemark_memtable_bytes", "Memory of writes that are not in segments yet.", sum.memtable_bytes);
  out.gauge("tidemark_wal_bytes", "Bytes in the newest file of each log.", sum.wal_bytes);
}

void add_background(Families& out, const DatabaseStats& sum) {
  out.counter("tidemark_flushes_total", "Memtables written to segments.", sum.flushes);
  out.counter("tidemark_flush_written_bytes_total", "Segment bytes written by flushes.",
              sum.flush_written_bytes);
  out.seconds_counter("tidemark_flush_seconds_total", "Time spent in flushes.", sum.flush_us);
  out.counter("tidemark_compactions_total", "Merges, moves and removals of segments.", sum.compactions);
  out.counter("tidemark_compaction_read_bytes_total", "Segment bytes that merges took.",
              sum.compaction_read_bytes);
  out.counter("tidemark_compaction_written_bytes_total", "Segment bytes that merges wrote.",
              sum.compaction_written_bytes);
  out.seconds_counter("tidemark_compaction_seconds_total", "Time spent in compactions.", sum.compaction_us);
}

void add_segments(Families& out, const DatabaseStats& sum) {
  std::vector<Families::Sample> segments;
  std::vector<Families::Sample> bytes;
  for (const LevelStats& level : sum.live) {
    const std::vector<Label> label = {{"level", std::to_string(level.level)}};
    segments.push_back({label, level.segments});
    bytes.push_back({label, level.bytes});
  }
  out.gauges("tidemark_live_segments", "Segments of newest versions, by level.", segments);
  out.gauges("tidemark_live_bytes", "Bytes of those segments, by level.", bytes);
  out.gauge("tidemark_history_segments", "Segments of superseded versions.", sum.history.segments);
  out.gauge("tidemark_history_bytes", "Bytes of segments of superseded versions.", sum.history.bytes);
  out.gauge("tidemark_change_file_bytes", "Bytes of change files.", sum.change_file_bytes);
  if (sum.horizon_age_us) {
    out.seconds_gauge("tidemark_horizon_age_seconds",
                      "How far back every database can be read; absent while none has dropped anything.",
                      static_cast<double>(*sum.horizon_age_us) * kMicroseconds);
  }
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

void add_database(DatabaseStats& sum, const DatabaseStats& one) {
  sum.commits += one.commits;
  sum.group_commits += one.group_commits;
  sum.sync_us += one.sync_us;
  sum.write_delay_us += one.write_delay_us;
  sum.flushes += one.flushes;
  sum.flush_written_bytes += one.flush_written_bytes;
  sum.flush_us += one.flush_us;
  sum.compactions += one.compactions;
  sum.compaction_read_bytes += one.compaction_read_bytes;
  sum.compaction_written_bytes += one.compaction_written_bytes;
  sum.compaction_us += one.compaction_us;
  sum.memtable_bytes += one.memtable_bytes;
  sum.wal_bytes += one.wal_bytes;
  for (const LevelStats& level : one.live) {
    const auto place = std::ranges::find(sum.live, level.level, &LevelStats::level);
    add_level(place == sum.live.end() ? sum.live.emplace_back(LevelStats{.level = level.level}) : *place,
              level);
  }
  add_level(sum.history, one.history);
  sum.change_file_bytes += one.change_file_bytes;
  // The shortest: so far back all of them go.
  if (one.horizon_age_us)
    sum.horizon_age_us = std::min(*one.horizon_age_us, sum.horizon_age_us.value_or(INT64_MAX));
}

template <class Databases>
void add_keys(Families& out, const Databases& databases) {
  uint64_t watches = 0;
  uint64_t expired = 0;
  int64_t lag_ms = 0;
  for (const auto& hosted : databases) {
    watches += hosted->store().watch_hub().watchers();
    expired += hosted->store().expiry().deleted();
    lag_ms = std::max(lag_ms, hosted->store().expiry().lag_ms());
  }
  out.gauge("tidemark_watches", "Watches open now.", watches);
  out.counter("tidemark_expired_keys_total", "Keys deleted because they had expired.", expired);
  out.seconds_gauge(
      "tidemark_expiry_lag_seconds",
      "How long the key that has been due longest has waited to be deleted. Readers do not see it.",
      static_cast<double>(lag_ms) / 1000);
}

}  // namespace

std::string Metrics::text() const {
  host::Host& host = *sources_.host;
  const auto databases = host.open_databases();
  DatabaseStats sum;
  for (const auto& hosted : databases) add_database(sum, hosted->database().stats());

  Families out;
  out.gauge("tidemark_ready", "Whether GET /readyz says 200.", sources_.health->trouble().empty() ? 1 : 0);
  out.gauge("tidemark_databases_open", "Databases open now, over which the figures are summed.",
            databases.size());
  add_requests(out, *sources_.requests);
  add_listener(out, sources_.listener());
  add_commits(out, sum);
  add_cache(out, host.engine().stats());
  add_background(out, sum);
  add_segments(out, sum);
  add_disk(out, sources_.data_dir, host.engine().file_system());
  add_keys(out, databases);
  return out.text();
}

}  // namespace tidemark::tools
