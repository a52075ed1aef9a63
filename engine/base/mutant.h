// Switches for ./dev mutate (docs/CONFORMANCE.md): a build with -Dmutants=true can be told to break one rule
// of Deno KV, to show that some test notices. In every other build both macros are constants.
//
// An id is that of a rule in tests/e2e/conformance/rules.mjs, or "RULE/VARIANT".
#pragma once

#ifdef TIDEMARK_MUTANTS

#include <string_view>

namespace tidemark {

// The rule to break; empty: none. Set before any thread is started.
inline std::string_view chosen_mutant;

constexpr int off_by_one(std::string_view chosen, std::string_view id) {
  if (!chosen.starts_with(id)) return 0;
  return chosen.substr(id.size()) == "/more" ? 1 : chosen.substr(id.size()) == "/less" ? -1 : 0;
}

}  // namespace tidemark

#define TM_MUTANT(id) (::tidemark::chosen_mutant == (id))
// To be added to a limit: 1 for "id/more", -1 for "id/less".
#define TM_OFF_BY_ONE(id) (::tidemark::off_by_one(::tidemark::chosen_mutant, (id)))

#else

#define TM_MUTANT(id) false
#define TM_OFF_BY_ONE(id) 0

#endif
