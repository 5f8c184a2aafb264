// One step of a decoder-only transformer for a few texts: every weight is read once, at the rate of memory.
//
// All layers run in one parallel region; in each the threads share the rows of a matrix and wait for each other five
// times. Numbers are float; weights and what is remembered are float or bfloat16. A text's numbers are added in the same
// order whatever its neighbours and however many threads there are.
//
// Letters: R texts, C width, H heads, D = C / H, S slots of a ring.

#include <cmath>
#include <cstdint>
#include <cstring>
#include <initializer_list>
#ifdef _OPENMP
#include <omp.h>
#endif

namespace {

struct Bf16 {
    uint16_t bits;
};

inline float number(float x) { return x; }

inline float number(Bf16 x) {
    uint32_t wide = static_cast<uint32_t>(x.bits) << 16;
    float y;
    std::memcpy(&y, &wide, 4);
    return y;
}

inline void put(float &to, float x) { to = x; }

inline void put(Bf16 &to, float x) {  // to the nearest, of equally near ones the even
    uint32_t bits;
    std::memcpy(&bits, &x, 4);
    to.bits = x == x ? static_cast<uint16_t>((bits + 0x7fff + (bits >> 16 & 1)) >> 16) : 0x7fc0;
}

// e^x to 2 units in the last place, in plain operations that a compiler makes vectors of.
inline float exponential(float x) {
    x = x < -87.0f ? -87.0f : x > 88.0f ? 88.0f : x;
    float whole = std::nearbyint(x * 1.44269504f);
    float r = (x - whole * 0.693145752f) - whole * 1.42860677e-6f;
    float p = 1.9875691e-4f;
    p = p * r + 1.3981999e-3f;
    p = p * r + 8.3334519e-3f;
    p = p * r + 4.1665796e-2f;
    p = p * r + 1.6666666e-1f;
    p = p * r + 5.0e-1f;
    p = p * r * r + r + 1.0f;
    int32_t bits = (static_cast<int32_t>(whole) + 127) << 23;
    float scale;
    std::memcpy(&scale, &bits, 4);
    return p * scale;
}

template <class W>
inline float dot(const W *a, const float *b, int n) {
    float sum = 0;
#pragma omp simd reduction(+ : sum)
    for (int i = 0; i < n; i++) sum += number(a[i]) * b[i];
    return sum;
}

// Four rows of a matrix with one vector: the vector is loaded once, and four sums keep the processor busy.
template <class W>
inline void dots(const W *a, int64_t stride, const float *b, int n, float *out) {
    const W *a1 = a + stride, *a2 = a1 + stride, *a3 = a2 + stride;
    float s0 = 0, s1 = 0, s2 = 0, s3 = 0;
#pragma omp simd reduction(+ : s0, s1, s2, s3)
    for (int i = 0; i < n; i++) {
        float x = b[i];
        s0 += number(a[i]) * x;
        s1 += number(a1[i]) * x;
        s2 += number(a2[i]) * x;
        s3 += number(a3[i]) * x;
    }
    out[0] = s0, out[1] = s1, out[2] = s2, out[3] = s3;
}

struct Share {
    int64_t from, to;
};

inline Share share(int64_t n, int thread, int threads, int64_t unit) {
    int64_t units = (n + unit - 1) / unit;
    int64_t from = units * thread / threads * unit, to = units * (thread + 1) / threads * unit;
    return {from, to < n ? to : n};
}

// A thread's rows of (N, K) with R vectors (R, K): give(r, n, sum) for each.
template <class W, class Give>
inline void product(const W *w, const float *x, int R, int64_t N, int K, int thread, int threads, Give give) {
    Share mine = share(N, thread, threads, 4);
    int64_t n = mine.from;
    for (; n + 4 <= mine.to; n += 4)
        for (int r = 0; r < R; r++) {
            float sums[4];
            dots(w + n * K, K, x + int64_t(r) * K, K, sums);
            for (int i = 0; i < 4; i++) give(r, n + i, sums[i]);
        }
    for (; n < mine.to; n++)
        for (int r = 0; r < R; r++) give(r, n, dot(w + n * K, x + int64_t(r) * K, K));
}

// A layer norm, or where there are no weights a division by the root of the mean square.
template <class W>
inline void normalised(const float *x, float *y, int C, const W *weight, const W *bias, float eps) {
    float mean = 0, square = 0;
    if (weight) {
#pragma omp simd reduction(+ : mean)
        for (int c = 0; c < C; c++) mean += x[c];
        mean /= C;
    }
#pragma omp simd reduction(+ : square)
    for (int c = 0; c < C; c++) square += (x[c] - mean) * (x[c] - mean);
    float scale = 1.0f / std::sqrt(square / C + eps);
    if (weight)
        for (int c = 0; c < C; c++) y[c] = (x[c] - mean) * scale * number(weight[c]) + number(bias[c]);
    else
        for (int c = 0; c < C; c++) y[c] = x[c] * scale;
}

// One block of the stack; a null pointer where the family has no such thing.
struct Layer {
    const void *qkv, *out, *up, *down;  // (3C, C), (C, C), (F, C), (C, F)
    const void *qkv_bias, *out_bias, *up_bias, *down_bias;
    const void *norm_1, *norm_1_bias, *norm_2, *norm_2_bias;  // layer norms
    const uint8_t *seen;                                      // (R or 1, live); null: all live slots are seen
    void *keys, *values;                                      // (R, H, S, D)
    int64_t slots, live, seen_stride;
};

template <class W>
void block(const Layer &l, float *x, float *qkv, float *mixed, float *wide, float *own, const int64_t *used, int R,
           int C, int F, int H, const float *cosine, const float *sine, bool modern, int thread, int threads) {
    const auto vector = [](const void *p) { return static_cast<const W *>(p); };
    const auto with = [&](const void *bias, int64_t n, float s) { return bias ? s + number(vector(bias)[n]) : s; };
    const W *none = nullptr;
    const int D = C / H;
    const float eps = modern ? 1e-6f : 1e-5f;
    for (int r = 0; r < R; r++) normalised(x + r * C, own + r * C, C, vector(l.norm_1), vector(l.norm_1_bias), eps);
    product(vector(l.qkv), own, R, 3 * int64_t(C), C, thread, threads, [&](int r, int64_t n, float s) {
        qkv[int64_t(r) * 3 * C + n] = with(l.qkv_bias, n, s);
    });
#pragma omp barrier
    Share heads = share(int64_t(R) * H, thread, threads, 1);
    for (int64_t item = heads.from; item < heads.to; item++) {
        int r = int(item / H), h = int(item % H);
        float *q = qkv + int64_t(r) * 3 * C + h * D, *k = q + C, *v = k + C;
        if (cosine) {
            const float *cs = cosine + int64_t(r) * (D / 2), *sn = sine + int64_t(r) * (D / 2);
            for (float *one : {q, k}) {
                for (int i = 0; i < D / 2; i++) {
                    float a = one[i], b = one[i + D / 2];
                    one[i] = a * cs[i] - b * sn[i];
                    one[i + D / 2] = a * sn[i] + b * cs[i];
                }
                normalised(one, one, D, none, none, eps);
            }
        }
        int64_t S = l.slots, at = used[r] % S, first = (int64_t(r) * H + h) * S * D;
        W *keys = static_cast<W *>(l.keys) + first, *values = static_cast<W *>(l.values) + first;
        for (int d = 0; d < D; d++) put(keys[at * D + d], k[d]), put(values[at * D + d], v[d]);
        const uint8_t *seen = l.seen ? l.seen + r * l.seen_stride : nullptr;
        float *weights = own + int64_t(R) * C, largest = -INFINITY, scale = 1.0f / std::sqrt(float(D)), total = 0;
        int64_t live = l.live, s = 0;
        for (; s + 4 <= live; s += 4) dots(keys + s * D, D, q, D, weights + s);
        for (; s < live; s++) weights[s] = dot(keys + s * D, q, D);
        for (s = 0; s < live; s++) {
            weights[s] = seen && !seen[s] ? -INFINITY : weights[s] * scale;
            largest = weights[s] > largest ? weights[s] : largest;
        }
#pragma omp simd reduction(+ : total)
        for (int64_t i = 0; i < live; i++) {
            float e = weights[i] == -INFINITY ? 0.0f : exponential(weights[i] - largest);
            weights[i] = e;
            total += e;
        }
        float *y = mixed + int64_t(r) * C + h * D, sum[256];
        for (int d = 0; d < D; d++) sum[d] = 0;
        for (s = 0; s < live; s++) {
            float weight = weights[s];
            const W *value = values + s * D;
#pragma omp simd
            for (int d = 0; d < D; d++) sum[d] += weight * number(value[d]);
        }
        for (int d = 0; d < D; d++) y[d] = sum[d] / total;
    }
#pragma omp barrier
    product(vector(l.out), mixed, R, C, C, thread, threads, [&](int r, int64_t n, float s) {
        x[int64_t(r) * C + n] += with(l.out_bias, n, s);
    });
#pragma omp barrier
    for (int r = 0; r < R; r++) normalised(x + r * C, own + r * C, C, vector(l.norm_2), vector(l.norm_2_bias), eps);
    product(vector(l.up), own, R, F, C, thread, threads, [&](int r, int64_t n, float s) {
        s = with(l.up_bias, n, s);
        if (modern)
            s = s > 0 ? s * s : 0;
        else  // GELU by tanh: x times the logistic function of 2 sqrt(2 / pi) (x + 0.044715 x^3)
            s = s / (1.0f + exponential(-1.5957691216f * (s + 0.044715f * s * s * s)));
        wide[int64_t(r) * F + n] = s;
    });
#pragma omp barrier
    product(vector(l.down), wide, R, C, F, thread, threads, [&](int r, int64_t n, float s) {
        x[int64_t(r) * C + n] += with(l.down_bias, n, s);
    });
#pragma omp barrier
}

template <class W>
void affine(const void *w, const void *bias, const float *x, float *y, int R, int64_t N, int K, int thread, int threads) {
    const W *plus = static_cast<const W *>(bias);
    product(static_cast<const W *>(w), x, R, N, K, thread, threads,
            [&](int r, int64_t n, float s) { y[r * N + n] = plus ? s + number(plus[n]) : s; });
}

struct Place {
    int thread = 0, threads = 1;
    Place() {
#ifdef _OPENMP
        thread = omp_get_thread_num(), threads = omp_get_num_threads();
#endif
    }
};

}  // namespace

