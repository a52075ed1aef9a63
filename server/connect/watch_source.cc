#include "server/connect/watch_source.h"

#include <utility>

#include "server/connect/wire.h"

namespace tidemark::connect {
namespace {

// Of a frame around one key: tags, lengths, versionstamp. Generous.
constexpr uint64_t kFramingBytes = 64;

uint64_t largest_frame_bytes(size_t keys, const kv::Limits& limits) {
  return keys * (limits.max_write_key_bytes + limits.max_value_bytes + kFramingBytes);
}

}  // namespace

WatchSource::WatchSource(InFlight& in_flight, std::shared_ptr<host::HostedDatabase> database,
                         std::optional<kv::PastView> past, std::vector<std::string> keys,
                         const kv::ReadBounds& bounds, Executor& executor, std::function<void()> wake,
                         std::function<bool()> good, std::function<void(const Error&)> failed)
    : ticket_(in_flight),
      database_(std::move(database)),
      bounds_(bounds),
      max_frame_bytes_(largest_frame_bytes(keys.size(), database_->store().limits())),
      executor_(executor),
      wake_(wake),
      good_(std::move(good)),
      failed_(std::move(failed)),
      watch_(database_->store(), std::move(keys), std::move(wake), std::move(past)) {}

PieceSource::Next WatchSource::next(std::string& piece) {
  if (!good_()) return Next::kEnd;
  {
    MutexLock lock(mutex_);
    if (prepared_) {
      piece = std::move(prepared_->second);
      const Next next = prepared_->first;
      prepared_.reset();
      // There may be news since.
      if (next != Next::kNothing) return next;
    }
    if (reading_) return Next::kNothing;
  }
  if (!watch_.due()) return Next::kNothing;
  bool would_block = false;
  const Next next = read(bounds_, piece, would_block);
  if (!would_block) return next;
  {
    MutexLock lock(mutex_);
    reading_ = true;
  }
  executor_.post(Lane::kRead, [self = shared_from_this()] { self->read_in_background(); });
  return Next::kNothing;
}

uint64_t WatchSource::bytes_in_making() const {
  MutexLock lock(mutex_);
  return reading_ || prepared_ ? max_frame_bytes_ : 0;
}

PieceSource::Next WatchSource::read(const kv::ReadBounds& bounds, std::string& piece, bool& would_block) {
  WatchFrameWriter writer;
  const Result<bool> news = watch_.read(bounds, writer);
  if (!news) {
    would_block = news.error().code == ErrorCode::kWouldBlock;
    if (!would_block) failed_(news.error());
    return Next::kEnd;
  }
  if (!*news) return Next::kNothing;
  piece = writer.finish();
  return Next::kPiece;
}

void WatchSource::read_in_background() {
  std::string piece;
  bool would_block = false;
  const Next next = read({}, piece, would_block);
  {
    MutexLock lock(mutex_);
    reading_ = false;
    prepared_.emplace(next, std::move(piece));
  }
  wake_();
}

}  // namespace tidemark::connect
