// A row of COLUMNS values across a warp: lane l holds columns l, l + 32 and so on. A value beyond the row is zero.

#define PER_LANE ((COLUMNS + WARP - 1) / WARP)

// Layer normalisation of the row. Two passes for the moments, as the variance of values far from zero would be lost in the difference of
// two sums.
__device__ inline void normalize_row(const float values[PER_LANE], const float *weight, const float *bias, float epsilon,
                                     number *output) {
    float sum = 0.0f;
#pragma unroll
    for (unsigned i = 0; i < PER_LANE; i++) {
        sum += values[i];
    }
    const float mean = sum_of_warp(sum) / COLUMNS;
    float squares = 0.0f;
#pragma unroll
    for (unsigned i = 0; i < PER_LANE; i++) {
        const float centred = i * WARP + threadIdx.x < COLUMNS ? values[i] - mean : 0.0f;
        squares += centred * centred;
    }
    const float scale = 1.0f / sqrtf(sum_of_warp(squares) / COLUMNS + epsilon);
#pragma unroll
    for (unsigned i = 0; i < PER_LANE; i++) {
        const unsigned column = i * WARP + threadIdx.x;
        if (column < COLUMNS) {
            output[column] = narrow((values[i] - mean) * scale * weight[column] + bias[column]);
        }
    }
}