extern "C" {

// numbers: R, C, F, H, layers, whether modern, whether bfloat16, threads, then R numbers of tokens before this one, then
// for each layer S, the live slots and the row stride of `seen`. read: for each layer the 13 constant pointers of a
// Layer, then cosine and sine (R, D / 2). written: x (R, C), which goes through the layers in place; room for
// R (4C + F) + threads (R C + S) numbers; for each layer keys and values.
int decode_step(const int64_t *numbers, const void *const *read, void *const *written) {
    const int R = int(numbers[0]), C = int(numbers[1]), F = int(numbers[2]), H = int(numbers[3]);
    const int count = int(numbers[4]), modern = int(numbers[5]), bf16 = int(numbers[6]), threads = int(numbers[7]);
    const int64_t *used = numbers + 8, *about = used + R;
    const float *cosine = static_cast<const float *>(read[13 * count]);
    const float *sine = static_cast<const float *>(read[13 * count + 1]);
    float *x = static_cast<float *>(written[0]), *work = static_cast<float *>(written[1]);
    int64_t own = 0;
    for (int i = 0; i < count; i++) own = about[3 * i] > own ? about[3 * i] : own;
    own += int64_t(R) * C;
#pragma omp parallel num_threads(threads)
    {
        Place here;
        float *qkv = work, *mixed = qkv + 3 * int64_t(R) * C, *wide = mixed + int64_t(R) * C;
        float *mine = wide + int64_t(R) * F + own * here.thread;
        for (int i = 0; i < count; i++) {
            const void *const *p = read + 13 * i;
            const int64_t *n = about + 3 * i;
            Layer layer{p[0],  p[1],  p[2], p[3], p[4], p[5], p[6], p[7], p[8], p[9], p[10],
                        p[11], static_cast<const uint8_t *>(p[12]), written[2 + 2 * i], written[3 + 2 * i],
                        n[0],  n[1],  n[2]};
            auto through = bf16 ? block<Bf16> : block<float>;
            through(layer, x, qkv, mixed, wide, mine, used, R, C, F, H, cosine, sine, modern, here.thread, here.threads);
        }
    }
    return 0;
}

// numbers: R, N, K, whether bfloat16, threads. read: w (N, K), bias (N,) or null, x (R, K) float. written: y (R, N)
// float = x w^T + bias.
int few_rows(const int64_t *numbers, const void *const *read, void *const *written) {
    const int R = int(numbers[0]), K = int(numbers[2]), bf16 = int(numbers[3]), threads = int(numbers[4]);
    const float *x = static_cast<const float *>(read[2]);
    float *y = static_cast<float *>(written[0]);
#pragma omp parallel num_threads(threads)
    {
        Place here;
        auto product = bf16 ? affine<Bf16> : affine<float>;
        product(read[0], read[1], x, y, R, numbers[1], K, here.thread, here.threads);
    }
    return 0;
}
}
