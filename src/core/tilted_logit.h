#ifndef PARTIALPOOL_TILTED_LOGIT_H
#define PARTIALPOOL_TILTED_LOGIT_H

#include <algorithm>
#include <cmath>

#include "row_kernels.h"

namespace partialpool {

// Bernoulli rows with logit link, several at a time: the trapezoid rule for the integral of
// sigma(m + sd t) N(t; 0, 1) about its mode, on equispaced nodes, over which exp(-eta) and the
// normal factor are geometric sequences.
namespace tilted_logit {

// Means are those of +eta for a success, of -eta for a failure; alpha is for that sign.
struct Batch {
  Eigen::Index n = 0;
  const double *mean = nullptr, *variance = nullptr;
  double *log_z = nullptr, *alpha = nullptr, *gamma = nullptr;
};

constexpr double largest_variance = 40.0, largest_mean = 150.0;

template <class P>
PARTIALPOOL_INLINE void rows_at(const Batch& at, Eigen::Index i) {
  using V = typename P::V;
  V m, v, sd;
  P::load(at.mean + i, m);
  P::load(at.variance + i, v);
  double widest = 0.0;
  for (int k = 0; k < P::width; ++k) {
    sd[k] = std::sqrt(v[k]);
    widest = std::max(widest, static_cast<double>(sd[k]));
  }
  const V zero{}, one = zero + 1.0;

  // The mode: t = sd sigma(-(m + sd t)), between 0 and sd.
  V t = zero, low = zero, high = sd;
  const int steps = widest < 1.0 ? 2 : widest < 2.0 ? 4 : 15;
  for (int step = 0; step < steps; ++step) {
    const V x = m + sd * t, size = x > zero ? x : -x;
    const rows::Exponential<P> exponential(size, typename rows::Exponential<P>::Decay());
    const V r = 1.0 / (1.0 + exponential.e), lower = exponential.e * r;
    const V q = x > zero ? lower : r;
    const V f = t - sd * q;
    low = f < zero ? t : low;
    high = f < zero ? high : t;
    const V next = t - f / (1.0 + v * (r * lower));
    const V middle = 0.5 * (low + high);
    // Steps of Newton's method alone may go to and fro for ever.
    t = next > high ? middle : next;
    t = t < low ? middle : t;
    if (steps > 4 && step % 3 == 1) t = middle;
  }

  // The step: the nearest poles, at eta = +-i pi, and the normal factor leave an error of
  // exp(-2 pi a / c + a^2 / 2), a = min(pi / sd, 2 pi / c).
  constexpr double pi = 3.14159265358979323846, reach = 7.8;
  // The moments of sigma have poles of higher order, and gamma v multiplies their error by v.
  const double square = widest * widest;
  const double accuracy = 31.0 + 5.0 * square / (1.0 + square) + 4.0 * square / (20.0 + square);
  double c = pi * std::sqrt(2.0 / accuracy);
  if (2.0 * pi / c * widest > pi) {
    const double a = pi / widest;
    c = 2.0 * pi * a / (accuracy + 0.5 * a * a);
  }
  const int count = static_cast<int>(std::ceil(reach / c));
  c = reach / count;

  const V x0 = m + sd * t;
  const V step_e = sd * c, step_d = t * c;
  const rows::Exponential<P> e0(-x0), r_up(-step_e), r_down(step_e), d_up(-step_d), d_down(step_d);
  const auto right = x0 > zero;
  V up = e0.e, down = e0.e, tilt_up = one, tilt_down = one;
  double weight = 1.0, ratio = std::exp(-0.5 * c * c);
  const double ratio_step = ratio * ratio;
  V sigma = 1.0 / (1.0 + up);
  V minor = right ? up * sigma : sigma;
  V s0 = sigma, s1 = sigma * minor, s2 = s1 * minor;
  for (int k = 1; k <= count; ++k) {
    weight *= ratio;
    ratio *= ratio_step;
    up *= r_up.e;
    down *= r_down.e;
    tilt_up *= d_up.e;
    tilt_down *= d_down.e;
    const V sigma_up = 1.0 / (1.0 + up), sigma_down = 1.0 / (1.0 + down);
    const V p_up = weight * (tilt_up * sigma_up), p_down = weight * (tilt_down * sigma_down);
    const V minor_up = right ? up * sigma_up : sigma_up;
    const V minor_down = right ? down * sigma_down : sigma_down;
    s0 += p_up + p_down;
    const V q_up = p_up * minor_up, q_down = p_down * minor_down;
    s1 += q_up + q_down;
    s2 += q_up * minor_up + q_down * minor_down;
  }
  const V e1 = s1 / s0, e2 = s2 / s0;
  const V alpha = right ? e1 : 1.0 - e1;
  const V gamma = e1 - 2.0 * e2 + e1 * e1;
  P::store(at.alpha + i, alpha);
  P::store(at.gamma + i, gamma);
  const V scaled = s0 * (c * 0.39894228040143267794);
  const V constant = -0.5 * (t * t);
  for (int k = 0; k < P::width; ++k) at.log_z[i + k] = std::log(scaled[k]) + constant[k];
}

template <class P>
PARTIALPOOL_INLINE void all_rows(const Batch& at) {
  Eigen::Index i = 0;
  for (; i + P::width <= at.n; i += P::width) rows_at<P>(at, i);
  for (; i < at.n; ++i) rows_at<rows::Pack1>(at, i);
}

#ifdef PARTIALPOOL_ROW_LEVELS
__attribute__((target("avx2,fma"))) inline void run_avx2(const Batch& at) {
  all_rows<rows::Pack4>(at);
}
__attribute__((target("avx512f"))) inline void run_avx512(const Batch& at) {
  all_rows<rows::Pack8>(at);
}
#endif

inline void run(const Batch& at) {
#ifdef PARTIALPOOL_ROW_LEVELS
  static const int level = __builtin_cpu_supports("avx512f")                                 ? 2
                           : __builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma") ? 1
                                                                                             : 0;
  if (level == 2) return run_avx512(at);
  if (level == 1) return run_avx2(at);
#endif
  all_rows<rows::Pack2>(at);
}

}  // namespace tilted_logit
}  // namespace partialpool

#endif
