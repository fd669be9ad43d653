// Floats into ggml's blocks of few bits. src/files/gguf/quantize.ts and quantize-k.ts make the same bytes where there are no
// kernels, and say how scales are searched for: each number is rounded here as there, so that products and sums are not to be
// fused, and sums are taken in the same order, those of several groups side by side.
#if defined(__clang__)
#pragma clang fp contract(off)
#else
#pragma GCC optimize("fp-contract=off")
#endif

#include <string.h>

#include "api.h"
#include "half.h"
#include "simd.h"
#include "threads.h"

namespace {

#if defined(HEED_AVX512)
constexpr int kLanes = 8;
#elif defined(HEED_AVX2)
constexpr int kLanes = 4;
#else
constexpr int kLanes = 2;
#endif

/** One number of each of kLanes groups. */
using Doubles = double __attribute__((vector_size(8 * kLanes)));

HEED_INLINE Doubles load_doubles(const double* p) {
    Doubles x;
    memcpy(&x, p, sizeof x);
    return x;
}
HEED_INLINE void store_doubles(double* p, Doubles x) { memcpy(p, &x, sizeof x); }

/** For the plain kernels, x is within the range of int. */
HEED_INLINE Doubles floor(Doubles x) {
#if defined(HEED_AVX512)
    return _mm512_roundscale_pd(x, _MM_FROUND_TO_NEG_INF | _MM_FROUND_NO_EXC);
#elif defined(HEED_AVX2)
    return _mm256_floor_pd(x);
#elif defined(HEED_NEON)
    return vrndmq_f64(x);
#elif defined(__wasm_simd128__)
    return (Doubles)wasm_f64x2_floor((v128_t)x);
#else
    for (int i = 0; i < kLanes; i++) {
        const double whole = (double)(int)x[i];
        x[i] = whole > x[i] ? whole - 1 : whole;
    }
    return x;
#endif
}

HEED_INLINE Doubles min(Doubles a, Doubles b) { return a < b ? a : b; }
/** b where a is NaN. */
HEED_INLINE Doubles max(Doubles a, Doubles b) { return a > b ? a : b; }
HEED_INLINE Doubles each(double x) { return Doubles{} + x; }

/** The nearest whole number within [least, most], upwards from the middle; least for NaN. */
HEED_INLINE Doubles nearest(Doubles x, double least, double most) { return floor(min(max(x, each(least)), each(most)) + 0.5); }

constexpr int kBlock = 256;

/** A block on its way: its numbers, the i-th of all groups side by side, then what is written of them. */
template <int kGroups>
struct KBlock {
    static constexpr int kSize = kBlock / kGroups;

    alignas(64) double x[kBlock];
    alignas(64) double scales[kGroups], minima[kGroups];
    uint8_t levels[kBlock];

    explicit KBlock(const float* from) {
        for (int group = 0; group < kGroups; group++)
            for (int i = 0; i < kSize; i++) x[i * kGroups + group] = from[group * kSize + i];
    }

    /** levels = to_level(x, group) for kLanes groups at a time. */
    template <class ToLevel>
    HEED_INLINE void set_levels(const ToLevel& to_level) {
        for (int group = 0; group < kGroups; group += kLanes)
            for (int i = 0; i < kSize; i++) store_doubles(x + i * kGroups + group, to_level(load_doubles(x + i * kGroups + group), group));
        for (int group = 0; group < kGroups; group++)
            for (int i = 0; i < kSize; i++) levels[group * kSize + i] = (uint8_t)(int)x[i * kGroups + group];
    }

