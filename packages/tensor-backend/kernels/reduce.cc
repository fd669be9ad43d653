// Reductions of [outer, count, inner] to [outer, inner]: sum, mean, maximum, minimum, product; and the index of the
// maximum or minimum. NaN goes through, as in tfjs's cpu backend.
#include "api.h"
#include "simd.h"
#include "threads.h"

using heed::parallel_for;

namespace {

constexpr int kGrain = 16384;  // elements that pay for handing a piece to a thread
constexpr int kRun = 4096;     // additions in float before a total goes on in double

enum class Reduction : int { kSum, kMean, kMaximum, kMinimum, kProduct };

template <Reduction kKind>
HEED_INLINE float start() {
    if constexpr (kKind == Reduction::kMaximum) return -INFINITY;
    if constexpr (kKind == Reduction::kMinimum) return INFINITY;
    if constexpr (kKind == Reduction::kProduct) return 1.0f;
    return 0.0f;
}

template <Reduction kKind>
HEED_INLINE float merge(float total, float x) {
    if constexpr (kKind == Reduction::kMaximum) return x > total || x != x ? x : total;
    if constexpr (kKind == Reduction::kMinimum) return x < total || x != x ? x : total;
    if constexpr (kKind == Reduction::kProduct) return total * x;
    return total + x;
}

/** A run of contiguous elements, in as many lanes as two vectors so that the compiler keeps them in registers. */
template <Reduction kKind>
float reduce_run(const float* x, int count) {
    constexpr int kLanes = 4 * Vec::kLanes;
    float lanes[kLanes];
    for (int l = 0; l < kLanes; l++) lanes[l] = start<kKind>();
    int i = 0;
    for (; i + kLanes <= count; i += kLanes)
        for (int l = 0; l < kLanes; l++) lanes[l] = merge<kKind>(lanes[l], x[i + l]);
    float total = start<kKind>();
    for (; i < count; i++) total = merge<kKind>(total, x[i]);
    for (int half = kLanes / 2; half > 0; half /= 2)
        for (int l = 0; l < half; l++) lanes[l] = merge<kKind>(lanes[l], lanes[l + half]);
    return merge<kKind>(total, lanes[0]);
}

template <Reduction kKind>
float reduce_contiguous(const float* x, int count) {
    if constexpr (kKind == Reduction::kSum || kKind == Reduction::kMean) {
        double total = 0;
        for (int i = 0; i < count; i += kRun) total += reduce_run<kKind>(x + i, count - i < kRun ? count - i : kRun);
        return (float)(kKind == Reduction::kMean ? total / count : total);
    } else {
        return reduce_run<kKind>(x, count);
    }
}

/** Columns [0, cols) of a [count, inner] block, a strip of vectors at a time. */
template <Reduction kKind>
void reduce_columns(const float* x, float* y, int count, int inner, int cols) {
    constexpr int kStrip = 4 * Vec::kLanes;
    for (int j = 0; j < cols; j += kStrip) {
        const int width = cols - j < kStrip ? cols - j : kStrip;
        float totals[kStrip];
        for (int l = 0; l < kStrip; l++) totals[l] = start<kKind>();
        const float* row = x + j;
        if (width == kStrip) {
            for (int i = 0; i < count; i++, row += inner)
                for (int l = 0; l < kStrip; l++) totals[l] = merge<kKind>(totals[l], row[l]);
        } else {
            for (int i = 0; i < count; i++, row += inner)
                for (int l = 0; l < width; l++) totals[l] = merge<kKind>(totals[l], row[l]);
        }
        for (int l = 0; l < width; l++) y[j + l] = kKind == Reduction::kMean ? totals[l] / count : totals[l];
    }
}

template <Reduction kKind>
void reduce_all(const float* x, float* y, int outer, int count, int inner) {
    if (inner == 1 && outer == 1) {
        // One long sum: a part for each thread.
        constexpr int kParts = 64;
        float parts[kParts];
        const auto part = [&](int p) { return (ptrdiff_t)((int64_t)count * p / kParts); };
        parallel_for(kParts, 1 + (int)((int64_t)kGrain * kParts / (count + 1)), [&](int begin, int end) {
            constexpr Reduction kOfParts = kKind == Reduction::kMean ? Reduction::kSum : kKind;
            for (int p = begin; p < end; p++) parts[p] = reduce_contiguous<kOfParts>(x + part(p), (int)(part(p + 1) - part(p)));
        });
        *y = reduce_contiguous<kKind>(parts, kParts);
        if (kKind == Reduction::kMean) *y *= (float)((double)kParts / count);
        return;
    }
    if (inner == 1) {
        parallel_for(outer, 1 + kGrain / (count + 1), [&](int begin, int end) {
            for (int row = begin; row < end; row++) y[row] = reduce_contiguous<kKind>(x + (ptrdiff_t)row * count, count);
        });
        return;
    }
    // Strips of whole cache lines, so that no two threads write into one.
    constexpr int kStrip = 64;
    const int strips = (inner + kStrip - 1) / kStrip;
    parallel_for(outer * strips, 1 + (int)(kGrain / ((int64_t)count * kStrip + 1)), [&](int begin, int end) {
        for (int task = begin; task < end; task++) {
            const int row = task / strips, j = task % strips * kStrip;
            reduce_columns<kKind>(x + (ptrdiff_t)row * count * inner + j, y + (ptrdiff_t)row * inner + j, count, inner,
                                  inner - j < kStrip ? inner - j : kStrip);
        }
    });
}

}  // namespace

