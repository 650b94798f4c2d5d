// Each row of [rows, columns] over its Euclidean norm, in place. A warp a row.
extern "C" __global__ void l2_normalize(float *rows, unsigned columns, unsigned count) {
    const unsigned number_of_row = blockIdx.x * blockDim.y + threadIdx.y;
    if (number_of_row >= count) {
        return;
    }
    float *row = rows + (offset)number_of_row * columns;
    float squares = 0.0f;
    for (unsigned column = threadIdx.x; column < columns; column += WARP) {
        squares += row[column] * row[column];
    }
    // A norm below the least one counts as it, so that a zero row stays zero. A comparison lets NaN through.
    const float norm = sqrtf(sum_of_warp(squares));
    const float divisor = norm < 1e-12f ? 1e-12f : norm;
    for (unsigned column = threadIdx.x; column < columns; column += WARP) {
        row[column] /= divisor;
    }
}
