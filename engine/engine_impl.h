// The Engine as database.cc sees it.
#pragma once

#include <memory>

#include "engine/database.h"
#include "engine/segment/block_cache.h"
#include "engine/segment/segment_file.h"

namespace tidemark {

class EngineImpl final : public Engine {
 public:
  EngineImpl(const EngineOptions& options, const EngineComponents& components);

  Executor& executor() override { return *executor_; }
  Clock& clock() override { return clock_; }
  FileSystem& file_system() override { return fs_; }
  EngineStats stats() const override;
  const LogSink& log() const { return log_; }
  OpenSegments& open_segments() { return open_segments_; }

 private:
  FileSystem& fs_;
  Clock& clock_;
  const LogSink log_;
  BlockCache cache_;
  OpenSegments open_segments_;
  std::unique_ptr<Executor> own_executor_;
  Executor* const executor_;
};

}  // namespace tidemark