/** count is at least 1 for the mean; an empty sum is 0, an empty maximum -Infinity. */
void HEED_KERNEL(reduce)(const float* x, float* y, int outer, int count, int inner, int kind) {
    switch ((Reduction)kind) {
        case Reduction::kSum: return reduce_all<Reduction::kSum>(x, y, outer, count, inner);
        case Reduction::kMean: return reduce_all<Reduction::kMean>(x, y, outer, count, inner);
        case Reduction::kMaximum: return reduce_all<Reduction::kMaximum>(x, y, outer, count, inner);
        case Reduction::kMinimum: return reduce_all<Reduction::kMinimum>(x, y, outer, count, inner);
        case Reduction::kProduct: return reduce_all<Reduction::kProduct>(x, y, outer, count, inner);
    }
}

/** Sums of int32, modulo 2^32. */
void HEED_KERNEL(reduce_int)(const int32_t* x, int32_t* y, int outer, int count, int inner) {
    parallel_for(outer, 1 + (int)(kGrain / ((int64_t)count * inner + 1)), [&](int begin, int end) {
        for (int row = begin; row < end; row++) {
            int32_t* to = y + (ptrdiff_t)row * inner;
            for (int j = 0; j < inner; j++) to[j] = 0;
            for (int i = 0; i < count; i++) {
                const int32_t* from = x + ((ptrdiff_t)row * count + i) * inner;
                for (int j = 0; j < inner; j++) to[j] = (int32_t)((uint32_t)to[j] + (uint32_t)from[j]);
            }
        }
    });
}

/** The first index of the highest (sign 1) or lowest (sign -1) element of each row; NaN counts only where it comes first. */
void HEED_KERNEL(arg_extreme)(const float* x, int32_t* y, int rows, int count, int sign) {
    parallel_for(rows, 1 + kGrain / (count + 1), [&](int begin, int end) {
        for (int row = begin; row < end; row++) {
            const float* from = x + (ptrdiff_t)row * count;
            float best = from[0];
            int at = 0;
            for (int i = 0; i < count; i++) {
                if (sign > 0 ? from[i] > best : from[i] < best) {
                    best = from[i];
                    at = i;
                }
            }
            y[row] = at;
        }
    });
}
