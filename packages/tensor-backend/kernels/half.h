// One float16 at a time, as bits.
#pragma once

#include <math.h>
#include <stdint.h>
#include <string.h>

namespace {

constexpr float kLargestHalf = 65504;

/** The float16 that is nearest to x, ties to even; numbers beyond what it holds become its largest. */
inline uint16_t to_half(float x) {
    uint32_t bits;
    memcpy(&bits, &x, sizeof bits);
    const uint16_t sign = (uint16_t)(bits >> 16 & 0x8000);
    const float size = fabsf(x);
    if (x != x) return 0x7e00;
    if (size >= kLargestHalf) return (uint16_t)(sign | 0x7bff);
    if (size < 0x1p-14f) return (uint16_t)(sign | (uint16_t)lrintf(size * 0x1p24f));  // in steps of 2^-24
    bits &= 0x7fffffff;
    bits += 0xfff + (bits >> 13 & 1);
    return (uint16_t)(sign | (uint16_t)((bits - (112u << 23)) >> 13));
}

/** A float16 that is finite. */
inline float from_half(const uint8_t* p) {
    const uint32_t half = p[0] | (uint32_t)p[1] << 8, bits = (half & 0x8000) << 16 | (half & 0x7fff) << 13;
    float x;
    memcpy(&x, &bits, sizeof x);
    return x * 0x1p112f;
}

inline void put_half(uint8_t* p, uint16_t half) {
    p[0] = (uint8_t)half;
    p[1] = (uint8_t)(half >> 8);
}

}  // namespace
