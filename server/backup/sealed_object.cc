#include "server/backup/sealed_object.h"

#include "engine/base/coding.h"
#include "engine/base/hash.h"

namespace tidemark::backup {
namespace {

// Field 1001, fixed64.
constexpr std::string_view kTag("\xc9\x3e", 2);
constexpr size_t kSealBytes = 2 + 8;

}  // namespace

void seal_object(std::string& bytes) {
  const uint64_t sum = xxh3(bytes);
  bytes += kTag;
  put_le64(bytes, sum);
}

Status check_seal(std::string_view bytes) {
  const auto damaged = [](const char* what) { return fail(ErrorCode::kCorruption, what); };
  if (bytes.size() < kSealBytes) return damaged("it is cut off");
  const std::string_view body = bytes.substr(0, bytes.size() - kSealBytes);
  const std::string_view seal = bytes.substr(body.size());
  if (!seal.starts_with(kTag)) return damaged("it is cut off, or damaged at its end");
  if (load_le64(seal.data() + kTag.size()) != xxh3(body)) return damaged("it does not match its checksum");
  return {};
}

}  // namespace tidemark::backup
