// Data-path messages: requests from the wire, answers to it.
#pragma once

#include <boost/container/small_vector.hpp>
#include <span>
#include <string>
#include <string_view>

#include "engine/base/status.h"
#include "engine/base/versionstamp.h"
#include "server/connect/datapath.pb.h"
#include "server/kv/request.h"
#include "server/kv/store.h"
#include "server/kv/watch.h"

namespace tidemark::connect {

namespace pb = com::deno::kv::datapath;

// kInvalidArgument, with denokv's sentence, if the bytes are no such message.
template <class Message>
Status parse_message(std::string_view bytes, Message& message);

extern template Status parse_message(std::string_view, pb::SnapshotRead&);
extern template Status parse_message(std::string_view, pb::AtomicWrite&);
extern template Status parse_message(std::string_view, pb::Watch&);

using ReadRanges = boost::container::small_vector<kv::ReadRange, 2>;

// Views into the message, which must outlive the result. Nothing is checked.
ReadRanges view_ranges(const pb::SnapshotRead& message);
kv::AtomicWrite view_write(const pb::AtomicWrite& message);

// Writes a SnapshotReadOutput as the entries come in, straight into the answer's body: the generated classes
// would allocate twice for each entry.
class ReadAnswerWriter final : public kv::EntrySink {
 public:
  void begin_range() override;
  void entry(std::string_view key, const kv::StoredValue& value, Versionstamp versionstamp) override;
  void end_range() override;

  // Ends the message. The writer is empty afterwards and may be used again.
  std::string finish();

 private:
  std::string out_;
  size_t range_start_ = 0;  // of the bytes of the range being written, behind the place kept for its length
};

// Writes the frames of a watch: a WatchOutput each, with its length before it. Every key is sent as changed:
// the protocol knows unchanged ones, but Deno (2.9.6) shows those as absent, and denokv never sends them.
class WatchFrameWriter final : public kv::WatchSink {
 public:
  WatchFrameWriter();
  void absent() override;
  void entry(std::string_view key, const kv::StoredValue& value, Versionstamp versionstamp) override;
  // The frame. The writer is spent.
  std::string finish();

 private:
  std::string out_;
};
// A frame of no message, which says that the server is there.
inline constexpr std::string_view kWatchKeepAlive("\0\0\0\0", 4);

// An AtomicWriteOutput.
std::string write_success(Versionstamp versionstamp);
std::string write_check_failure(std::span<const uint32_t> failed_checks);
std::string write_disabled();

}  // namespace tidemark::connect
