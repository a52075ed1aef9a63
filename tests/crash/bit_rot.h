// A small closed store, and what comes of it when its files are damaged at rest.
#pragma once

#include <cstdint>
#include <map>
#include <string>
#include <vector>

#include "engine/database.h"
#include "tests/crash/check.h"
#include "tests/crash/model.h"
#include "tests/sim/disk.h"

namespace tidemark::crash {

class BitRot {
 public:
  // Makes the store: live and history segments, change files, a manifest, a WAL file. Larger by `scale`.
  // `closed`: in good order; otherwise as a process leaves it that was killed.
  BitRot(uint64_t seed, int scale = 1, bool closed = true);

  // Turns over one bit in `stride` of each file, one at a time, and opens, reads, merges and closes what is
  // left. What is wrong first; empty: everything was either right or reported, and what was reported was
  // found by a check of the files before.
  std::string flip(uint64_t stride);
  // The same with one file missing, empty, or cut to half.
  std::string lose_files();

  uint64_t tried() const { return tried_; }
  uint64_t reported() const { return reported_; }
  // How often a check of the files found something.
  uint64_t found() const { return found_; }
  // Bytes by kind of file.
  const std::map<std::string, uint64_t>& bytes() const { return bytes_; }

 private:
  void make(int scale, bool closed);
  std::string use(sim::Disk disk, bool must_report);

  Random random_;
  sim::Disk disk_;
  Model model_;
  Terms terms_;
  std::map<std::string, uint64_t> bytes_;
  uint64_t tried_ = 0;
  uint64_t reported_ = 0;
  uint64_t found_ = 0;
};

}  // namespace tidemark::crash
