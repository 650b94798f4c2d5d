// output = layer_norm(word[id] + position[p]) for each token, [tokens, COLUMNS]. A warp a token.
extern "C" __global__ void embedding_layer_norm(const unsigned *token_ids, const unsigned *positions, const number *word,
                                                const number *position, const float *weight, const float *bias, float epsilon,
                                                unsigned tokens, number *output) {
    const unsigned token = blockIdx.x * blockDim.y + threadIdx.y;
    if (token >= tokens) {
        return;
    }
    const number *of_word = word + (offset)token_ids[token] * COLUMNS;
    const number *of_position = position + (offset)positions[token] * COLUMNS;
    float values[PER_LANE];
#pragma unroll
    for (unsigned i = 0; i < PER_LANE; i++) {
        const unsigned column = i * WARP + threadIdx.x;
        values[i] = column < COLUMNS ? widen(of_word[column]) + widen(of_position[column]) : 0.0f;
    }
    normalize_row(values, weight, bias, epsilon, output + (offset)token * COLUMNS);
}
