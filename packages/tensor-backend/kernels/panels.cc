// Weights in the order in which products read them: panels of kTileCols columns, of which the steps of the sum follow one
// another, with zeros after the last column. A product then packs nothing, and reads memory from one end to the other.
#include "api.h"
#include "gemm.h"
#include "threads.h"

namespace {

/** Calls `use` with the first column of panels, their number of columns and where they lie, on all threads. */
template <class Use>
void for_panels(int depth, int cols, const Use& use) {
    constexpr int kTogether = 8;  // rows of a weight are then read in pieces of several lines
    const int pieces = (cols + kTogether * kTileCols - 1) / (kTogether * kTileCols);
    heed::parallel_for(pieces, 1, [&](int begin, int end) {
        const int first = begin * kTogether * kTileCols, last = end * kTogether * kTileCols;
        use(first, (last < cols ? last : cols) - first, (size_t)first * depth);
    });
}

/** Columns [0, cols) of one panel back to where pack_columns took them from. */
void unpack_panel(const float* panel, int depth, int cols, float* to, size_t row, size_t col) {
    if (col != 1) return transpose_block(panel, kTileCols, to, col, depth, cols);
    for (int p = 0; p < depth; p++) memcpy(to + p * row, panel + p * kTileCols, sizeof(float) * (size_t)cols);
}

}  // namespace

/** cols [1]: the columns of a panel. */
void HEED_KERNEL(panel_cols)(int32_t* cols) { *cols = kTileCols; }

/** weight [depth, cols] or, transposed, [cols, depth] -> panels [whole panels of cols, depth, panel_cols]. */
void HEED_KERNEL(pack_panels)(const float* weight, float* panels, int depth, int cols, int is_transposed) {
    const Matrix b{weight, is_transposed ? 1 : (size_t)cols, is_transposed ? (size_t)depth : 1};
    for_panels(depth, cols, [&](int first, int count, size_t at) { pack_columns(b.at(0, first), depth, count, panels + at); });
}

/** The other way round. */
void HEED_KERNEL(unpack_panels)(const float* panels, float* weight, int depth, int cols, int is_transposed) {
    const size_t row = is_transposed ? 1 : (size_t)cols, col = is_transposed ? (size_t)depth : 1;
    for_panels(depth, cols, [&](int first, int count, size_t at) {
        for (int j = 0; j < count; j += kTileCols) {
            const int n = count - j < kTileCols ? count - j : kTileCols;
            unpack_panel(panels + at + (size_t)j * depth, depth, n, weight + (first + j) * col, row, col);
        }
    });
}
