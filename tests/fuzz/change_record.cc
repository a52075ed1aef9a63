// The parts of a change file: blocks of commits, the index, header and footer.
//
// What is read must be read as the same when it is written again, where it can be: commits out of order
// cannot.
#include "engine/format/change_record.h"

#include "tests/fuzz/input.h"

namespace tidemark::fuzz {
namespace {

struct Commit {
  Versionstamp stamp;
  int64_t timestamp_ms = 0;
  std::vector<std::pair<WriteKind, std::string>> writes;
  bool operator==(const Commit&) const = default;
};

class Collector final : public ChangeVisitor {
 public:
  void on_commit(Versionstamp stamp, int64_t timestamp_ms, uint32_t writes) override {
    TM_CHECK(left == 0);
    if (!commits.empty())
      ordered &= stamp > commits.back().stamp && timestamp_ms >= commits.back().timestamp_ms;
    commits.push_back({stamp, timestamp_ms, {}});
    left = writes;
  }
  void on_write(WriteKind kind, std::string_view key) override {
    TM_CHECK(left > 0);
    --left;
    key_bytes += key.size();
    commits.back().writes.emplace_back(kind, key);
  }

  std::vector<Commit> commits;
  bool ordered = true;
  size_t left = 0;
  size_t key_bytes = 0;
};

void read_block(std::string_view bytes) {
  const Exact raw(bytes);
  Collector first;
  if (const Status read = visit_change_block(raw.view(), first); !read) {
    TM_CHECK(read.error().code == ErrorCode::kCorruption);
    return;
  }
  TM_CHECK(first.left == 0);
  if (!first.ordered || first.commits.empty()) return;
  ChangeBlockBuilder builder;
  for (const Commit& commit : first.commits) {
    builder.begin_commit(commit.stamp, commit.timestamp_ms, static_cast<uint32_t>(commit.writes.size()));
    for (const auto& [kind, key] : commit.writes) builder.add_write(kind, key);
  }
  TM_CHECK(builder.first_stamp() == first.commits.front().stamp);
  Collector second;
  TM_CHECK(visit_change_block(builder.finish(), second).has_value());
  TM_CHECK(second.commits == first.commits);
}

void read_index(std::string_view bytes) {
  const Exact raw(bytes);
  const auto index = decode_change_index(raw.view());
  if (!index) return;
  const std::string again = encode_change_index(*index);
  const auto back = decode_change_index(again);
  TM_CHECK(back.has_value() && back->size() == index->size() && encode_change_index(*back) == again);
}

void read_ends(std::string_view bytes) {
  const Exact raw(bytes);
  if (const auto salt = decode_change_header(raw.view())) {
    const auto again = decode_change_header(encode_change_header(*salt));
    TM_CHECK(again.has_value() && *again == *salt);
  }
  Input in(raw.view());
  const uint64_t salt = in.u64(), file_bytes = in.u64(), offset = in.u64(), index_bytes = in.u64();
  const auto footer = decode_change_footer(encode_change_footer(offset, index_bytes, salt), salt, file_bytes);
  TM_CHECK(footer.has_value() == (offset <= file_bytes && index_bytes <= file_bytes - offset));
  if (footer) TM_CHECK(footer->index_offset == offset && footer->index_size == index_bytes);
  (void)decode_change_footer(in.rest(), salt, file_bytes).has_value();
}

}  // namespace
}  // namespace tidemark::fuzz

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  tidemark::fuzz::Input input(data, size);
  switch (input.u8() % 3) {
    case 0:
      tidemark::fuzz::read_block(input.rest());
      break;
    case 1:
      tidemark::fuzz::read_index(input.rest());
      break;
    default:
      tidemark::fuzz::read_ends(input.rest());
      break;
  }
  return 0;
}