    HEED_INLINE void fit_with_minimum(int group, double most) {
        Doubles values[kSize], weights[kSize], weighted[kSize], low = {}, high = load_doubles(x + group), mean = {};
        for (int i = 0; i < kSize; i++) {
            const Doubles value = load_doubles(x + i * kGroups + group);
            values[i] = value;
            low = min(value, low);
            high = max(value, high);
            mean += max(value, -value) / (double)kSize;
        }
        Doubles w = {}, wx = {};
        for (int i = 0; i < kSize; i++) {
            weights[i] = mean + max(values[i], -values[i]);
            weighted[i] = weights[i] * values[i];
            w += weights[i];
            wx += weighted[i];
        }
        Doubles best_scale = (high - low) / most, best_minimum = -low, least = each(__builtin_inf());
        for (int step = -10; step <= 10; step++) {
            const Doubles inverse = (most + step / 10.0) / (high - low);
            Doubles wq = {}, wqq = {}, wxq = {};
            for (int i = 0; i < kSize; i++) {
                const Doubles q = nearest(inverse * (values[i] - low), 0, most), product = weights[i] * q;
                wq += product;
                wqq += product * q;
                wxq += weighted[i] * q;
            }
            const Doubles determinant = w * wqq - wq * wq, offset = (wqq * wx - wq * wxq) / determinant;
            const auto is_above = offset > 0.0;
            const Doubles scale = is_above ? wxq / wqq : (w * wxq - wx * wq) / determinant, shift = is_above ? Doubles{} : offset;
            Doubles error = {};
            for (int i = 0; i < kSize; i++) {
                const Doubles q = nearest((values[i] - shift) / scale, 0, most), difference = scale * q + shift - values[i];
                error += weights[i] * (difference * difference);
            }
            const auto is_better = (determinant > 0.0) & (scale > 0.0) & (error < least);
            least = is_better ? error : least;
            best_scale = is_better ? scale : best_scale;
            best_minimum = is_better ? -shift : best_minimum;
        }
        const auto is_range = high > low;
        store_doubles(scales + group, is_range ? best_scale : Doubles{});
        store_doubles(minima + group, is_range ? best_minimum : -low);
    }

    HEED_INLINE void fit_symmetric(int group, double half) {
        Doubles values[kSize], squared[kSize], cubed[kSize], extreme = {};
        for (int i = 0; i < kSize; i++) {
            const Doubles value = load_doubles(x + i * kGroups + group);
            values[i] = value;
            squared[i] = value * value;
            cubed[i] = squared[i] * value;
            extreme = max(value, -value) > max(extreme, -extreme) ? value : extreme;
        }
        Doubles best = -extreme / half, most = {};
        for (int step = -9; step <= 9; step++) {
            const Doubles inverse = -(half + step / 10.0) / extreme;
            Doubles products = {}, squares = {};
            for (int i = 0; i < kSize; i++) {
                const Doubles q = nearest(inverse * values[i], -half, half - 1);
                products += cubed[i] * q;
                squares += squared[i] * q * q;
            }
            const Doubles gain = products * products / squares;
            const auto is_better = (squares > 0.0) & (gain > most);
            most = is_better ? gain : most;
            best = is_better ? products / squares : best;
        }
        store_doubles(scales + group, extreme == 0.0 ? Doubles{} : best);
    }
};

/** Writes a number as a float16 and returns what a reader gets. */
double put_rounded(double x, uint8_t* to) {
    put_half(to, to_half((float)x));
    return from_half(to);
}

/** Scales become what is written of them: 0 .. most times d. */
template <int kGroups>
void count_scales(double* scales, double d, double least, double most) {
    for (int group = 0; group < kGroups; group += kLanes)
        store_doubles(scales + group, d == 0 ? Doubles{} : nearest(load_doubles(scales + group) / d, least, most));
}

/** Scale and minimum of each group; d at `to`, dmin behind it. Returns the larger of both. */
template <int kGroups>
double quantize_with_minimum(KBlock<kGroups>& block, int num_levels, int num_scales, uint8_t* to) {
    const double most = num_scales - 1;
    for (int group = 0; group < kGroups; group += kLanes) block.fit_with_minimum(group, num_levels - 1);
    double largest[2] = {0, 0};
    for (int group = 0; group < kGroups; group++) {
        if (block.scales[group] > largest[0]) largest[0] = block.scales[group];
        if (block.minima[group] > largest[1]) largest[1] = block.minima[group];
    }
    const double d = put_rounded(largest[0] / most, to), dmin = put_rounded(largest[1] / most, to + 2);
    count_scales<kGroups>(block.scales, d, 0, most);
    count_scales<kGroups>(block.minima, dmin, 0, most);
    block.set_levels([&](Doubles x, int group) {
        const Doubles scale = d * load_doubles(block.scales + group), minimum = dmin * load_doubles(block.minima + group);
        return scale == 0.0 ? Doubles{} : nearest((x + minimum) / scale, 0, num_levels - 1);
    });
    return (largest[0] > largest[1] ? largest[0] : largest[1]) / most;
}

/** Scale of each group, counted from its least, as levels are; d at `to`. Returns d. */
template <int kGroups>
double quantize_symmetric(KBlock<kGroups>& block, int num_levels, int num_scales, uint8_t* to) {
    const double half = num_levels / 2, half_scale = num_scales / 2;
    for (int group = 0; group < kGroups; group += kLanes) block.fit_symmetric(group, half);
    double extreme = 0;
    for (int group = 0; group < kGroups; group++)
        if (fabs(block.scales[group]) > fabs(extreme)) extreme = block.scales[group];
    const double most = extreme == 0 ? 0 : -extreme / half_scale, d = put_rounded(most, to);
    count_scales<kGroups>(block.scales, d, -half_scale, half_scale - 1);
    block.set_levels([&](Doubles x, int group) {
        const Doubles scale = d * load_doubles(block.scales + group);
        return (scale == 0.0 ? Doubles{} : nearest(x / scale, -half, half - 1)) + half;
    });
    for (int group = 0; group < kGroups; group++) block.scales[group] += half_scale;
    return most;
}

/** kBits of each level, from bit kShift on: runs of kRun numbers above each other in bytes. */
template <int kBits, int kShift, int kRun>
void pack_bits(const uint8_t* levels, uint8_t* to) {
    constexpr int kPerByte = 8 / kBits;
    for (int stack = 0; stack < kBlock / kPerByte / kRun; stack++, levels += kPerByte * kRun, to += kRun) {
        for (int i = 0; i < kRun; i++) {
            int byte = 0;
            for (int part = 0; part < kPerByte; part++) byte |= (levels[part * kRun + i] >> kShift & ((1 << kBits) - 1)) << kBits * part;
            to[i] = (uint8_t)byte;
        }
    }
}

/** Eight scales and minima of 6 bits in 12 bytes, which are zeros. */
void pack_scales_and_minima(const KBlock<8>& block, uint8_t* to) {
    for (int group = 0; group < 8; group++) {
        const int scale = (int)block.scales[group], minimum = (int)block.minima[group];
        if (group < 4) {
            to[group] |= (uint8_t)scale;
            to[4 + group] |= (uint8_t)minimum;
        } else {
            to[4 + group] |= (uint8_t)((scale & 15) | (minimum & 15) << 4);
            to[group - 4] |= (uint8_t)(scale >> 4 << 6);
            to[group] |= (uint8_t)(minimum >> 4 << 6);
        }
    }
}

struct Q2_K {
    static constexpr int kNumbers = kBlock, kBytes = 84;

