// What the recurrent kernels of this folder share: vectors with sigmoid and tanh, the product of a few rows with a panel
// of a matrix, and threads that share the rows.
//
// Vectors are those of GCC and Clang, 512, 256 or 128 bits as the machine has them. A function is given T, float or
// double, and a block of M rows; its sums stay in registers.

#pragma once

#include <algorithm>
#include <cstdint>
#include <cstdlib>
#include <cstring>
#include <new>

#if defined(__AVX512F__)
#include <immintrin.h>
#endif
#if defined(_OPENMP)
#include <omp.h>
#endif

namespace {

#if defined(__AVX512F__)
constexpr int BYTES = 64, ROWS = 6;  // 32 registers: 24 sums, 4 of the matrix
#elif defined(__AVX__)
constexpr int BYTES = 32, ROWS = 3;  // 16 registers: 12 sums, 4 of the matrix
#elif defined(__aarch64__)
constexpr int BYTES = 16, ROWS = 6;  // 32 registers
#else
constexpr int BYTES = 16, ROWS = 3;
#endif
constexpr int CHUNK = 64;  // rows that go through all steps together: their states stay in the second cache

template <typename T>
struct Real;

template <>
struct Real<float> {
    typedef float V __attribute__((vector_size(BYTES)));
    typedef int32_t N __attribute__((vector_size(BYTES)));
    static constexpr int mantissa = 23, terms = 7;
    static constexpr float magic = 12582912.0f;  // 1.5 * 2^23: adding it rounds to a whole number
    static constexpr float high = 0.693145751953125f, low = 1.42860682030941723212e-6f;  // of log 2
    static constexpr float least = -87.0f, most = 88.0f, flat = 10.0f;
};

template <>
struct Real<double> {
    typedef double V __attribute__((vector_size(BYTES)));
    typedef int64_t N __attribute__((vector_size(BYTES)));
    static constexpr int mantissa = 52, terms = 13;
    static constexpr double magic = 6755399441055744.0;  // 1.5 * 2^52
    static constexpr double high = 6.93147180369123816490e-1, low = 1.90821492927058770002e-10;
    static constexpr double least = -708.0, most = 709.0, flat = 20.0;
};

template <typename T>
using Vec = typename Real<T>::V;

template <typename T>
constexpr int W = BYTES / static_cast<int>(sizeof(T));

template <typename T>
inline Vec<T> all(T value) {
    return value - Vec<T>{};
}

template <typename T>
inline Vec<T> load(const T* from) {
    Vec<T> out;
    std::memcpy(&out, from, sizeof out);
    return out;
}

template <typename T>
inline Vec<T> load(const T* from, int count) {  // the rest is 0
    if (count == W<T>) return load<T>(from);
    Vec<T> out{};
    for (int k = 0; k < count; ++k) out[k] = from[k];
    return out;
}

template <typename T>
inline void store(T* to, Vec<T> value, int count) {
    if (count == W<T>) {
        std::memcpy(to, &value, sizeof value);
        return;
    }
    for (int k = 0; k < count; ++k) to[k] = value[k];
}

template <typename T>
struct Power {
    Vec<T> scale, rest;
};

// e^x = scale (1 + rest) with scale a power of two, x within [least, most]: rest is the series of e^r - 1 in
// r = x - n log 2, |r| <= log 2 / 2, to its `terms`th term.
template <typename T>
inline Power<T> power(Vec<T> x) {
    using R = Real<T>;
    Vec<T> shifted = x * T(1.4426950408889634074) + R::magic;
    Vec<T> n = shifted - R::magic;
    Vec<T> r = (x - n * R::high) - n * R::low;
    T factor = T(1);
    T term[R::terms + 1];
    for (int k = 1; k <= R::terms; ++k) term[k] = factor /= T(k);
    Vec<T> series = all<T>(term[R::terms]);
    for (int k = R::terms - 1; k >= 1; --k) series = series * r + term[k];
    typename R::N bits;
    std::memcpy(&bits, &shifted, sizeof bits);
    T one = T(1);
    typename R::N whole;
    Vec<T> ones = all<T>(one);
    std::memcpy(&whole, &ones, sizeof whole);
    whole += bits << R::mantissa;
    Power<T> out;
    std::memcpy(&out.scale, &whole, sizeof whole);
    out.rest = series * r;
    return out;
}

template <typename T>
inline Vec<T> quotient(Vec<T> a, Vec<T> b) {
    return a / b;
}

#if defined(__AVX512F__)
// Division takes 16 cycles there; an estimate to 14 bits and one step of Newton's for each of 1 / b and a / b take 6.
template <>
inline Vec<float> quotient<float>(Vec<float> a, Vec<float> b) {
    Vec<float> r = (Vec<float>)_mm512_rcp14_ps((__m512)b);
    r = r + r * (1.0f - b * r);
    Vec<float> q = a * r;
    return q + r * (a - b * q);
}
#endif

template <typename T>
inline Vec<T> sigmoid(Vec<T> x) {  // exactly 0 below `least`, exactly 1 far up: the closed steps of cells.py
    using R = Real<T>;
    Vec<T> y = -x;
    y = y < R::least ? all<T>(R::least) : y;
    y = y > R::most ? all<T>(R::most) : y;
    Power<T> e = power<T>(y);
    Vec<T> out = quotient<T>(all<T>(T(1)), T(1) + (e.scale + e.scale * e.rest));
    return x < R::least ? Vec<T>{} : out;
}

template <typename T>
inline Vec<T> tanh_of(Vec<T> x) {  // (e^2x - 1) / (e^2x + 1), the difference without cancellation
    using R = Real<T>;
    Vec<T> y = x;
    y = y < -R::flat ? all<T>(-R::flat) : y;
    y = y > R::flat ? all<T>(R::flat) : y;
    Power<T> e = power<T>(y + y);
    Vec<T> less = e.scale * e.rest + (e.scale - T(1));
    return quotient<T>(less, less + T(2));
}

// -- the product -------------------------------------------------------------------------------------------------------

// sums[m][G[g]] += a[m][k] * panel[k][g], over k and g: a panel has one vector for each of the sums G.
template <typename T, int M, int... G>
inline void multiply(Vec<T> (&sums)[M][4], const T* a, int64_t stride, const T* panel, int64_t count) {
    constexpr int vectors = sizeof...(G), to[] = {G...};
    for (int64_t k = 0; k < count; ++k) {
        Vec<T> b[vectors];
        for (int g = 0; g < vectors; ++g) b[g] = load<T>(panel + (vectors * k + g) * W<T>);
        for (int m = 0; m < M; ++m)
            for (int g = 0; g < vectors; ++g) sums[m][to[g]] += a[m * stride + k] * b[g];
    }
}

struct Buffer {  // memory at a whole cache line
    void* memory;
    explicit Buffer(int64_t bytes) : memory(std::aligned_alloc(64, (std::max<int64_t>(bytes, 64) + 63) / 64 * 64)) {
        if (!memory) throw std::bad_alloc();
    }
    ~Buffer() { std::free(memory); }
    Buffer(const Buffer&) = delete;
    Buffer& operator=(const Buffer&) = delete;
};

// Calls f.template operator()<M>(first) for blocks of at most ROWS rows, as even as can be.
template <typename F>
inline void blocks(int64_t rows, F f) {
    int64_t count = (rows + ROWS - 1) / ROWS;
    for (int64_t b = 0; b < count; ++b) {
        int64_t first = rows * b / count, size = rows * (b + 1) / count - first;
        switch (size) {
            case 1: f.template operator()<1>(first); break;
            case 2: f.template operator()<2>(first); break;
            case 3: f.template operator()<3>(first); break;
#if defined(__AVX512F__) || (defined(__aarch64__) && !defined(__AVX__))
            case 4: f.template operator()<4>(first); break;
            case 5: f.template operator()<5>(first); break;
            case 6: f.template operator()<6>(first); break;
#endif
        }
    }
}

// -- threads -----------------------------------------------------------------------------------------------------------

// Calls f(thread, from, rows) for chunks of at most CHUNK rows of each thread's share.
template <typename F>
void share(int64_t B, int threads, F f) {
#if defined(_OPENMP)
#pragma omp parallel for num_threads(threads) schedule(static, 1) if (threads > 1)
#endif
    for (int thread = 0; thread < threads; ++thread) {
        int64_t first = B * thread / threads, end = B * (thread + 1) / threads;
        int64_t count = (end - first + CHUNK - 1) / CHUNK;
        for (int64_t k = 0; k < count; ++k) {
            int64_t from = first + (end - first) * k / count, to = first + (end - first) * (k + 1) / count;
            f(thread, from, to - from);
        }
    }
}

int usable(int64_t B, int threads) {
#if defined(_OPENMP)
    return static_cast<int>(std::max<int64_t>(1, std::min<int64_t>(threads, B)));
#else
    return 1;
#endif
}

}  // namespace
