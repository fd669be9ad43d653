// The activations of feed-forward layers and their derivatives, on vectors: for activation.cc and for the epilogues of
// matrix products. Their numbers are those of src/ops/activation.ts.
#pragma once

#include "simd.h"

namespace {

enum class Activation : int { kNone = 0, kRelu = 1, kSilu = 2, kGelu = 3, kGeluTanh = 4 };

/**
 * erf x within 2e-7: x · P(x²) up to 1, then 1 - e^-Q(x); both polynomials are minimax fits, on [0, 1] and [1, 4].
 */
HEED_INLINE Vec erf(Vec x) {
    const Vec size = min(all(4.0f), max(x, all(0.0f) - x));
    const Vec t = x * x;
    Vec near = all(7.889122816e-5f);
    near = fma(near, t, all(-8.020842263e-4f));
    near = fma(near, t, all(5.189535450e-3f));
    near = fma(near, t, all(-2.685444465e-2f));
    near = fma(near, t, all(1.128360018e-1f));
    near = fma(near, t, all(-3.761262714e-1f));
    near = fma(near, t, all(1.128379166f)) * x;
    Vec q = all(-1.855740712e-4f);
    q = fma(q, size, all(2.939607888e-3f));
    q = fma(q, size, all(-2.180532060e-2f));
    q = fma(q, size, all(1.030373734e-1f));
    q = fma(q, size, all(6.382256721e-1f));
    q = fma(q, size, all(1.127040039f));
    q = fma(q, size, all(3.537187601e-4f));
    const Vec far = all(1.0f) - exp(all(0.0f) - q);
    return select(size < all(1.0f), near, select(x < all(0.0f), all(0.0f) - far, far));
}

/** Φ(x), the distribution function of the standard normal. */
HEED_INLINE Vec normal_cdf(Vec x) { return fma(erf(x * all(0.70710678118654752f)), all(0.5f), all(0.5f)); }

constexpr float kGeluScale = 0.79788456080286536f;  // sqrt(2 / pi)
constexpr float kGeluCubic = 0.044715f;

template <Activation kActivation>
HEED_INLINE Vec activate(Vec x) {
    if constexpr (kActivation == Activation::kRelu) return max(all(0.0f), x);
    if constexpr (kActivation == Activation::kSilu) return x * sigmoid(x);
    if constexpr (kActivation == Activation::kGelu) return x * normal_cdf(x);
    if constexpr (kActivation == Activation::kGeluTanh) {
        // (1 + tanh u) / 2 = sigmoid(2u)
        const Vec u = x * all(2.0f * kGeluScale) * fma(x * x, all(kGeluCubic), all(1.0f));
        return x * sigmoid(u);
    }
    return x;
}

/** d activate(x) / dx */
template <Activation kActivation>
HEED_INLINE Vec activation_slope(Vec x) {
    const Vec one = all(1.0f);
    if constexpr (kActivation == Activation::kRelu) return select(all(0.0f) < x, one, all(0.0f));
    if constexpr (kActivation == Activation::kSilu) {
        const Vec s = sigmoid(x);
        return s * fma(x, one - s, one);
    }
    if constexpr (kActivation == Activation::kGelu) {
        const Vec density = exp(x * x * all(-0.5f)) * all(0.39894228040143268f);
        return fma(x, density, normal_cdf(x));
    }
    if constexpr (kActivation == Activation::kGeluTanh) {
        const Vec t = x * x;
        const Vec s = sigmoid(x * all(2.0f * kGeluScale) * fma(t, all(kGeluCubic), one));
        const Vec du = all(2.0f * kGeluScale) * fma(t, all(3.0f * kGeluCubic), one);
        return s * fma(x * (one - s), du, one);
    }
    return one;
}

/** Calls body with the activation as a constant: `with_activation(kind, [&](auto a) { activate<a.value>(x); })`. */
template <Activation kActivation>
struct Constant {
    static constexpr Activation value = kActivation;
};
template <class Body>
HEED_INLINE void with_activation(Activation kind, const Body& body) {
    switch (kind) {
        case Activation::kRelu: return body(Constant<Activation::kRelu>());
        case Activation::kSilu: return body(Constant<Activation::kSilu>());
        case Activation::kGelu: return body(Constant<Activation::kGelu>());
        case Activation::kGeluTanh: return body(Constant<Activation::kGeluTanh>());
        case Activation::kNone: return body(Constant<Activation::kNone>());
    }
}

}  // namespace
