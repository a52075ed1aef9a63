#include "server/backup/probe.h"

#include <algorithm>

namespace tidemark::backup {
namespace {

constexpr char kContents[] = "Tidemark tries whether it may write here; this object can be removed.\n";

Status drop_value(const auto& result) {
  if (!result) return std::unexpected(result.error());
  return {};
}

}  // namespace

bool Probe::good() const {
  return std::ranges::all_of(rights, [](const Right& right) { return right.outcome.has_value(); });
}

std::string Probe::complaint(const std::string& store) const {
  std::string missing;
  const Error* first = nullptr;
  for (const Right& right : rights) {
    if (right.outcome) continue;
    missing += (missing.empty() ? "" : ", ") + right.name + " (" + right.what + ")";
    if (first == nullptr) first = &right.outcome.error();
  }
  if (first == nullptr) return "";
  return "the backup in " + store + " cannot be kept; what failed: " + missing + ": " + first->message;
}

Probe probe(ObjectStore& store, const std::string& prefix, const std::string& name) {
  Probe out;
  const std::string key = prefix + name;
  const Status put = drop_value(store.put(key, kContents));
  out.rights.push_back({"s3:PutObject", "to write", put});
  // The others say nothing of themselves if there is no object.
  if (!put) return out;
  const Result<Object> read = store.get(key, sizeof kContents);
  out.rights.push_back({"s3:GetObject", "to go on after a restart, and to restore", drop_value(read)});
  out.rights.push_back({"s3:ListBucket", "to find what is there", drop_value(store.list(prefix, {}, 1))});
  if (read) {
    const auto again = store.put(key, kContents + std::string("."), PutCondition::absent());
    out.knows_conditions = !again && again.error().code == ErrorCode::kConflict;
  }
  out.rights.push_back({"s3:DeleteObject", "to remove what is too old", store.remove(key)});
  return out;
}

}  // namespace tidemark::backup
