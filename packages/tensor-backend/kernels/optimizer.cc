// What happens to all parameters at once: the norm of their gradients and the steps of the optimizers. Each kernel takes
// a table of doubles, one row a parameter: addresses and sizes.
#include <math.h>

#include "api.h"
#include "pieces.h"

namespace {

float* pointer(double address) { return reinterpret_cast<float*>((uintptr_t)address); }

/** What gradients are multiplied by so that their norm is at most max_norm; 1 without a norm. */
float clip_scale(const float* norm, double max_norm) {
    const double scale = norm ? max_norm / ((double)*norm + 1e-6) : 1.0;
    return scale < 1 ? (float)scale : 1.0f;
}

}  // namespace

/** norm = sqrt(Σ x²). table [count, 2]: address, size; partial: one float for each 4096 elements of each tensor. */
void HEED_KERNEL(global_norm)(const double* table, int count, float* norm, float* partial) {
    const auto size_of = [&](int tensor) { return (size_t)table[tensor * 2 + 1]; };
    for_pieces_of(count, size_of, [&](int tensor, size_t begin, int size, int piece) {
        const float* x = pointer(table[tensor * 2]) + begin;
        Vec squares[4] = {all(0), all(0), all(0), all(0)};
        int i = 0;
        for (; i + 4 * Vec::kLanes <= size; i += 4 * Vec::kLanes) {
            for (int v = 0; v < 4; v++) {
                const Vec each = load(x + i + v * Vec::kLanes);
                squares[v] = fma(each, each, squares[v]);
            }
        }
        HEED_FOR_VECTORS(j, n, size - i, {
            const Vec each = load_n(x + i + j, n);
            squares[0] = fma(each, each, squares[0]);
        });
        partial[piece] = sum((squares[0] + squares[1]) + (squares[2] + squares[3]));
    });
    double total = 0;
    int pieces = 0;
    for (int tensor = 0; tensor < count; tensor++) pieces += num_pieces(size_of(tensor));
    for (int piece = 0; piece < pieces; piece++) total += partial[piece];
    *norm = (float)::sqrt(total);
}

/**
 * One AdamW step in place, Loshchilov & Hutter 2017 (arXiv:1711.05101), algorithm 2. table [count, 6]: value, gradient,
 * mean, mean of squares, size, weight decay. norm: the norm to clip by, or null.
 */
void HEED_KERNEL(adamw)(const double* table, int count, const float* norm, double max_norm, double learning_rate, double beta1,
                        double beta2, double eps, double correction1, double correction2) {
    const Vec scale = all(clip_scale(norm, max_norm));
    const Vec b1 = all((float)beta1), b2 = all((float)beta2);
    const Vec rest1 = all((float)(1 - beta1)), rest2 = all((float)(1 - beta2));
    const Vec rate = all((float)(learning_rate / correction1));
    const Vec root = all((float)(1 / ::sqrt(correction2)));
    const Vec floor = all((float)eps);
    for_pieces_of(count, [&](int tensor) { return (size_t)table[tensor * 6 + 4]; }, [&](int tensor, size_t begin, int size, int) {
        const double* row = table + tensor * 6;
        float* value = pointer(row[0]) + begin;
        const float* gradient = pointer(row[1]) + begin;
        float* mean = pointer(row[2]) + begin;
        float* square = pointer(row[3]) + begin;
        const Vec keep = all((float)(1 - learning_rate * row[5]));
        HEED_FOR_VECTORS(i, n, size, {
            const Vec g = load_n(gradient + i, n) * scale;
            const Vec m = fma(load_n(mean + i, n), b1, g * rest1);
            const Vec s = fma(load_n(square + i, n), b2, g * g * rest2);
            store_n(mean + i, m, n);
            store_n(square + i, s, n);
            store_n(value + i, load_n(value + i, n) * keep - rate * m / fma(sqrt(s), root, floor), n);
        });
    });
}

/**
 * One step of gradient descent in place, with momentum as `torch.optim.SGD` has it. table [count, 5]: value, gradient,
 * velocity (0 without momentum), size, weight decay (added to the gradient).
 */
void HEED_KERNEL(sgd)(const double* table, int count, const float* norm, double max_norm, double learning_rate, double momentum,
                      int is_nesterov) {
    const Vec scale = all(clip_scale(norm, max_norm));
    const Vec rate = all((float)learning_rate);
    const Vec keep = all((float)momentum);
    for_pieces_of(count, [&](int tensor) { return (size_t)table[tensor * 5 + 3]; }, [&](int tensor, size_t begin, int size, int) {
        const double* row = table + tensor * 5;
        float* value = pointer(row[0]) + begin;
        const float* gradient = pointer(row[1]) + begin;
        float* velocity = momentum != 0 ? pointer(row[2]) + begin : nullptr;
        const Vec decay = all((float)row[4]);
        HEED_FOR_VECTORS(i, n, size, {
            const Vec old = load_n(value + i, n);
            Vec update = fma(old, decay, load_n(gradient + i, n) * scale);
            if (velocity) {
                const Vec v = fma(load_n(velocity + i, n), keep, update);
                store_n(velocity + i, v, n);
                update = is_nesterov ? fma(v, keep, update) : v;
            }
            store_n(value + i, old - rate * update, n);
        });
    });
}

/**
 * One Lion step in place, Chen et al. 2023 (arXiv:2302.06675), algorithm 2. table [count, 5]: value, gradient, mean, size,
 * weight decay.
 */
void HEED_KERNEL(lion)(const double* table, int count, const float* norm, double max_norm, double learning_rate, double beta1,
                       double beta2) {
    const Vec scale = all(clip_scale(norm, max_norm));
    const Vec b1 = all((float)beta1), b2 = all((float)beta2);
    const Vec rest1 = all((float)(1 - beta1)), rest2 = all((float)(1 - beta2));
    const Vec zero = all(0);
    const Vec up = all((float)learning_rate), down = all((float)-learning_rate);
    for_pieces_of(count, [&](int tensor) { return (size_t)table[tensor * 5 + 3]; }, [&](int tensor, size_t begin, int size, int) {
        const double* row = table + tensor * 5;
        float* value = pointer(row[0]) + begin;
        const float* gradient = pointer(row[1]) + begin;
        float* mean = pointer(row[2]) + begin;
        const Vec keep = all((float)(1 - learning_rate * row[4]));
        HEED_FOR_VECTORS(i, n, size, {
            const Vec g = load_n(gradient + i, n) * scale;
            const Vec m = load_n(mean + i, n);
            const Vec direction = fma(m, b1, g * rest1);
            const Vec step = select(zero < direction, up, select(direction < zero, down, zero));
            store_n(mean + i, fma(m, b2, g * rest2), n);
            store_n(value + i, load_n(value + i, n) * keep - step, n);
        });
    });
}
