// Splits a loop over the threads of the process.
#pragma once

namespace heed {

using Task = void (*)(const void* body, int begin, int end);

/** Threads that work on a loop, the caller's included. */
int num_threads();
void set_num_threads(int count);

/** Calls task(body, begin, end) over disjoint chunks that cover [0, count), each of at least `grain`; returns when all are done. */
void run_parallel(int count, int grain, Task task, const void* body);

/** parallel_for(rows, 16, [&](int begin, int end) { ... }); a loop inside a loop runs on the thread it is in. */
template <class Body>
inline void parallel_for(int count, int grain, const Body& body) {
    if (count <= 0) return;
    if (count <= grain || num_threads() == 1) {
        body(0, count);
        return;
    }
    run_parallel(count, grain, [](const void* context, int begin, int end) { (*static_cast<const Body*>(context))(begin, end); }, &body);
}

}  // namespace heed
