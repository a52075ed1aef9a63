// The framing of log files, and what the records of a WAL file say.
//
// First byte even: a record's payload. What is read of it, written again, must be read as the same.
// Odd: bytes as they might lie in a file behind each other, some of them made into records with right
// checksums.
#include <string>

#include "engine/format/log_record.h"
#include "engine/format/wal_payload.h"
#include "tests/fuzz/input.h"
#include "tests/fuzz/records.h"

namespace tidemark::fuzz {
namespace {

// Notes what it is told, as text and as the payload that says the same.
class Writer final : public WalVisitor {
 public:
  explicit Writer(size_t payload_bytes) : budget_(payload_bytes) {}

  Status on_commit(Versionstamp stamp, int64_t timestamp_ms, uint32_t writes) override {
    if (payload.empty()) begin_group(payload);
    const size_t at = payload.size();
    payload.resize(at + kWalCommitHeaderBytes);
    store_wal_commit(payload.data() + at, stamp, timestamp_ms, writes);
    text += "c" + stamp.hex() + "@" + std::to_string(timestamp_ms) + "x" + std::to_string(writes);
    spend(kWalCommitHeaderBytes);
    return {};
  }
  Status on_write(WriteKind kind, std::string_view key, std::string_view value) override {
    TM_CHECK(!key.empty() && key.size() <= UINT16_MAX);
    TM_CHECK(kind == WriteKind::kPut || value.empty());
    put_wal_write(payload, kind, key, value);
    text += "w" + std::to_string(static_cast<int>(kind)) + std::string(key) + "=" + std::string(value);
    spend(2 + key.size() + value.size());
    return {};
  }
  Status on_ingest(const WalIngest& ingest) override {
    payload = encode_ingest(ingest);
    text += "i" + payload;
    return {};
  }

  std::string payload;
  std::string text;

 private:
  // A payload must not say more than it holds.
  void spend(size_t bytes) {
    TM_CHECK(bytes <= budget_);
    budget_ -= bytes;
  }

  size_t budget_;
};

void read_payload(std::string_view bytes) {
  const Exact payload(bytes);
  Writer first(bytes.size());
  if (const Status read = visit_wal_payload(payload.view(), first); !read) {
    TM_CHECK(read.error().code == ErrorCode::kCorruption);
    return;
  }
  if (first.payload.empty()) return;  // a record that says nothing
  Writer second(first.payload.size());
  TM_CHECK(visit_wal_payload(first.payload, second).has_value());
  TM_CHECK(second.text == first.text && second.payload == first.payload);
}

void read_framing(Input input) {
  const uint64_t salt = log_salt(LogKind::kWal, kDatabaseId, 7);
  std::string file = log_header(LogKind::kWal, 7);
  std::vector<std::string> payloads;
  bool clean = true;
  for (const std::string_view part : split(input.rest())) {
    Input in(part);
    const uint8_t kind = in.u8();
    if ((kind & 3) == 3) {  // bytes of no record
      file += in.rest();
      clean = false;
      continue;
    }
    file.resize((file.size() + 7) / 8 * 8, '\0');
    RecordForm form;
    form.promised = (kind & 4) != 0 ? in.u64() : file.size();
    form.spoil_header = (kind & 8) != 0;
    form.spoil_payload = (kind & 16) != 0;
    clean = clean && !form.spoil_header && !form.spoil_payload;
    if (clean) payloads.emplace_back(in.rest());
    add_record(file, LogKind::kWal, 7, in.rest(), form);
  }
  const Exact bytes(file);
  const auto header = decode_log_header(bytes.view(), LogKind::kWal);
  TM_CHECK(header.has_value() && header->file_number == 7 && header->database_id == kDatabaseId);
  size_t found = 0;
  for (uint64_t offset = kLogHeaderBytes;;) {
    const auto record = read_record(bytes.view(), salt, offset);
    if (!record) break;
    TM_CHECK(record->end > offset && record->end <= file.size() && record->end % kRecordAlignment == 0);
    if (found < payloads.size()) TM_CHECK(record->payload == payloads[found]);
    ++found;
    offset = record->end;
  }
  TM_CHECK(found >= payloads.size());
  for (uint64_t offset = 0; offset <= file.size() + 8; offset += 8)
    if (const auto record = read_record(bytes.view(), salt, offset)) TM_CHECK(record->end <= file.size());
  (void)largest_promise_after(bytes.view(), salt, 0);
}

}  // namespace
}  // namespace tidemark::fuzz

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  tidemark::fuzz::Input input(data, size);
  if (input.u8() % 2 == 0)
    tidemark::fuzz::read_payload(input.rest());
  else
    tidemark::fuzz::read_framing(input);
  return 0;
}
