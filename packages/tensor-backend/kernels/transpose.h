// Transposition in registers, by square blocks of one vector a side.
#pragma once

#include <stddef.h>

#include "simd.h"

namespace {

/** to[j * to_row + i] = from[i * from_row + j] for i, j < Vec::kLanes. */
HEED_INLINE void transpose_lanes(const float* from, size_t from_row, float* to, size_t to_row) {
#if defined(HEED_AVX512)
    __m512 r[16], t[16];
#pragma GCC unroll 16
    for (int i = 0; i < 16; i++) r[i] = _mm512_loadu_ps(from + i * from_row);
    // Pairs of rows, then fours, within each 128-bit quarter; then the quarters themselves.
#pragma GCC unroll 8
    for (int i = 0; i < 16; i += 2) {
        t[i] = _mm512_unpacklo_ps(r[i], r[i + 1]);
        t[i + 1] = _mm512_unpackhi_ps(r[i], r[i + 1]);
    }
#pragma GCC unroll 4
    for (int i = 0; i < 16; i += 4) {
        r[i] = _mm512_castpd_ps(_mm512_unpacklo_pd(_mm512_castps_pd(t[i]), _mm512_castps_pd(t[i + 2])));
        r[i + 1] = _mm512_castpd_ps(_mm512_unpackhi_pd(_mm512_castps_pd(t[i]), _mm512_castps_pd(t[i + 2])));
        r[i + 2] = _mm512_castpd_ps(_mm512_unpacklo_pd(_mm512_castps_pd(t[i + 1]), _mm512_castps_pd(t[i + 3])));
        r[i + 3] = _mm512_castpd_ps(_mm512_unpackhi_pd(_mm512_castps_pd(t[i + 1]), _mm512_castps_pd(t[i + 3])));
    }
#pragma GCC unroll 4
    for (int i = 0; i < 4; i++) {
        const __m512 low01 = _mm512_shuffle_f32x4(r[i], r[i + 4], 0x88), high01 = _mm512_shuffle_f32x4(r[i], r[i + 4], 0xdd);
        const __m512 low23 = _mm512_shuffle_f32x4(r[i + 8], r[i + 12], 0x88), high23 = _mm512_shuffle_f32x4(r[i + 8], r[i + 12], 0xdd);
        _mm512_storeu_ps(to + i * to_row, _mm512_shuffle_f32x4(low01, low23, 0x88));
        _mm512_storeu_ps(to + (i + 4) * to_row, _mm512_shuffle_f32x4(high01, high23, 0x88));
        _mm512_storeu_ps(to + (i + 8) * to_row, _mm512_shuffle_f32x4(low01, low23, 0xdd));
        _mm512_storeu_ps(to + (i + 12) * to_row, _mm512_shuffle_f32x4(high01, high23, 0xdd));
    }
#elif defined(HEED_AVX2)
    __m256 r[8], t[8];
#pragma GCC unroll 8
    for (int i = 0; i < 8; i++) r[i] = _mm256_loadu_ps(from + i * from_row);
#pragma GCC unroll 4
    for (int i = 0; i < 8; i += 2) {
        t[i] = _mm256_unpacklo_ps(r[i], r[i + 1]);
        t[i + 1] = _mm256_unpackhi_ps(r[i], r[i + 1]);
    }
#pragma GCC unroll 2
    for (int i = 0; i < 8; i += 4) {
        r[i] = _mm256_shuffle_ps(t[i], t[i + 2], 0x44);
        r[i + 1] = _mm256_shuffle_ps(t[i], t[i + 2], 0xee);
        r[i + 2] = _mm256_shuffle_ps(t[i + 1], t[i + 3], 0x44);
        r[i + 3] = _mm256_shuffle_ps(t[i + 1], t[i + 3], 0xee);
    }
#pragma GCC unroll 4
    for (int i = 0; i < 4; i++) {
        _mm256_storeu_ps(to + i * to_row, _mm256_permute2f128_ps(r[i], r[i + 4], 0x20));
        _mm256_storeu_ps(to + (i + 4) * to_row, _mm256_permute2f128_ps(r[i], r[i + 4], 0x31));
    }
#elif defined(HEED_NEON)
    const float32x4x2_t ab = vtrnq_f32(vld1q_f32(from), vld1q_f32(from + from_row));
    const float32x4x2_t cd = vtrnq_f32(vld1q_f32(from + 2 * from_row), vld1q_f32(from + 3 * from_row));
    vst1q_f32(to, vcombine_f32(vget_low_f32(ab.val[0]), vget_low_f32(cd.val[0])));
    vst1q_f32(to + to_row, vcombine_f32(vget_low_f32(ab.val[1]), vget_low_f32(cd.val[1])));
    vst1q_f32(to + 2 * to_row, vcombine_f32(vget_high_f32(ab.val[0]), vget_high_f32(cd.val[0])));
    vst1q_f32(to + 3 * to_row, vcombine_f32(vget_high_f32(ab.val[1]), vget_high_f32(cd.val[1])));
#elif defined(__wasm_simd128__)
    const v128_t a = wasm_v128_load(from), b = wasm_v128_load(from + from_row);
    const v128_t c = wasm_v128_load(from + 2 * from_row), d = wasm_v128_load(from + 3 * from_row);
    const v128_t ab_low = wasm_i32x4_shuffle(a, b, 0, 4, 1, 5), ab_high = wasm_i32x4_shuffle(a, b, 2, 6, 3, 7);
    const v128_t cd_low = wasm_i32x4_shuffle(c, d, 0, 4, 1, 5), cd_high = wasm_i32x4_shuffle(c, d, 2, 6, 3, 7);
    wasm_v128_store(to, wasm_i64x2_shuffle(ab_low, cd_low, 0, 2));
    wasm_v128_store(to + to_row, wasm_i64x2_shuffle(ab_low, cd_low, 1, 3));
    wasm_v128_store(to + 2 * to_row, wasm_i64x2_shuffle(ab_high, cd_high, 0, 2));
    wasm_v128_store(to + 3 * to_row, wasm_i64x2_shuffle(ab_high, cd_high, 1, 3));
#else
    for (int i = 0; i < Vec::kLanes; i++)
        for (int j = 0; j < Vec::kLanes; j++) to[j * to_row + i] = from[i * from_row + j];
#endif
}

/** to[cols, rows] = the transpose of from[rows, cols]; rows lie from_row and to_row apart. */
inline void transpose_block(const float* from, size_t from_row, float* to, size_t to_row, int rows, int cols) {
    constexpr int L = Vec::kLanes;
    for (int i = 0; i < rows; i += L) {
        for (int j = 0; j < cols; j += L) {
            if (i + L <= rows && j + L <= cols) {
                transpose_lanes(from + i * from_row + j, from_row, to + j * to_row + i, to_row);
                continue;
            }
            for (int r = i; r < rows && r < i + L; r++)
                for (int c = j; c < cols && c < j + L; c++) to[c * to_row + r] = from[r * from_row + c];
        }
    }
}

}  // namespace
