#ifndef PARTIALPOOL_ROW_KERNELS_H
#define PARTIALPOOL_ROW_KERNELS_H

// Several rows at a time by the vector types of GCC and Clang: exp and log(1 + e), and the loop
// over rows, compiled for each instruction set and chosen while the program runs (as
// micro_kernels.h). A vector never crosses a call: everything here is inlined.

#include <Eigen/Core>
#include <algorithm>
#include <cmath>
#include <limits>

#define PARTIALPOOL_INLINE inline __attribute__((always_inline))
#if defined(__x86_64__) && defined(__GNUC__) && !defined(_WIN32)
#define PARTIALPOOL_ROW_LEVELS 1
#endif

namespace partialpool {
namespace rows {

using Eigen::Index;

#define PARTIALPOOL_PACK(name, bytes)                                                    \
  struct name {                                                                          \
    typedef double V __attribute__((vector_size(bytes)));                                \
    typedef long long I __attribute__((vector_size(bytes)));                             \
    typedef double Unaligned __attribute__((vector_size(bytes), aligned(8), may_alias)); \
    static constexpr int width = bytes / 8;                                              \
    static PARTIALPOOL_INLINE void load(const double* from, V& to) {                     \
      to = *reinterpret_cast<const Unaligned*>(from);                                    \
    }                                                                                    \
    static PARTIALPOOL_INLINE void store(double* to, const V& from) {                    \
      *reinterpret_cast<Unaligned*>(to) = from;                                          \
    }                                                                                    \
  }
PARTIALPOOL_PACK(Pack1, 8);
PARTIALPOOL_PACK(Pack2, 16);
PARTIALPOOL_PACK(Pack4, 32);
PARTIALPOOL_PACK(Pack8, 64);
#undef PARTIALPOOL_PACK

// Below `below` a value is replaced by it; NaN stays.
template <class P>
PARTIALPOOL_INLINE void clamp(typename P::V& x, double below, double above) {
  const typename P::V low = typename P::V{} + below, high = typename P::V{} + above;
  x = x < low ? low : x;
  x = x > high ? high : x;
}

// e = exp(x). Reduced: x is k log 2 + r, and exp(r) = 1 + r + r^2 tail. Ends in 0 and infinity.
template <class P>
struct Exponential {
  typename P::V k, r, tail, e;

  // Both factors of 2^k, so that the ends of the range are right.
  PARTIALPOOL_INLINE explicit Exponential(const typename P::V& argument) {
    typename P::V x = argument;
    clamp<P>(x, -746.0, 711.0);
    reduce(x);
    const typename P::V half = (0.5 * k + shift) - shift;
    e = 1.0 + (r + r * r * tail);
    scale(e, half);
    scale(e, k - half);
  }
  // exp(-a) for a >= 0, at least 3e-308.
  struct Decay {};
  PARTIALPOOL_INLINE Exponential(const typename P::V& a, Decay) {
    typename P::V x = -a;
    const typename P::V low = typename P::V{} - 708.0;
    x = x < low ? low : x;
    reduce(x);
    e = 1.0 + (r + r * r * tail);
    scale(e, k);
  }

 private:
  static constexpr double shift = 6755399441055744.0;  // 1.5 * 2^52: adding it rounds

  PARTIALPOOL_INLINE void reduce(const typename P::V& x) {
    k = (x * 1.44269504088896340736 + shift) - shift;
    r = (x - k * 6.93147180369123816490e-01) - k * 1.90821492927058770002e-10;
    const typename P::V r2 = r * r, r4 = r2 * r2;
    // 1 / j!, j = 2..13, in pairs for the pipeline
    const typename P::V a = 0.5 + r * (1.0 / 6), b = 1.0 / 24 + r * (1.0 / 120),
                        c = 1.0 / 720 + r * (1.0 / 5040), d = 1.0 / 40320 + r * (1.0 / 362880),
                        f = 1.0 / 3628800 + r * (1.0 / 39916800),
                        g = 1.0 / 479001600 + r * (1.0 / 6227020800.0);
    tail = (a + r2 * b) + r4 * ((c + r2 * d) + r4 * (f + r2 * g));
  }
  // x *= 2^n
  static PARTIALPOOL_INLINE void scale(typename P::V& x, const typename P::V& n) {
    const typename P::V biased = n + (shift + 1023.0);
    x *= (typename P::V)(((typename P::I)biased) << 52);
  }
};

// log(1 + z) for 0 <= z <= 1, the same less z, and 1 / (1 + z), with one division.
template <class P>
struct Log1p {
  typename P::V log, rest, reciprocal;

