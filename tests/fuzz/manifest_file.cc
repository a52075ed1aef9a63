// A store whose manifest, or CURRENT, holds bytes from the fuzzer.
//
// First two bytes: how the store is used. Third: 0, and the parts of what follows are the manifest's records,
// the first byte of each saying how; 1, and it is the manifest as it is; 2, and it is CURRENT.
#include "engine/format/file_names.h"
#include "tests/fuzz/input.h"
#include "tests/fuzz/records.h"
#include "tests/fuzz/store.h"

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  using namespace tidemark;
  using namespace tidemark::fuzz;
  Input input(data, size);
  const Usage usage{input.u16()};
  const SeedStore& seed = seed_store();
  MemoryFileSystem files(seed.files);
  switch (input.u8() % 3) {
    case 0: {
      std::string manifest = log_header(LogKind::kManifest, seed.manifest_number);
      for (const std::string_view part : split(input.rest())) {
        Input in(part);
        const uint8_t kind = in.u8();
        RecordForm form;
        form.promised = (kind & 1) != 0 ? in.u64() : manifest.size();
        form.spoil_header = (kind & 2) != 0;
        form.spoil_payload = (kind & 4) != 0;
        add_record(manifest, LogKind::kManifest, seed.manifest_number, in.rest(), form);
      }
      files.put(path_of(FileType::kManifest, seed.manifest_number), manifest);
      break;
    }
    case 1:
      files.put(path_of(FileType::kManifest, seed.manifest_number), input.rest());
      break;
    default:
      files.put(path_of(FileType::kCurrent, 0), input.rest());
      break;
  }
  Machine machine(files);
  use_store(machine, usage, false);
  return 0;
}
