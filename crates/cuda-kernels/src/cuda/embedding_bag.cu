// The mean of each text's rows of a table, their first `columns` values of `table_columns`, into [texts, columns]; zero without any row.
// With `weights`, one a row, each row is first multiplied by its own. A thread a column of a text.
extern "C" __global__ void embedding_bag_mean(const number *table, const unsigned *rows, const float *weights, const unsigned *ends,
                                              unsigned table_columns, unsigned columns, float *output) {
    const unsigned column = blockIdx.y * blockDim.x + threadIdx.x;
    if (column >= columns) {
        return;
    }
    const unsigned start = ends[blockIdx.x];
    const unsigned end = ends[blockIdx.x + 1];
    float sum = 0.0f;
    for (unsigned row = start; row < end; row++) {
        const float value = widen(table[(offset)rows[row] * table_columns + column]);
        sum += weights ? weights[row] * value : value;
    }
    output[(offset)blockIdx.x * columns + column] = start < end ? sum / (float)(end - start) : 0.0f;
}
