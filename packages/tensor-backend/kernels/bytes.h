// Vectors of whole numbers for quantised weights: `Bytes`, four to a lane of `Vec`, and `Ints`, one to a lane.
#pragma once

#include <string.h>

#include "simd.h"

namespace {

// What dot_signed needs the sum to start from, times minus the sum of the right operand: where the processor multiplies
// only unsigned by signed, the left operand is moved up by this.
#if defined(HEED_AVX512)
constexpr int kSignedOffset = 128;
#else
constexpr int kSignedOffset = 0;
#endif

#if defined(HEED_AVX512)

struct Bytes {
    __m512i v;
};
struct Ints {
    __m512i v;
};
HEED_INLINE Bytes load_bytes(const uint8_t* p) { return {_mm512_loadu_si512(p)}; }
HEED_INLINE Bytes operator&(Bytes a, uint8_t mask) { return {_mm512_and_si512(a.v, _mm512_set1_epi8((char)mask))}; }
HEED_INLINE Bytes operator|(Bytes a, Bytes b) { return {_mm512_or_si512(a.v, b.v)}; }
template <int kBits>
HEED_INLINE Bytes shift_right(Bytes a) {
    return {_mm512_and_si512(_mm512_srli_epi16(a.v, kBits), _mm512_set1_epi8((char)(0xff >> kBits)))};
}
template <int kBits>
HEED_INLINE Bytes shift_left(Bytes a) {
    return {_mm512_slli_epi16(_mm512_and_si512(a.v, _mm512_set1_epi8((char)(0xff >> kBits))), kBits)};
}
HEED_INLINE Ints all_ints(int x) { return {_mm512_set1_epi32(x)}; }
HEED_INLINE Vec to_float(Ints a) { return {_mm512_cvtepi32_ps(a.v)}; }
/** Each lane: total + Σ of its four left bytes, 0 to 63, times the four signed bytes of `right`, -127 to 127. */
HEED_INLINE Ints dot_small(Ints total, Bytes left, int right) {
    return {_mm512_dpbusd_epi32(total.v, left.v, _mm512_set1_epi32(right))};
}
/** The same for signed bytes; total starts at -kSignedOffset · Σ right. */
HEED_INLINE Ints dot_signed(Ints total, Bytes left, int right) {
    return {_mm512_dpbusd_epi32(total.v, _mm512_xor_si512(left.v, _mm512_set1_epi8((char)0x80)), _mm512_set1_epi32(right))};
}
HEED_INLINE Vec load_u8(const uint8_t* p) { return {_mm512_cvtepi32_ps(_mm512_cvtepu8_epi32(_mm_loadu_si128((const __m128i*)p)))}; }
HEED_INLINE Vec load_s8(const uint8_t* p) { return {_mm512_cvtepi32_ps(_mm512_cvtepi8_epi32(_mm_loadu_si128((const __m128i*)p)))}; }
HEED_INLINE Vec load_f16(const uint8_t* p) { return {_mm512_cvtph_ps(_mm256_loadu_si256((const __m256i*)p))}; }
HEED_INLINE Vec load_bf16(const uint8_t* p) {
    return {_mm512_castsi512_ps(_mm512_slli_epi32(_mm512_cvtepu16_epi32(_mm256_loadu_si256((const __m256i*)p)), 16))};
}

#elif defined(HEED_AVX2)

struct Bytes {
    __m256i v;
};
struct Ints {
    __m256i v;
};
HEED_INLINE Bytes load_bytes(const uint8_t* p) { return {_mm256_loadu_si256((const __m256i*)p)}; }
HEED_INLINE Bytes operator&(Bytes a, uint8_t mask) { return {_mm256_and_si256(a.v, _mm256_set1_epi8((char)mask))}; }
HEED_INLINE Bytes operator|(Bytes a, Bytes b) { return {_mm256_or_si256(a.v, b.v)}; }
template <int kBits>
HEED_INLINE Bytes shift_right(Bytes a) {
    return {_mm256_and_si256(_mm256_srli_epi16(a.v, kBits), _mm256_set1_epi8((char)(0xff >> kBits)))};
}
template <int kBits>
HEED_INLINE Bytes shift_left(Bytes a) {
    return {_mm256_slli_epi16(_mm256_and_si256(a.v, _mm256_set1_epi8((char)(0xff >> kBits))), kBits)};
}
HEED_INLINE Ints all_ints(int x) { return {_mm256_set1_epi32(x)}; }
HEED_INLINE Vec to_float(Ints a) { return {_mm256_cvtepi32_ps(a.v)}; }
HEED_INLINE Ints dot_unsigned(Ints total, __m256i left, __m256i right) {
    const __m256i pairs = _mm256_maddubs_epi16(left, right);
    return {_mm256_add_epi32(total.v, _mm256_madd_epi16(pairs, _mm256_set1_epi16(1)))};
}
HEED_INLINE Ints dot_small(Ints total, Bytes left, int right) { return dot_unsigned(total, left.v, _mm256_set1_epi32(right)); }
HEED_INLINE Ints dot_signed(Ints total, Bytes left, int right) {
    return dot_unsigned(total, _mm256_abs_epi8(left.v), _mm256_sign_epi8(_mm256_set1_epi32(right), left.v));
}
HEED_INLINE Vec load_u8(const uint8_t* p) { return {_mm256_cvtepi32_ps(_mm256_cvtepu8_epi32(_mm_loadl_epi64((const __m128i*)p)))}; }
HEED_INLINE Vec load_s8(const uint8_t* p) { return {_mm256_cvtepi32_ps(_mm256_cvtepi8_epi32(_mm_loadl_epi64((const __m128i*)p)))}; }
HEED_INLINE Vec load_f16(const uint8_t* p) { return {_mm256_cvtph_ps(_mm_loadu_si128((const __m128i*)p))}; }
HEED_INLINE Vec load_bf16(const uint8_t* p) {
    return {_mm256_castsi256_ps(_mm256_slli_epi32(_mm256_cvtepu16_epi32(_mm_loadu_si128((const __m128i*)p)), 16))};
}

#elif defined(HEED_NEON)

struct Bytes {
    uint8x16_t v;
};
struct Ints {
    int32x4_t v;
};
HEED_INLINE Bytes load_bytes(const uint8_t* p) { return {vld1q_u8(p)}; }
HEED_INLINE Bytes operator&(Bytes a, uint8_t mask) { return {vandq_u8(a.v, vdupq_n_u8(mask))}; }
HEED_INLINE Bytes operator|(Bytes a, Bytes b) { return {vorrq_u8(a.v, b.v)}; }
template <int kBits>
HEED_INLINE Bytes shift_right(Bytes a) {
    return {vshrq_n_u8(a.v, kBits)};
}
template <int kBits>
HEED_INLINE Bytes shift_left(Bytes a) {
    return {vshlq_n_u8(a.v, kBits)};
}
HEED_INLINE Ints all_ints(int x) { return {vdupq_n_s32(x)}; }
HEED_INLINE Vec to_float(Ints a) { return {vcvtq_f32_s32(a.v)}; }
HEED_INLINE Ints dot_signed(Ints total, Bytes left, int right) {
    const int8x16_t a = vreinterpretq_s8_u8(left.v), b = vreinterpretq_s8_s32(vdupq_n_s32(right));
#if defined(__ARM_FEATURE_DOTPROD)
    return {vdotq_s32(total.v, a, b)};
#else
    const int32x4_t low = vpaddlq_s16(vmull_s8(vget_low_s8(a), vget_low_s8(b)));
    const int32x4_t high = vpaddlq_s16(vmull_s8(vget_high_s8(a), vget_high_s8(b)));
    return {vaddq_s32(total.v, vpaddq_s32(low, high))};
#endif
}
HEED_INLINE Ints dot_small(Ints total, Bytes left, int right) { return dot_signed(total, left, right); }
HEED_INLINE uint32_t four_bytes(const uint8_t* p) {
    uint32_t word;
    memcpy(&word, p, sizeof word);
    return word;
}
HEED_INLINE Vec load_u8(const uint8_t* p) {
    const uint8x8_t bytes = vreinterpret_u8_u32(vdup_n_u32(four_bytes(p)));
    return {vcvtq_f32_u32(vmovl_u16(vget_low_u16(vmovl_u8(bytes))))};
}
HEED_INLINE Vec load_s8(const uint8_t* p) {
    const int8x8_t bytes = vreinterpret_s8_u32(vdup_n_u32(four_bytes(p)));
    return {vcvtq_f32_s32(vmovl_s16(vget_low_s16(vmovl_s8(bytes))))};
}
HEED_INLINE Vec load_f16(const uint8_t* p) { return {vcvt_f32_f16(vreinterpret_f16_u8(vld1_u8(p)))}; }
HEED_INLINE Vec load_bf16(const uint8_t* p) {
    return {vreinterpretq_f32_u32(vshll_n_u16(vreinterpret_u16_u8(vld1_u8(p)), 16))};
}

#elif defined(__wasm_simd128__)

struct Bytes {
    v128_t v;
};
/** Each lane as two sums that lie side by side, those of lanes 0 and 1 in `low`: they are added up once, by to_float. */
struct Ints {
    v128_t low, high;
};
HEED_INLINE Bytes load_bytes(const uint8_t* p) { return {wasm_v128_load(p)}; }
HEED_INLINE Bytes operator&(Bytes a, uint8_t mask) { return {wasm_v128_and(a.v, wasm_i8x16_splat((int8_t)mask))}; }
HEED_INLINE Bytes operator|(Bytes a, Bytes b) { return {wasm_v128_or(a.v, b.v)}; }
template <int kBits>
HEED_INLINE Bytes shift_right(Bytes a) {
    return {wasm_u8x16_shr(a.v, kBits)};
}
template <int kBits>
HEED_INLINE Bytes shift_left(Bytes a) {
    return {wasm_i8x16_shl(a.v, kBits)};
}
HEED_INLINE Ints all_ints(int x) {
    const v128_t v = wasm_i32x4_make(x, 0, x, 0);
    return {v, v};
}
HEED_INLINE Vec to_float(Ints a) {
    const v128_t even = wasm_i32x4_shuffle(a.low, a.high, 0, 2, 4, 6), odd = wasm_i32x4_shuffle(a.low, a.high, 1, 3, 5, 7);
    return {wasm_f32x4_convert_i32x4(wasm_i32x4_add(even, odd))};
}
// The relaxed dot product of bytes is not used: Node 20 was seen to give wrong sums with it on an x86 processor.
HEED_INLINE Ints dot_signed(Ints total, Bytes left, int right) {
    const v128_t b = wasm_i16x8_extend_low_i8x16(wasm_i32x4_splat(right));
    const v128_t low = wasm_i32x4_dot_i16x8(wasm_i16x8_extend_low_i8x16(left.v), b);
    const v128_t high = wasm_i32x4_dot_i16x8(wasm_i16x8_extend_high_i8x16(left.v), b);
    return {wasm_i32x4_add(total.low, low), wasm_i32x4_add(total.high, high)};
}
HEED_INLINE Ints dot_small(Ints total, Bytes left, int right) { return dot_signed(total, left, right); }
HEED_INLINE Vec load_u8(const uint8_t* p) {
    return {wasm_f32x4_convert_i32x4(wasm_u32x4_extend_low_u16x8(wasm_u16x8_extend_low_u8x16(wasm_v128_load32_zero(p))))};
}
HEED_INLINE Vec load_s8(const uint8_t* p) {
    return {wasm_f32x4_convert_i32x4(wasm_i32x4_extend_low_i16x8(wasm_i16x8_extend_low_i8x16(wasm_v128_load32_zero(p))))};
}
// The exponent of float16 is biased by 15, that of float32 by 127: multiply by 2^112; the largest exponent is infinite.
HEED_INLINE Vec load_f16(const uint8_t* p) {
    const v128_t bits = wasm_u32x4_load16x4(p);
    const v128_t size = wasm_i32x4_shl(wasm_v128_and(bits, wasm_i32x4_splat(0x7fff)), 13);
    const v128_t sign = wasm_i32x4_shl(wasm_v128_and(bits, wasm_i32x4_splat(0x8000)), 16);
    const v128_t infinite = wasm_v128_and(wasm_i32x4_ge(size, wasm_i32x4_splat(0x7c00 << 13)), wasm_i32x4_splat(0x7f800000));
    return {wasm_v128_or(wasm_v128_or(wasm_f32x4_mul(size, wasm_f32x4_splat(0x1p112f)), infinite), sign)};
}
HEED_INLINE Vec load_bf16(const uint8_t* p) { return {wasm_i32x4_shl(wasm_u32x4_load16x4(p), 16)}; }

#else

struct Bytes {
    uint8_t v[16];
};
struct Ints {
    int v[4];
};
HEED_INLINE Bytes load_bytes(const uint8_t* p) {
    Bytes r;
    memcpy(r.v, p, 16);
    return r;
}
HEED_INLINE Bytes operator&(Bytes a, uint8_t mask) {
    for (int i = 0; i < 16; i++) a.v[i] &= mask;
    return a;
}
HEED_INLINE Bytes operator|(Bytes a, Bytes b) {
    for (int i = 0; i < 16; i++) a.v[i] |= b.v[i];
    return a;
}
template <int kBits>
HEED_INLINE Bytes shift_right(Bytes a) {
    for (int i = 0; i < 16; i++) a.v[i] = (uint8_t)(a.v[i] >> kBits);
    return a;
}
template <int kBits>
HEED_INLINE Bytes shift_left(Bytes a) {
    for (int i = 0; i < 16; i++) a.v[i] = (uint8_t)(a.v[i] << kBits);
    return a;
}
HEED_INLINE Ints all_ints(int x) { return {{x, x, x, x}}; }
HEED_INLINE Vec to_float(Ints a) { return {{(float)a.v[0], (float)a.v[1], (float)a.v[2], (float)a.v[3]}}; }
HEED_INLINE Ints dot_signed(Ints total, Bytes left, int right) {
    int8_t bytes[4];
    memcpy(bytes, &right, 4);
    for (int i = 0; i < 16; i++) total.v[i / 4] += (int8_t)left.v[i] * bytes[i % 4];
    return total;
}
HEED_INLINE Ints dot_small(Ints total, Bytes left, int right) { return dot_signed(total, left, right); }
HEED_INLINE Vec load_u8(const uint8_t* p) { return {{(float)p[0], (float)p[1], (float)p[2], (float)p[3]}}; }
HEED_INLINE Vec load_s8(const uint8_t* p) {
    return {{(float)(int8_t)p[0], (float)(int8_t)p[1], (float)(int8_t)p[2], (float)(int8_t)p[3]}};
}
HEED_INLINE float float_of(uint32_t bits) {
    float x;
    memcpy(&x, &bits, sizeof x);
    return x;
}
HEED_INLINE Vec load_f16(const uint8_t* p) {
    Vec r;
    for (int i = 0; i < 4; i++) {
        const uint32_t bits = p[2 * i] | (uint32_t)p[2 * i + 1] << 8;
        const uint32_t infinite = (bits & 0x7fff) >= 0x7c00 ? 0x7f800000 : 0;  // or no number
        const float size = infinite ? float_of((bits & 0x7fff) << 13 | infinite) : float_of((bits & 0x7fff) << 13) * 0x1p112f;
        r.v[i] = bits & 0x8000 ? -size : size;
    }
    return r;
}
HEED_INLINE Vec load_bf16(const uint8_t* p) {
    Vec r;
    for (int i = 0; i < 4; i++) r.v[i] = float_of((uint32_t)(p[2 * i] | p[2 * i + 1] << 8) << 16);
    return r;
}

#endif

}  // namespace
