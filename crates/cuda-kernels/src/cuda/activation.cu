// One of the ACTIVATION_... of `activation.rs` is defined.
__device__ inline float activate(float x) {
#if defined(ACTIVATION_IDENTITY)
    return x;
#elif defined(ACTIVATION_GELU)
    return 0.5f * x * (1.0f + erff(x * 0.70710678f));
#elif defined(ACTIVATION_GELU_TANH)
    // x (1 + tanh(u)) / 2 with u = sqrt(2 / pi) (x + 0.044715 x^3), which is x / (1 + e^(-2 u)).
    return x / (1.0f + expf(-1.5957691f * (x + 0.044715f * x * x * x)));
#elif defined(ACTIVATION_RELU)
    // A comparison lets NaN through, which fmaxf would not.
    return x < 0.0f ? 0.0f : x;
#elif defined(ACTIVATION_SILU)
    return x / (1.0f + expf(-x));
#elif defined(ACTIVATION_SIGMOID)
    return 1.0f / (1.0f + expf(-x));
#elif defined(ACTIVATION_TANH)
    return tanhf(x);
#endif
}

// rows = activate(rows + bias), [rows, columns], in place. A block a row.
extern "C" __global__ void add_bias_activate(number *rows, const float *bias, unsigned columns) {
    number *row = rows + (offset)blockIdx.x * columns;
    for (unsigned column = threadIdx.x; column < columns; column += blockDim.x) {
        row[column] = narrow(activate(widen(row[column]) + bias[column]));
    }
}
