// Moving elements: one copy between strided arrays serves transposition, slices, concatenation, tiling and broadcasting;
// and rows picked or added up by index.
#include "transpose.h"

#include <string.h>

#include "api.h"
#include "layout.h"
#include "threads.h"

using heed::parallel_for;

namespace {

constexpr int kGrain = 16384;  // elements that pay for handing a piece to a thread

template <class T>
void copy_row(const T* from, ptrdiff_t from_step, T* to, ptrdiff_t to_step, int count) {
    if (to_step == 1 && from_step == 1) {
        memcpy(to, from, sizeof(T) * count);
    } else if (to_step == 1 && from_step == 0) {
        const T value = *from;
        for (int i = 0; i < count; i++) to[i] = value;
    } else {
        for (int i = 0; i < count; i++) to[i * to_step] = from[i * from_step];
    }
}

template <class T>
void copy_all(const T* from, T* to, const int* sizes, const ptrdiff_t* from_strides, const ptrdiff_t* to_strides) {
    const int cols = sizes[kMaxAxes - 1];
    int rows = 1;
    for (int axis = 0; axis < kMaxAxes - 1; axis++) rows *= sizes[axis];
    parallel_for(rows, 1 + kGrain / cols, [&](int begin, int end) {
        for_rows(sizes, from_strides, to_strides, begin, end, [&](int, ptrdiff_t at_from, ptrdiff_t at_to) {
            copy_row(from + at_from, from_strides[kMaxAxes - 1], to + at_to, to_strides[kMaxAxes - 1], cols);
        });
    });
}

}  // namespace

/** to[Σ i·to_stride] = from[Σ i·from_stride] over five axes; elements of `bytes` 4 or 1. No size is 0. */
void HEED_KERNEL(copy)(const uint8_t* from, uint8_t* to, int bytes, HEED_AXES(int, size), HEED_AXES(ptrdiff_t, from_stride),
                       HEED_AXES(ptrdiff_t, to_stride)) {
    const int sizes[] = HEED_AXES_OF(size);
    const ptrdiff_t from_strides[] = HEED_AXES_OF(from_stride);
    const ptrdiff_t to_strides[] = HEED_AXES_OF(to_stride);
    if (bytes == 1) return copy_all(from, to, sizes, from_strides, to_strides);
    // The last axis of the source moved next to last: planes to transpose.
    if (from_stride3 == 1 && to_stride4 == 1 && size3 >= 4 && size4 >= 4) {
        const int outer[] = {1, size0, size1, size2};
        const ptrdiff_t outer_from[] = {0, from_stride0, from_stride1, from_stride2};
        const ptrdiff_t outer_to[] = {0, to_stride0, to_stride1, to_stride2};
        parallel_for(size0 * size1 * size2, 1 + (int)(kGrain / ((int64_t)size3 * size4)), [&](int begin, int end) {
            for_rows(outer, outer_from, outer_to, begin, end, [&](int, ptrdiff_t at_from, ptrdiff_t at_to) {
                transpose_block((const float*)from + at_from, from_stride4, (float*)to + at_to, to_stride3, size4, size3);
            });
        });
        return;
    }
    copy_all((const float*)from, (float*)to, sizes, from_strides, to_strides);
}

/** y [outer, count, inner] = x [outer, size, inner] at ids [count], each in [0, size); elements of 4 bytes. */
void HEED_KERNEL(gather)(const float* x, const int32_t* ids, float* y, int outer, int size, int count, int inner) {
    parallel_for(outer * count, 1 + kGrain / (inner + 1), [&](int begin, int end) {
        for (int row = begin; row < end; row++) {
            const ptrdiff_t from = ((ptrdiff_t)(row / count) * size + ids[row % count]) * inner;
            memcpy(y + (ptrdiff_t)row * inner, x + from, sizeof(float) * inner);
        }
    });
}

/** y [segments, inner]: the sum of the rows of x [count, inner] with each id; ids outside [0, segments) are left out. */
void HEED_KERNEL(segment_sum)(const float* x, const int32_t* ids, float* y, int count, int segments, int inner) {
    memset(y, 0, sizeof(float) * segments * inner);
    for (int i = 0; i < count; i++) {
        if (ids[i] < 0 || ids[i] >= segments) continue;
        float* to = y + (ptrdiff_t)ids[i] * inner;
        const float* from = x + (ptrdiff_t)i * inner;
        HEED_FOR_VECTORS(j, n, inner, { store_n(to + j, load_n(to + j, n) + load_n(from + j, n), n); });
    }
}
