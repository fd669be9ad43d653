// Activations element by element, alone and as the gate of a feed-forward layer.
#include "activation.h"

#include "api.h"
#include "pieces.h"

void HEED_KERNEL(activation)(const float* x, float* y, int count, int kind) {
    with_activation((Activation)kind, [&](auto constant) {
        for_pieces(count, [&](size_t begin, int size) {
            const float* from = x + begin;
            float* to = y + begin;
            HEED_FOR_VECTORS(i, n, size, { store_n(to + i, activate<constant.value>(load_n(from + i, n)), n); });
        });
    });
}

void HEED_KERNEL(activation_gradient)(const float* dy, const float* x, float* dx, int count, int kind) {
    with_activation((Activation)kind, [&](auto constant) {
        for_pieces(count, [&](size_t begin, int size) {
            HEED_FOR_VECTORS(i, n, size, {
                const size_t at = begin + i;
                store_n(dx + at, load_n(dy + at, n) * activation_slope<constant.value>(load_n(x + at, n)), n);
            });
        });
    });
}

/** y = silu(gate) · up */
void HEED_KERNEL(swiglu)(const float* gate, const float* up, float* y, int count) {
    for_pieces(count, [&](size_t begin, int size) {
        HEED_FOR_VECTORS(i, n, size, {
            const size_t at = begin + i;
            store_n(y + at, activate<Activation::kSilu>(load_n(gate + at, n)) * load_n(up + at, n), n);
        });
    });
}

void HEED_KERNEL(swiglu_gradient)(const float* dy, const float* gate, const float* up, float* dgate, float* dup, int count) {
    for_pieces(count, [&](size_t begin, int size) {
        HEED_FOR_VECTORS(i, n, size, {
            const size_t at = begin + i;
            const Vec d = load_n(dy + at, n);
            const Vec g = load_n(gate + at, n);
            const Vec s = sigmoid(g);
            store_n(dup + at, d * g * s, n);
            store_n(dgate + at, d * load_n(up + at, n) * s * fma(g, all(1.0f) - s, all(1.0f)), n);
        });
    });
}
