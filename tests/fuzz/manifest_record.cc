// What manifest records say, and what a sequence of them adds up to.
//
// The parts of the input are the payloads of records. Each that is read must be read as the same when it is
// written again; the state that all make together must come back from its own snapshot.
#include "engine/manifest/manifest.h"
#include "tests/fuzz/input.h"

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  using namespace tidemark;
  using namespace tidemark::fuzz;
  ManifestState state;
  for (const std::string_view part : split(Input(data, size).rest())) {
    const Exact payload(part);
    const auto edit = decode_manifest_edit(payload.view());
    if (!edit) {
      TM_CHECK(edit.error().code == ErrorCode::kCorruption || edit.error().code == ErrorCode::kNewerFormat);
      continue;
    }
    const std::string again = encode_manifest_edit(*edit);
    const auto back = decode_manifest_edit(again);
    TM_CHECK(back.has_value() && *back == *edit);
    TM_CHECK(encode_manifest_edit(*back) == again);

    const ManifestEdit before = state.as_snapshot();
    if (const Status applied = state.apply(*edit); !applied) {
      TM_CHECK(applied.error().code == ErrorCode::kCorruption);
      TM_CHECK(state.as_snapshot() == before || edit->snapshot);
      continue;
    }
    ManifestState copy;
    TM_CHECK(copy.apply(state.as_snapshot()).has_value());
    TM_CHECK(copy.as_snapshot() == state.as_snapshot());
  }
  return 0;
}
