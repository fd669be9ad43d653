// Sums of gradients.
#include "api.h"
#include "pieces.h"

/** sum += term */
void HEED_KERNEL(accumulate)(float* sum, const float* term, int count) {
    for_pieces(count, [&](size_t begin, int size) {
        HEED_FOR_VECTORS(i, n, size, {
            const size_t at = begin + i;
            store_n(sum + at, load_n(sum + at, n) + load_n(term + at, n), n);
        });
    });
}