  PARTIALPOOL_INLINE explicit Log1p(const typename P::V& z) {
    using V = typename P::V;
    const auto upper = z > (V{} + 0.41421356237309503);
    const V f = upper ? 0.5 * (z - 1.0) : z;
    const V u = 1.0 + z, d = 2.0 + f, inverse = 1.0 / (u * d);
    reciprocal = inverse * d;
    const V s = f * (inverse * u), s2 = s * s, s4 = s2 * s2;
    // minimax coefficients of log((1 + s) / (1 - s)) from fdlibm
    const V odd = s2 * (6.666666666666735130e-01 +
                        s4 * (2.857142874366239149e-01 +
                              s4 * (1.818357216161805012e-01 + s4 * 1.479819860511658591e-01)));
    const V even = s4 * (3.999999999940941908e-01 +
                         s4 * (2.222219843214978396e-01 + s4 * 1.531383769920937332e-01));
    const V half = 0.5 * f * f;
    const V small = s * (half + (odd + even)) - half;
    const V zero = V{};
    log = (f + small) + (upper ? zero + 0.69314718055994530942 : zero);
    rest = upper ? log - z : small;
  }
};

// The rows of a kernel: where they come from and where the results go.
struct Rows {
  Index n = 0;
  const double *eta = nullptr, *y = nullptr, *other = nullptr, *weights = nullptr;
  double *l = nullptr, *s = nullptr, *w = nullptr, *w_eta = nullptr;
  double *l_k = nullptr, *s_k = nullptr, *w_k = nullptr;
  double log_phi = 0.0, phi = 0.0;
};

// Sum of the log densities of a kernel, whose row<P>(at, i, l, factor) gives that of rows i.. as l
// or, if it `multiplies`, as l - log(factor), 1 <= factor <= 2: one logarithm serves many rows.
template <class P, class Kernel>
PARTIALPOOL_INLINE double sum_rows(const Rows& at) {
  typename P::V sum{}, l{}, factor{};
  double out = 0.0;
  Index i = 0;
  while (i + P::width <= at.n) {
    typename P::V product = typename P::V{} + 1.0;
    const Index end = std::min(at.n - P::width, i + 500 * P::width);
    for (; i <= end; i += P::width) {
      Kernel::template row<P>(at, i, l, factor);
      sum += l;
      if (Kernel::multiplies) product *= factor;
    }
    if (Kernel::multiplies)
      for (int k = 0; k < P::width; ++k) out -= std::log(product[k]);
  }
  for (int k = 0; k < P::width; ++k) out += sum[k];
  for (; i < at.n; ++i) {
    Pack1::V last{}, last_factor{};
    Kernel::template row<Pack1>(at, i, last, last_factor);
    out += last[0];
    if (Kernel::multiplies) out -= std::log(last_factor[0]);
  }
  return out;
}

#ifdef PARTIALPOOL_ROW_LEVELS
template <class Kernel>
__attribute__((target("avx2,fma"))) inline double sum_avx2(const Rows& at) {
  return sum_rows<Pack4, Kernel>(at);
}
template <class Kernel>
__attribute__((target("avx512f"))) inline double sum_avx512(const Rows& at) {
  return sum_rows<Pack8, Kernel>(at);
}
#endif

template <class Kernel>
inline double sum(const Rows& at) {
#ifdef PARTIALPOOL_ROW_LEVELS
  static const int level = __builtin_cpu_supports("avx512f")                                 ? 2
                           : __builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma") ? 1
                                                                                             : 0;
  if (level == 2) return sum_avx512<Kernel>(at);
  if (level == 1) return sum_avx2<Kernel>(at);
#endif
  return sum_rows<Pack2, Kernel>(at);
}

}  // namespace rows
}  // namespace partialpool

#endif
