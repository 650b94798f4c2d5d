// The modes of `pooling.rs`, by their numbers there.
enum Mode { CLS, MAX, MEAN, MEAN_SQRT_LEN, WEIGHTED_MEAN, LAST_TOKEN };

// One column of one text's tokens, from `first` (`excluded` from the text's start) up to `end`.
__device__ inline float pool_column(const number *hidden, unsigned columns, unsigned start, unsigned first, unsigned end,
                                    unsigned mode) {
    if (mode == CLS || mode == LAST_TOKEN) {
        // The first token counts for CLS even where it is excluded, as in the reference.
        const unsigned token = mode == CLS ? start : end - 1;
        return (mode == CLS ? start : first) < end ? widen(hidden[(offset)token * columns]) : 0.0f;
    }
    float result = 0.0f;
    float total = 0.0f;
    for (unsigned token = first; token < end; token++) {
        const float value = widen(hidden[(offset)token * columns]);
        if (mode == MAX) {
            // NaN wins, so that it is seen.
            result = token == first || value > result || value != value ? value : result;
        } else {
            const float weight = mode == WEIGHTED_MEAN ? (float)(token - start + 1) : 1.0f;
            result += weight * value;
            total += weight;
        }
    }
    if (mode == MAX || total == 0.0f) {
        return result;
    }
    return result / (mode == MEAN_SQRT_LEN ? sqrtf(total) : total);
}

// Pools [tokens, columns] to [texts, width], into the columns from `first_column`. A thread a column of a text.
extern "C" __global__ void pool(const number *hidden, const unsigned *ends, unsigned columns, unsigned excluded, unsigned mode,
                                unsigned width, unsigned first_column, float *output) {
    const unsigned column = blockIdx.y * blockDim.x + threadIdx.x;
    if (column >= columns) {
        return;
    }
    const unsigned start = ends[blockIdx.x];
    const unsigned end = ends[blockIdx.x + 1];
    const unsigned first = end - start < excluded ? end : start + excluded;
    output[(offset)blockIdx.x * width + first_column + column] = pool_column(hidden + column, columns, start, first, end, mode);
}
