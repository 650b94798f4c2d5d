// output = layer_norm(rows + rows_bias + residual), [rows, COLUMNS]; rows_bias ([COLUMNS]) and residual may be null. A warp a row.
extern "C" __global__ void add_layer_norm(const number *rows, const float *rows_bias, const number *residual, const float *weight,
                                          const float *bias, float epsilon, unsigned count, number *output) {
    const unsigned row = blockIdx.x * blockDim.y + threadIdx.y;
    if (row >= count) {
        return;
    }
    const offset start = (offset)row * COLUMNS;
    float values[PER_LANE];
#pragma unroll
    for (unsigned i = 0; i < PER_LANE; i++) {
        const unsigned column = i * WARP + threadIdx.x;
        values[i] = 0.0f;
        if (column < COLUMNS) {
            values[i] = widen(rows[start + column]);
            if (rows_bias) {
                values[i] += rows_bias[column];
            }
            if (residual) {
                values[i] += widen(residual[start + column]);
            }
        }
    }
    normalize_row(values, weight, bias, epsilon, output + start);
}
