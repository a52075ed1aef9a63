// What guards what, in words that the compiler checks.
#pragma once

// Clang checks these at compile time; g++ ignores them.
#if defined(__clang__)
#define TM_TSA(x) __attribute__((x))
#else
#define TM_TSA(x)
#endif
#define TM_CAPABILITY(x) TM_TSA(capability(x))
#define TM_SCOPED_CAPABILITY TM_TSA(scoped_lockable)
#define TM_GUARDED_BY(x) TM_TSA(guarded_by(x))
#define TM_REQUIRES(...) TM_TSA(requires_capability(__VA_ARGS__))
#define TM_ACQUIRE(...) TM_TSA(acquire_capability(__VA_ARGS__))
#define TM_RELEASE(...) TM_TSA(release_capability(__VA_ARGS__))
#define TM_EXCLUDES(...) TM_TSA(locks_excluded(__VA_ARGS__))
#define TM_NO_THREAD_SAFETY_ANALYSIS TM_TSA(no_thread_safety_analysis)
