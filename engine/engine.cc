#include "engine/engine_impl.h"
#include "engine/io/posix_file_system.h"

namespace tidemark {

EngineImpl::EngineImpl(const EngineOptions& options, const EngineComponents& components)
    : fs_(components.file_system != nullptr ? *components.file_system : posix_file_system()),
      clock_(components.clock != nullptr ? *components.clock : system_clock()),
      log_(components.log),
      cache_(options.block_cache_bytes),
      open_segments_(fs_, cache_, options.max_open_segments),
      own_executor_(components.executor != nullptr ? nullptr : make_thread_executor({})),
      executor_(components.executor != nullptr ? components.executor : own_executor_.get()) {}

EngineStats EngineImpl::stats() const {
  EngineStats stats;
  const BlockCache::Lookups lookups = cache_.lookups();
  stats.block_cache_hits = lookups.hits;
  stats.block_cache_misses = lookups.misses;
  stats.block_cache_bytes = cache_.bytes();
  stats.index_bytes = cache_.reserved();
  stats.block_cache_capacity_bytes = cache_.capacity();
  stats.open_segments = open_segments_.open_count();
  return stats;
}

std::unique_ptr<Engine> Engine::create(const EngineOptions& options, const EngineComponents& components) {
  return std::make_unique<EngineImpl>(options, components);
}

}  // namespace tidemark
