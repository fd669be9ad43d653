// One vector of floats, `Vec`, for each instruction set, and the functions the kernels use on it. `Vec::kLanes` floats.
//
// Everything here is in an anonymous namespace: each .cc file is compiled once per instruction set, and a shared inline
// function compiled with AVX-512 must never be linked into the code for a smaller machine.
#pragma once

#include <math.h>
#include <stdint.h>

#if defined(HEED_AVX512) || defined(HEED_AVX2)
#include <immintrin.h>
#elif defined(HEED_NEON)
#include <arm_neon.h>
#elif defined(__wasm_simd128__)
#include <wasm_simd128.h>
#endif

#define HEED_INLINE inline __attribute__((always_inline))

namespace {

#if defined(HEED_AVX512)

struct Vec {
    static constexpr int kLanes = 16;
    __m512 v;
};
struct Mask {
    __mmask16 m;
};
HEED_INLINE Vec load(const float* p) { return {_mm512_loadu_ps(p)}; }
HEED_INLINE void store(float* p, Vec a) { _mm512_storeu_ps(p, a.v); }
/** The first n lanes, 0 <= n <= kLanes; the others are 0, and memory beyond is not touched. */
HEED_INLINE Vec load_first(const float* p, int n) { return {_mm512_maskz_loadu_ps((__mmask16)((1u << n) - 1), p)}; }
HEED_INLINE void store_first(float* p, Vec a, int n) { _mm512_mask_storeu_ps(p, (__mmask16)((1u << n) - 1), a.v); }
HEED_INLINE Vec all(float x) { return {_mm512_set1_ps(x)}; }
HEED_INLINE Vec operator+(Vec a, Vec b) { return {_mm512_add_ps(a.v, b.v)}; }
HEED_INLINE Vec operator-(Vec a, Vec b) { return {_mm512_sub_ps(a.v, b.v)}; }
HEED_INLINE Vec operator*(Vec a, Vec b) { return {_mm512_mul_ps(a.v, b.v)}; }
HEED_INLINE Vec operator/(Vec a, Vec b) { return {_mm512_div_ps(a.v, b.v)}; }
/** a * b + c */
HEED_INLINE Vec fma(Vec a, Vec b, Vec c) { return {_mm512_fmadd_ps(a.v, b.v, c.v)}; }
HEED_INLINE Vec max(Vec a, Vec b) { return {_mm512_max_ps(a.v, b.v)}; }
HEED_INLINE Vec min(Vec a, Vec b) { return {_mm512_min_ps(a.v, b.v)}; }
HEED_INLINE Vec sqrt(Vec a) { return {_mm512_sqrt_ps(a.v)}; }
HEED_INLINE Vec round(Vec a) { return {_mm512_roundscale_ps(a.v, _MM_FROUND_TO_NEAREST_INT | _MM_FROUND_NO_EXC)}; }
HEED_INLINE Mask operator<(Vec a, Vec b) { return {_mm512_cmp_ps_mask(a.v, b.v, _CMP_LT_OQ)}; }
/** mask ? a : b */
HEED_INLINE Vec select(Mask mask, Vec a, Vec b) { return {_mm512_mask_blend_ps(mask.m, b.v, a.v)}; }
/** 2^n for whole n in [-126, 128]; 2^128 is infinite. */
HEED_INLINE Vec power_of_two(Vec n) {
    return {_mm512_castsi512_ps(_mm512_slli_epi32(_mm512_add_epi32(_mm512_cvtps_epi32(n.v), _mm512_set1_epi32(127)), 23))};
}
HEED_INLINE float sum(Vec a) { return _mm512_reduce_add_ps(a.v); }
HEED_INLINE float highest(Vec a) { return _mm512_reduce_max_ps(a.v); }

#elif defined(HEED_AVX2)

struct Vec {
    static constexpr int kLanes = 8;
    __m256 v;
};
struct Mask {
    __m256 m;
};
HEED_INLINE __m256i first_lanes(int n) {
    return _mm256_cmpgt_epi32(_mm256_set1_epi32(n), _mm256_setr_epi32(0, 1, 2, 3, 4, 5, 6, 7));
}
HEED_INLINE Vec load(const float* p) { return {_mm256_loadu_ps(p)}; }
HEED_INLINE void store(float* p, Vec a) { _mm256_storeu_ps(p, a.v); }
HEED_INLINE Vec load_first(const float* p, int n) { return {_mm256_maskload_ps(p, first_lanes(n))}; }
HEED_INLINE void store_first(float* p, Vec a, int n) { _mm256_maskstore_ps(p, first_lanes(n), a.v); }
HEED_INLINE Vec all(float x) { return {_mm256_set1_ps(x)}; }
HEED_INLINE Vec operator+(Vec a, Vec b) { return {_mm256_add_ps(a.v, b.v)}; }
HEED_INLINE Vec operator-(Vec a, Vec b) { return {_mm256_sub_ps(a.v, b.v)}; }
HEED_INLINE Vec operator*(Vec a, Vec b) { return {_mm256_mul_ps(a.v, b.v)}; }
HEED_INLINE Vec operator/(Vec a, Vec b) { return {_mm256_div_ps(a.v, b.v)}; }
HEED_INLINE Vec fma(Vec a, Vec b, Vec c) { return {_mm256_fmadd_ps(a.v, b.v, c.v)}; }
HEED_INLINE Vec max(Vec a, Vec b) { return {_mm256_max_ps(a.v, b.v)}; }
HEED_INLINE Vec min(Vec a, Vec b) { return {_mm256_min_ps(a.v, b.v)}; }
HEED_INLINE Vec sqrt(Vec a) { return {_mm256_sqrt_ps(a.v)}; }
HEED_INLINE Vec round(Vec a) { return {_mm256_round_ps(a.v, _MM_FROUND_TO_NEAREST_INT | _MM_FROUND_NO_EXC)}; }
HEED_INLINE Mask operator<(Vec a, Vec b) { return {_mm256_cmp_ps(a.v, b.v, _CMP_LT_OQ)}; }
HEED_INLINE Vec select(Mask mask, Vec a, Vec b) { return {_mm256_blendv_ps(b.v, a.v, mask.m)}; }
HEED_INLINE Vec power_of_two(Vec n) {
    return {_mm256_castsi256_ps(_mm256_slli_epi32(_mm256_add_epi32(_mm256_cvtps_epi32(n.v), _mm256_set1_epi32(127)), 23))};
}
HEED_INLINE float sum(Vec a) {
    __m128 half = _mm_add_ps(_mm256_castps256_ps128(a.v), _mm256_extractf128_ps(a.v, 1));
    half = _mm_add_ps(half, _mm_movehl_ps(half, half));
    return _mm_cvtss_f32(_mm_add_ss(half, _mm_movehdup_ps(half)));
}
HEED_INLINE float highest(Vec a) {
    __m128 half = _mm_max_ps(_mm256_castps256_ps128(a.v), _mm256_extractf128_ps(a.v, 1));
    half = _mm_max_ps(half, _mm_movehl_ps(half, half));
    return _mm_cvtss_f32(_mm_max_ss(half, _mm_movehdup_ps(half)));
}

#else

// Four lanes: NEON, WebAssembly, or plain C++ that the compiler may vectorise.
#if defined(HEED_NEON)

struct Vec {
    static constexpr int kLanes = 4;
    float32x4_t v;
};
struct Mask {
    uint32x4_t m;
};
HEED_INLINE Vec load(const float* p) { return {vld1q_f32(p)}; }
HEED_INLINE void store(float* p, Vec a) { vst1q_f32(p, a.v); }
HEED_INLINE Vec all(float x) { return {vdupq_n_f32(x)}; }
HEED_INLINE Vec operator+(Vec a, Vec b) { return {vaddq_f32(a.v, b.v)}; }
HEED_INLINE Vec operator-(Vec a, Vec b) { return {vsubq_f32(a.v, b.v)}; }
HEED_INLINE Vec operator*(Vec a, Vec b) { return {vmulq_f32(a.v, b.v)}; }
HEED_INLINE Vec operator/(Vec a, Vec b) { return {vdivq_f32(a.v, b.v)}; }
HEED_INLINE Vec fma(Vec a, Vec b, Vec c) { return {vfmaq_f32(c.v, a.v, b.v)}; }
HEED_INLINE Vec max(Vec a, Vec b) { return {vmaxq_f32(a.v, b.v)}; }
HEED_INLINE Vec min(Vec a, Vec b) { return {vminq_f32(a.v, b.v)}; }
HEED_INLINE Vec sqrt(Vec a) { return {vsqrtq_f32(a.v)}; }
HEED_INLINE Vec round(Vec a) { return {vrndnq_f32(a.v)}; }
HEED_INLINE Mask operator<(Vec a, Vec b) { return {vcltq_f32(a.v, b.v)}; }
HEED_INLINE Vec select(Mask mask, Vec a, Vec b) { return {vbslq_f32(mask.m, a.v, b.v)}; }
HEED_INLINE Vec power_of_two(Vec n) {
    return {vreinterpretq_f32_s32(vshlq_n_s32(vaddq_s32(vcvtq_s32_f32(n.v), vdupq_n_s32(127)), 23))};
}
HEED_INLINE float sum(Vec a) { return vaddvq_f32(a.v); }
HEED_INLINE float highest(Vec a) { return vmaxvq_f32(a.v); }

#elif defined(__wasm_simd128__)

struct Vec {
    static constexpr int kLanes = 4;
    v128_t v;
};
struct Mask {
    v128_t m;
};
HEED_INLINE Vec load(const float* p) { return {wasm_v128_load(p)}; }
HEED_INLINE void store(float* p, Vec a) { wasm_v128_store(p, a.v); }
HEED_INLINE Vec all(float x) { return {wasm_f32x4_splat(x)}; }
HEED_INLINE Vec operator+(Vec a, Vec b) { return {wasm_f32x4_add(a.v, b.v)}; }
HEED_INLINE Vec operator-(Vec a, Vec b) { return {wasm_f32x4_sub(a.v, b.v)}; }
HEED_INLINE Vec operator*(Vec a, Vec b) { return {wasm_f32x4_mul(a.v, b.v)}; }
HEED_INLINE Vec operator/(Vec a, Vec b) { return {wasm_f32x4_div(a.v, b.v)}; }
#if defined(__wasm_relaxed_simd__)
HEED_INLINE Vec fma(Vec a, Vec b, Vec c) { return {wasm_f32x4_relaxed_madd(a.v, b.v, c.v)}; }
#else
HEED_INLINE Vec fma(Vec a, Vec b, Vec c) { return {wasm_f32x4_add(wasm_f32x4_mul(a.v, b.v), c.v)}; }
#endif
HEED_INLINE Vec max(Vec a, Vec b) { return {wasm_f32x4_pmax(b.v, a.v)}; }
HEED_INLINE Vec min(Vec a, Vec b) { return {wasm_f32x4_pmin(b.v, a.v)}; }
HEED_INLINE Vec sqrt(Vec a) { return {wasm_f32x4_sqrt(a.v)}; }
HEED_INLINE Vec round(Vec a) { return {wasm_f32x4_nearest(a.v)}; }
HEED_INLINE Mask operator<(Vec a, Vec b) { return {wasm_f32x4_lt(a.v, b.v)}; }
HEED_INLINE Vec select(Mask mask, Vec a, Vec b) { return {wasm_v128_bitselect(a.v, b.v, mask.m)}; }
HEED_INLINE Vec power_of_two(Vec n) {
    return {wasm_i32x4_shl(wasm_i32x4_add(wasm_i32x4_trunc_sat_f32x4(n.v), wasm_i32x4_splat(127)), 23)};
}
HEED_INLINE float sum(Vec a) {
    return (wasm_f32x4_extract_lane(a.v, 0) + wasm_f32x4_extract_lane(a.v, 1)) +
           (wasm_f32x4_extract_lane(a.v, 2) + wasm_f32x4_extract_lane(a.v, 3));
}
HEED_INLINE float highest(Vec a) {
    const v128_t pairs = wasm_f32x4_pmax(a.v, wasm_i32x4_shuffle(a.v, a.v, 2, 3, 0, 1));
    const float x = wasm_f32x4_extract_lane(pairs, 0), y = wasm_f32x4_extract_lane(pairs, 1);
    return x > y ? x : y;
}

#else

struct Vec {
    static constexpr int kLanes = 4;
    float v[4];
};
struct Mask {
    bool m[4];
};
#define HEED_EACH(type, expression)                       \
    type r;                                               \
    for (int i = 0; i < 4; i++) r.HEED_LANE = expression; \
    return r;
#define HEED_LANE v[i]
HEED_INLINE Vec load(const float* p) { HEED_EACH(Vec, p[i]) }
HEED_INLINE void store(float* p, Vec a) {
    for (int i = 0; i < 4; i++) p[i] = a.v[i];
}
HEED_INLINE Vec all(float x) { HEED_EACH(Vec, x) }
HEED_INLINE Vec operator+(Vec a, Vec b) { HEED_EACH(Vec, a.v[i] + b.v[i]) }
HEED_INLINE Vec operator-(Vec a, Vec b) { HEED_EACH(Vec, a.v[i] - b.v[i]) }
HEED_INLINE Vec operator*(Vec a, Vec b) { HEED_EACH(Vec, a.v[i] * b.v[i]) }
HEED_INLINE Vec operator/(Vec a, Vec b) { HEED_EACH(Vec, a.v[i] / b.v[i]) }
HEED_INLINE Vec fma(Vec a, Vec b, Vec c) { HEED_EACH(Vec, a.v[i] * b.v[i] + c.v[i]) }
HEED_INLINE Vec max(Vec a, Vec b) { HEED_EACH(Vec, a.v[i] > b.v[i] ? a.v[i] : b.v[i]) }
HEED_INLINE Vec min(Vec a, Vec b) { HEED_EACH(Vec, a.v[i] < b.v[i] ? a.v[i] : b.v[i]) }
HEED_INLINE Vec sqrt(Vec a) { HEED_EACH(Vec, ::sqrtf(a.v[i])) }
HEED_INLINE Vec round(Vec a) { HEED_EACH(Vec, ::nearbyintf(a.v[i])) }
HEED_INLINE Vec select(Mask mask, Vec a, Vec b) { HEED_EACH(Vec, mask.m[i] ? a.v[i] : b.v[i]) }
HEED_INLINE Vec power_of_two(Vec n) { HEED_EACH(Vec, ::ldexpf(1.0f, (int)n.v[i])) }
#undef HEED_LANE
#define HEED_LANE m[i]
HEED_INLINE Mask operator<(Vec a, Vec b) { HEED_EACH(Mask, a.v[i] < b.v[i]) }
#undef HEED_LANE
#undef HEED_EACH
HEED_INLINE float sum(Vec a) { return (a.v[0] + a.v[1]) + (a.v[2] + a.v[3]); }
HEED_INLINE float highest(Vec a) {
    const float x = a.v[0] > a.v[1] ? a.v[0] : a.v[1], y = a.v[2] > a.v[3] ? a.v[2] : a.v[3];
    return x > y ? x : y;
}

#endif

HEED_INLINE Vec load_first(const float* p, int n) {
    float lanes[4] = {0, 0, 0, 0};
    for (int i = 0; i < n; i++) lanes[i] = p[i];
    return load(lanes);
}
HEED_INLINE void store_first(float* p, Vec a, int n) {
    float lanes[4];
    store(lanes, a);
    for (int i = 0; i < n; i++) p[i] = lanes[i];
}

#endif

// V8 has 15 registers, and keeps to them where a loop uses what it loads at once. The compiler would load all that a step
// needs first; the V8 of Node 20 does as well, unless the loop's results are stored in the order in which it computes them.

/** On WebAssembly `x` is computed where this stands. */
HEED_INLINE void stay([[maybe_unused]] Vec& x) {
#if defined(__wasm_simd128__)
    asm volatile("" : "+r"(x.v));
#endif
}
/** On WebAssembly `x` is stored where this stands. */
HEED_INLINE void stay_in_memory([[maybe_unused]] Vec& x) {
#if defined(__wasm_simd128__)
    asm volatile("" : : "r"(&x) : "memory");
#endif
}

/** Calls body(i, n) for each vector of [0, count): n is kLanes, a constant, but for a last shorter one. */
#define HEED_FOR_VECTORS(i, n, count, body)                                   \
    do {                                                                      \
        int i = 0;                                                            \
        for (; i + Vec::kLanes <= (count); i += Vec::kLanes) {                \
            constexpr int n = Vec::kLanes;                                    \
            body                                                              \
        }                                                                     \
        if (i < (count)) {                                                    \
            const int n = (count) - i;                                        \
            body                                                              \
        }                                                                     \
    } while (0)

/** Loads or stores n lanes, whole vectors by the plain instruction. */
HEED_INLINE Vec load_n(const float* p, int n) { return n == Vec::kLanes ? load(p) : load_first(p, n); }
HEED_INLINE void store_n(float* p, Vec a, int n) {
    if (n == Vec::kLanes) store(p, a);
    else store_first(p, a, n);
}

/** Lane i is the sum of v[i]: as many horizontal sums at once as there are lanes, in three instructions each. */
HEED_INLINE Vec sums(const Vec* v) {
#if defined(HEED_AVX512)
    __m512 quads[4];
#pragma GCC unroll 4
    for (int i = 0; i < 4; i++) {
        const __m512 a = v[4 * i].v, b = v[4 * i + 1].v, c = v[4 * i + 2].v, d = v[4 * i + 3].v;
        const __m512 ab = _mm512_add_ps(_mm512_unpacklo_ps(a, b), _mm512_unpackhi_ps(a, b));
        const __m512 cd = _mm512_add_ps(_mm512_unpacklo_ps(c, d), _mm512_unpackhi_ps(c, d));
        quads[i] = _mm512_add_ps(_mm512_shuffle_ps(ab, cd, 0x44), _mm512_shuffle_ps(ab, cd, 0xee));
    }
    const __m512 low = _mm512_add_ps(_mm512_shuffle_f32x4(quads[0], quads[1], 0x88), _mm512_shuffle_f32x4(quads[0], quads[1], 0xdd));
    const __m512 high = _mm512_add_ps(_mm512_shuffle_f32x4(quads[2], quads[3], 0x88), _mm512_shuffle_f32x4(quads[2], quads[3], 0xdd));
    return {_mm512_add_ps(_mm512_shuffle_f32x4(low, high, 0x88), _mm512_shuffle_f32x4(low, high, 0xdd))};
#elif defined(HEED_AVX2)
    const __m256 low = _mm256_hadd_ps(_mm256_hadd_ps(v[0].v, v[1].v), _mm256_hadd_ps(v[2].v, v[3].v));
    const __m256 high = _mm256_hadd_ps(_mm256_hadd_ps(v[4].v, v[5].v), _mm256_hadd_ps(v[6].v, v[7].v));
    return {_mm256_add_ps(_mm256_permute2f128_ps(low, high, 0x20), _mm256_permute2f128_ps(low, high, 0x31))};
#elif defined(HEED_NEON)
    return {vpaddq_f32(vpaddq_f32(v[0].v, v[1].v), vpaddq_f32(v[2].v, v[3].v))};
#else
    float lanes[Vec::kLanes];
    for (int i = 0; i < Vec::kLanes; i++) lanes[i] = sum(v[i]);
    return load(lanes);
#endif
}

/**
 * e^x within 2 ulp; 0 below -87.3, infinite above 88.37, NaN for NaN. x = n·ln 2 + r with |r| <= ln 2 / 2, then the
 * polynomial of Cephes `expf`, scaled by 2^n.
 */
HEED_INLINE Vec exp(Vec x) {
    const Mask vanishes = x < all(-87.3365f);
    x = max(all(-87.3365f), min(all(89.0f), x));  // in this order NaN stays NaN; e^89 is 2^128 · r, infinite
    const Vec n = round(x * all(1.44269504088896341f));
    Vec r = fma(n, all(-0.693359375f), x);
    r = fma(n, all(2.12194440e-4f), r);
    Vec p = all(1.9875691500e-4f);
    p = fma(p, r, all(1.3981999507e-3f));
    p = fma(p, r, all(8.3334519073e-3f));
    p = fma(p, r, all(4.1665795894e-2f));
    p = fma(p, r, all(1.6666665459e-1f));
    p = fma(p, r, all(5.0000001201e-1f));
    p = fma(p, r * r, r + all(1.0f));
    return select(vanishes, all(0.0f), p * power_of_two(n));
}

/** 1 / (1 + e^-x) */
HEED_INLINE Vec sigmoid(Vec x) { return all(1.0f) / (all(1.0f) + exp(all(0.0f) - x)); }

/** tanh x = 1 - 2 / (e^2x + 1); near 0, where that cancels, x + x³ P(x²) with a minimax fit P. */
HEED_INLINE Vec tanh(Vec x) {
    const Vec t = x * x;
    Vec p = all(-6.191657811e-3f);
    p = fma(p, t, all(2.108857096e-2f));
    p = fma(p, t, all(-5.387944499e-2f));
    p = fma(p, t, all(1.333308558e-1f));
    p = fma(p, t, all(-3.333333737e-1f));
    const Vec far = all(1.0f) - all(2.0f) / (exp(x + x) + all(1.0f));
    return select(t < all(0.4f), fma(p * t, x, x), far);
}

}  // namespace