    static double quantize(const float* x, uint8_t* to) {
        KBlock<16> block(x);
        const double largest = quantize_with_minimum(block, 4, 16, to + 80);
        for (int group = 0; group < 16; group++) to[group] = (uint8_t)((int)block.scales[group] | (int)block.minima[group] << 4);
        pack_bits<2, 0, 32>(block.levels, to + 16);
        return largest;
    }
};

struct Q3_K {
    static constexpr int kNumbers = kBlock, kBytes = 110;

    static double quantize(const float* x, uint8_t* to) {
        KBlock<16> block(x);
        const double largest = quantize_symmetric(block, 8, 64, to + 108);
        pack_bits<1, 2, 32>(block.levels, to);
        pack_bits<2, 0, 32>(block.levels, to + 32);
        for (int group = 0; group < 16; group++) {
            const int scale = (int)block.scales[group];
            to[96 + group % 8] |= (uint8_t)((scale & 15) << (group < 8 ? 0 : 4));
            to[104 + group % 4] |= (uint8_t)(scale >> 4 << 2 * (group / 4));
        }
        return largest;
    }
};

struct Q4_K {
    static constexpr int kNumbers = kBlock, kBytes = 144;

    static double quantize(const float* x, uint8_t* to) {
        KBlock<8> block(x);
        const double largest = quantize_with_minimum(block, 16, 64, to);
        pack_scales_and_minima(block, to + 4);
        pack_bits<4, 0, 32>(block.levels, to + 16);
        return largest;
    }
};

struct Q5_K {
    static constexpr int kNumbers = kBlock, kBytes = 176;

