// The k largest of each row.
#include "api.h"
#include "simd.h"
#include "threads.h"

namespace {

struct Candidate {
    float value;
    int index;
};

/** Whether a comes after b: it is smaller, or equal and further right. */
bool is_behind(Candidate a, Candidate b) { return a.value < b.value || (a.value == b.value && a.index > b.index); }

/** Puts the candidate at `at` in its place below, in a heap of which each parent is behind its children. */
void sink(float* values, int32_t* indices, int size, int at, Candidate candidate) {
    for (int child = 2 * at + 1; child < size; child = 2 * at + 1) {
        if (child + 1 < size && is_behind({values[child + 1], indices[child + 1]}, {values[child], indices[child]})) child++;
        if (!is_behind({values[child], indices[child]}, candidate)) break;
        values[at] = values[child];
        indices[at] = indices[child];
        at = child;
    }
    values[at] = candidate.value;
    indices[at] = candidate.index;
}

void top_of_row(const float* x, int cols, int k, float* values, int32_t* indices) {
    for (int i = 0; i < k; i++) {
        values[i] = x[i];
        indices[i] = i;
    }
    for (int i = k / 2 - 1; i >= 0; i--) sink(values, indices, k, i, {values[i], indices[i]});
    // Most vectors hold nothing larger than the smallest candidate: one comparison each.
    int i = k;
    for (; i + Vec::kLanes <= cols; i += Vec::kLanes) {
        if (!(highest(load(x + i)) > values[0])) continue;
        for (int j = i; j < i + Vec::kLanes; j++)
            if (x[j] > values[0]) sink(values, indices, k, 0, {x[j], j});
    }
    for (; i < cols; i++)
        if (x[i] > values[0]) sink(values, indices, k, 0, {x[i], i});
    for (int size = k - 1; size > 0; size--) {
        const Candidate last = {values[size], indices[size]};
        values[size] = values[0];
        indices[size] = indices[0];
        sink(values, indices, size, 0, last);
    }
}

}  // namespace

/** values, indices [rows, k]: the largest first, of equal ones the leftmost. 1 <= k <= cols. */
void HEED_KERNEL(top_k)(const float* x, float* values, int32_t* indices, int rows, int cols, int k) {
    heed::parallel_for(rows, 1 + 16384 / (cols + 1), [&](int begin, int end) {
        for (int row = begin; row < end; row++)
            top_of_row(x + (size_t)row * cols, cols, k, values + (size_t)row * k, indices + (size_t)row * k);
    });
}
