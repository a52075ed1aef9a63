// Damage at rest: right data or a report, never wrong data, whatever bit it is.
#include "tests/crash/bit_rot.h"

#include <gtest/gtest.h>

#include <cstdio>

namespace tidemark::crash {
namespace {

void tell(const BitRot& rot) {
  std::printf("%llu damaged stores, %llu of them reported, %llu found by a check\n",
              static_cast<unsigned long long>(rot.tried()), static_cast<unsigned long long>(rot.reported()),
              static_cast<unsigned long long>(rot.found()));
  for (const auto& [kind, bytes] : rot.bytes())
    std::printf("  %s: %llu bytes\n", kind.c_str(), static_cast<unsigned long long>(bytes));
}

TEST(BitRotTest, EveryBitOfASmallStore) {
  BitRot rot(1);
  EXPECT_EQ(rot.flip(1), "");
  tell(rot);
  EXPECT_GT(rot.reported(), rot.tried() / 2);
  for (const char* kind : {"manifest", "WAL file", "segment", "change file", "CURRENT"})
    EXPECT_GT(rot.bytes().at(kind), 0u) << kind;
}

TEST(BitRotTest, SomeBitsOfALargerOne) {
  BitRot rot(2, 20);
  EXPECT_EQ(rot.flip(997), "");
  tell(rot);
}

TEST(BitRotTest, FilesThatAreLostOrCut) {
  BitRot rot(3);
  EXPECT_EQ(rot.lose_files(), "");
}

}  // namespace
}  // namespace tidemark::crash
