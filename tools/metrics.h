// Everything that is measured, as Prometheus reads it.
#pragma once

#include <functional>
#include <string>

#include "server/host/host.h"
#include "server/http/options.h"
#include "tools/health.h"
#include "tools/request_metrics.h"

namespace tidemark::tools {

class BackupDriver;
class Replica;

// What GET /metrics tells. Any thread.
class Metrics {
 public:
  struct Sources {
    host::Host* host;
    const Health* health;
    const RequestMetrics* requests;
    std::function<http::Counters()> listener;  // of the main port
    std::string data_dir;
    BackupDriver* backups = nullptr;
    Replica* replica = nullptr;  // null if the server is none
  };
  // All that `sources` names must outlive it.
  explicit Metrics(Sources sources) : sources_(std::move(sources)) {}

  // Prometheus' text format 0.0.4. Both may wait for a manifest to be written.

  // Summed over all databases; counters of those that were closed or removed since the start are in it.
  std::string text() const;
  // What is told of databases, for each by its name.
  std::string text_by_database() const;

 private:
  const Sources sources_;
};

}  // namespace tidemark::tools
