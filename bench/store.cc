#include "bench/store.h"

#include <array>

namespace tidemark::bench {

std::span<const StoreKind> store_kinds() {
  static constexpr std::array<StoreKind, 5> kKinds = {{
      {"tidemark", false, open_tidemark},
      {"rocksdb", true, open_rocksdb},
      {"leveldb", true, open_leveldb},
      {"lmdb", false, open_lmdb},
      {"sqlite", false, open_sqlite},
  }};
  return kKinds;
}

}  // namespace tidemark::bench
