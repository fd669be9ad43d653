// Rows of a key-value cache in few bits: float16 after float16, or for every 32 numbers a float16 scale and then these as signed
// bytes, as in ggml's Q8_0. A row fills whole 32-bit words. Numbers beyond what float16 holds become its largest.
#pragma once

#include <math.h>
#include <string.h>

#include "bytes.h"
#include "half.h"
#include "simd.h"

namespace {

enum class Packing : int { kF16 = 0, kQ8_0 = 1 };

constexpr int kPackedBlock = 32;

inline size_t packed_row_bytes(Packing packing, int dim) {
    const int bytes = packing == Packing::kF16 ? 2 * dim : dim + 2 * ((dim + kPackedBlock - 1) / kPackedBlock);
    return (size_t)(bytes + 3) / 4 * 4;
}

inline void pack_row(Packing packing, const float* x, uint8_t* row, int dim) {
    if (packing == Packing::kF16) {
        for (int i = 0; i < dim; i++) put_half(row + 2 * i, to_half(x[i]));
        return;
    }
    for (int i = 0; i < dim; i += kPackedBlock) {
        const int count = dim - i < kPackedBlock ? dim - i : kPackedBlock;
        float largest = 0;
        for (int at = i; at < i + count; at++) largest = fabsf(x[at]) > largest ? fabsf(x[at]) : largest;
        put_half(row, to_half(largest / 127));
        const float scale = from_half(row), inverse = scale > 0 ? 1 / scale : 0;
        row += 2;
        for (int at = i; at < i + count; at++) {
            const float quantum = x[at] * inverse;
            *row++ = (uint8_t)(int8_t)lrintf(quantum > 127 ? 127 : quantum > -127 ? quantum : -127);
        }
    }
}

HEED_INLINE void unpack_row(Packing packing, const uint8_t* row, float* x, int dim) {
    constexpr int L = Vec::kLanes;
    if (packing == Packing::kF16) {
        int i = 0;
        for (; i + L <= dim; i += L) store(x + i, load_f16(row + 2 * i));
        if (i < dim) {
            uint8_t last[2 * L] = {};
            memcpy(last, row + 2 * i, 2 * (size_t)(dim - i));
            store_n(x + i, load_f16(last), dim - i);
        }
        return;
    }
    for (int i = 0; i < dim; i += kPackedBlock) {
        const int count = dim - i < kPackedBlock ? dim - i : kPackedBlock;
        const Vec scale = all(from_half(row));
        row += 2;
        int at = 0;
        for (; at + L <= count; at += L) store(x + i + at, load_s8(row + at) * scale);
        for (; at < count; at++) x[i + at] = (float)(int8_t)row[at] * from_half(row - 2);
        row += count;
    }
}

}  // namespace