    static double quantize(const float* x, uint8_t* to) {
        KBlock<8> block(x);
        const double largest = quantize_with_minimum(block, 32, 64, to);
        pack_scales_and_minima(block, to + 4);
        pack_bits<1, 4, 32>(block.levels, to + 16);
        pack_bits<4, 0, 32>(block.levels, to + 48);
        return largest;
    }
};

struct Q6_K {
    static constexpr int kNumbers = kBlock, kBytes = 210;

    static double quantize(const float* x, uint8_t* to) {
        KBlock<16> block(x);
        const double largest = quantize_symmetric(block, 64, 256, to + 208);
        pack_bits<4, 0, 64>(block.levels, to);
        pack_bits<2, 4, 32>(block.levels, to + 128);
        for (int group = 0; group < 16; group++) to[192 + group] = (uint8_t)((int)block.scales[group] - 128);
        return largest;
    }
};

/** 1 / d, and 0 where d is zero or so small that its inverse is infinite. */
float inverse_of(float d) {
    const float inverse = 1 / d;
    return fabsf(inverse) <= 3.40282347e38f ? inverse : 0;
}

struct Q8_0 {
    static constexpr int kNumbers = 32, kBytes = 34;

    static double quantize(const float* x, uint8_t* to) {
        Vec magnitudes = all(0);
        for (int i = 0; i < kNumbers; i += Vec::kLanes) magnitudes = max(magnitudes, max(load(x + i), all(0) - load(x + i)));
        const float d = highest(magnitudes) / 127, inverse = inverse_of(d);
        put_half(to, to_half(d));
        for (int i = 0; i < kNumbers; i++) {
            const double scaled = x[i] * inverse;
            to[2 + i] = (uint8_t)(int8_t)(int)(scaled + (scaled < 0 ? -0.5 : 0.5));  // half away from zero
        }
        return d;
    }
};

struct Q4_0 {
    static constexpr int kNumbers = 32, kBytes = 18;

    static double quantize(const float* x, uint8_t* to) {
        float extreme = 0;
        for (int i = 0; i < kNumbers; i++)
            if (fabsf(x[i]) > fabsf(extreme)) extreme = x[i];
        const float d = extreme / -8, inverse = inverse_of(d);
        put_half(to, to_half(d));
        int quanta[kNumbers];
        for (int i = 0; i < kNumbers; i++) {
            const int quantum = (int)(x[i] * inverse + 8.5f);
            quanta[i] = quantum < 15 ? quantum : 15;
        }
        for (int i = 0; i < kNumbers / 2; i++) to[2 + i] = (uint8_t)(quanta[i] | quanta[i + kNumbers / 2] << 4);
        return d;
    }
};

bool is_finite(const float* x, int count) {
    uint32_t largest = 0;
    for (int i = 0; i < count; i++) {
        uint32_t bits;
        memcpy(&bits, x + i, sizeof bits);
        bits &= 0x7fffffff;
        if (bits > largest) largest = bits;
    }
    return largest < 0x7f800000;
}

/** Calls body(format) with an object of the format's type, which has ggml's number `type`. */
template <class Body>
void with_format(int type, const Body& body) {
    switch (type) {
        case 2: return body(Q4_0());
        case 8: return body(Q8_0());
        case 10: return body(Q2_K());
        case 11: return body(Q3_K());
        case 12: return body(Q4_K());
        case 13: return body(Q5_K());
        case 14: return body(Q6_K());
    }
}

}  // namespace

/**
 * `count` blocks of x, and the largest scale of each, which the caller must find within the range of float16; NaN, and zeros as
 * a block, where a number is not finite.
 */
void HEED_KERNEL(quantize)(const float* x, uint8_t* blocks, double* scales, int type, int count) {
    with_format(type, [&](auto format) {
        using Format = decltype(format);
        heed::parallel_for(count, 2048 / Format::kBytes, [&](int begin, int end) {
            memset(blocks + (size_t)begin * Format::kBytes, 0, (size_t)(end - begin) * Format::kBytes);
            for (int i = begin; i < end; i++) {
                const float* from = x + (size_t)i * Format::kNumbers;
                const bool can = is_finite(from, Format::kNumbers);
                scales[i] = can ? Format::quantize(from, blocks + (size_t)i * Format::kBytes) : (double)NAN;
            }
        });
    });
}
