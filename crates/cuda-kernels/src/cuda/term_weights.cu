__device__ inline float logarithm(float positive, unsigned twice) {
    const float once = log1pf(positive);
    return twice ? log1pf(once) : once;
}

// SPLADE's weights of `chunk` terms, the columns from `first_term` of [texts, terms], from their logits without the bias, [tokens, chunk].
// `bias` is that of these terms. A weight is NaN where a logit is not finite. A thread a term of a text.
extern "C" __global__ void pool_logits(const number *logits, const float *bias, const unsigned *ends, unsigned chunk, unsigned sum,
                                       unsigned twice, unsigned terms, unsigned first_term, float *output) {
    const unsigned term = blockIdx.y * blockDim.x + threadIdx.x;
    if (term >= chunk) {
        return;
    }
    float weight = 0.0f;
    float poison = 0.0f;
    for (unsigned token = ends[blockIdx.x]; token < ends[blockIdx.x + 1]; token++) {
        const float logit = widen(logits[(offset)token * chunk + term]) + bias[term];
        // Zero, or NaN where the logit is not finite.
        poison += logit - logit;
        if (sum) {
            weight += logarithm(fmaxf(logit, 0.0f), twice);
        } else {
            weight = fmaxf(weight, logit);
        }
    }
    // The logarithm rises, so it is taken once, of the largest logit.
    output[(offset)blockIdx.x * terms + first_term + term] = (sum ? weight : logarithm(weight, twice)) + poison;
}
