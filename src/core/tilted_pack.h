#ifndef PARTIALPOOL_TILTED_PACK_H
#define PARTIALPOOL_TILTED_PACK_H

#include <algorithm>
#include <cmath>

#include "row_kernels.h"

namespace partialpool {

// Rows of which the tilted moments are wanted, and where they go. done: whether they are there.
struct TiltedBatch {
  Eigen::Index n = 0;
  const Eigen::Index* row = nullptr;
  const double *mean = nullptr, *variance = nullptr;
  double *log_z = nullptr, *alpha = nullptr, *gamma = nullptr;
  char* done = nullptr;
};

// The rule of TiltedRow for several rows at a time whose log densities, by a kernel, are concave.
// Rows that need more than it has are left undone.
namespace tilted_pack {

// What a batch needs besides: an eta near the maximum of each density, and its constant.
struct Input {
  TiltedBatch batch;
  rows::Rows rows;
  const double *centre = nullptr, *constant = nullptr;
};

// g(t) = l(mean + sd t) - t^2 / 2 with s and W.
template <class P, class Kernel>
struct Integrand {
  using V = typename P::V;
  rows::Rows at;
  V mean, sd;
  alignas(64) double eta[P::width], l[P::width], s[P::width], w[P::width];

  PARTIALPOOL_INLINE void prepare(const Input& in, Eigen::Index i, const V& m, const V& root) {
    at = in.rows;
    at.y += i;
    at.other += i;
    at.weights += i;
    at.eta = eta;
    at.l = l;
    at.s = s;
    at.w = w;
    mean = m;
    sd = root;
  }
  PARTIALPOOL_INLINE void operator()(const V& t, V& g, V& score, V& weight) {
    V value{}, factor{};
    P::store(eta, mean + sd * t);
    Kernel::template row<P>(at, 0, value, factor);
    P::load(s, score);
    P::load(w, weight);
    g = value - 0.5 * (t * t);
  }
};

template <class P>
PARTIALPOOL_INLINE bool all(const typename P::I& x) {
  bool out = true;
  for (int k = 0; k < P::width; ++k) out = out && x[k] != 0;
  return out;
}

template <class P>
PARTIALPOOL_INLINE void square_root(const typename P::V& x, typename P::V& out) {
  for (int k = 0; k < P::width; ++k) out[k] = std::sqrt(x[k]);
}

template <class P, class Kernel>
PARTIALPOOL_INLINE void rows_at(const Input& in, Eigen::Index i) {
  using V = typename P::V;
  using I = typename P::I;
  constexpr double drop = 34.0;
  constexpr int coarse = 20;
  const V zero{};
  V m, v, t;
  P::load(in.batch.mean + i, m);
  P::load(in.batch.variance + i, v);
  P::load(in.centre + i, t);
  V sd{}, first{};
  square_root<P>(v, sd);
  Integrand<P, Kernel> integrand;
  V g, s, w;

  // The mode by Newton's method, from the better of the cavity's mean and the joint mode of two
  // normal densities.
  integrand.prepare(in, i, t, zero);
  integrand(zero, g, s, w);
  V next = (t - m) * (sd * w) / (1.0 + v * w);
  integrand.prepare(in, i, m, sd);
  V top, slope, curvature, below = zero - 1e300, above = zero + 1e300;
  t = zero;
  integrand(t, top, s, w);
  slope = sd * s;
  curvature = 1.0 + v * w;
  below = slope > zero ? t : below;
  above = slope > zero ? above : t;
  I found{};
  for (int step = 0; step < 24; ++step) {
    integrand(next, g, s, w);
    const V g1 = sd * s - next, g2 = 1.0 + v * w;
    const I rises = g1 > zero;
    below = rises & (next > below) ? next : below;
    above = ~rises & (next < above) ? next : above;
    // The second point need not be better than the first.
    const I better = step == 0 ? (I)(g > top) : (I)(g == g);
    t = better ? next : t;
    top = better ? g : top;
    slope = better ? g1 : slope;
    curvature = better ? g2 : curvature;
    found = slope * slope < 1e-2 * curvature;
    if (all<P>(found)) break;
    const V step_to = t + slope / curvature;
    const I within = (step_to > below) & (step_to < above);
    const V middle = 0.5 * (below + above);
    next = found ? t : within ? step_to : middle;
  }
  const V mode = t;

  // The ends, from outside.
  square_root<P>(2.0 * drop / curvature, first);
  V end[2];
  for (int side = 0; side < 2; ++side) {
    const double sign = side == 0 ? -1.0 : 1.0;
    V at = mode + sign * first, inner = mode, outer = mode + sign * 1e300;
    I ended{};
    for (int step = 0; step < 16; ++step) {
      integrand(at, g, s, w);
      const V excess = g - (top - drop);
      const I inside = excess > zero;
      ended = ended | (~inside & (excess > zero - 6.0));
      if (all<P>(ended)) break;
      inner = inside ? at : inner;
      outer = inside ? outer : at;
      const V newton = at - (excess + 1.0) / (sd * s - at);
      const I within = (sign * newton > sign * inner) & (sign * newton < sign * outer);
      const V other = 0.5 * (inner + outer);
      at = ended ? at : within ? newton : other;
    }
    found = found & ended;
    end[side] = at;
  }

  // The trapezoid rule, halving the step until nothing moves any more.
  const V left = end[0], width = end[1] - end[0];
  integrand(mode, g, s, w);
  const V shift = s;
  V z{}, x{}, xx{}, ds{}, dss{}, dw{};
  V z_before{}, mean_before{}, variance_before{}, score_before{}, gamma_before{};
  V log_scale{}, alpha{}, gamma{};
  I done{};
  for (int count = coarse; count <= 320; count *= 2) {
    const V h = width * (1.0 / count);
    const int stride = count == coarse ? 1 : 2;
    for (int k = stride - 1; k <= count; k += stride) {
      const V at = left + h * static_cast<double>(k);
      integrand(at, g, s, w);
      const rows::Exponential<P> exponential(g - top);
      const V p = exponential.e, d = at - mode, e = s - shift;
      z += p;
      x += p * d;
      xx += (p * d) * d;
      ds += p * e;
      dss += (p * e) * e;
      dw += p * w;
    }
    const V r = 1.0 / z, mean = x * r, variance = xx * r - mean * mean, integral = z * h;
    const V score = ds * r, curve = v * (dw * r - (dss * r - score * score));
    const I wide = variance > zero + 0.5;  // where the forms that need the density are best
    // A bend of the density in the tail moves little and settles late.
    constexpr double near = 1e-8, far = 1e-9;
    const V dz = integral / z_before - 1.0, dm = mean - mean_before,
            dv = variance - variance_before, d_score = sd * (score - score_before),
            d_gamma = curve - gamma_before;
    const I still = (dz < zero + near) & (dz > zero - near) & (dm * dm < near * near * variance) &
                    (dv < near * variance) & (dv > -near * variance) &
                    (~wide | ((d_score < zero + far) & (d_score > zero - far) &
                              (d_gamma < zero + far) & (d_gamma > zero - far)));
    const I now = still & ~done;
    log_scale = now ? integral : log_scale;
    const V by_mean = (mode + mean) / sd, by_variance = (1.0 - variance) / v;
    alpha = now ? (wide ? shift + score : by_mean) : alpha;
    gamma = now ? (wide ? dw * r - (dss * r - score * score) : by_variance) : gamma;
    done = done | now;
    if (all<P>(done | ~found)) break;
    z_before = integral;
    mean_before = mean;
    variance_before = variance;
    score_before = score;
    gamma_before = curve;
  }
  P::store(in.batch.alpha + i, alpha);
  P::store(in.batch.gamma + i, gamma);
  for (int k = 0; k < P::width; ++k) {
    in.batch.log_z[i + k] =
        std::log(log_scale[k]) + top[k] - 0.91893853320467274178 + in.constant[i + k];
    in.batch.done[i + k] = done[k] != 0 && found[k] != 0 && std::isfinite(in.batch.log_z[i + k]) &&
                           std::isfinite(alpha[k]) && std::isfinite(gamma[k]);
  }
}

template <class P, class Kernel>
PARTIALPOOL_INLINE void all_rows(const Input& in) {
  Eigen::Index i = 0;
  for (; i + P::width <= in.batch.n; i += P::width) rows_at<P, Kernel>(in, i);
  for (; i < in.batch.n; ++i) rows_at<rows::Pack1, Kernel>(in, i);
}

#ifdef PARTIALPOOL_ROW_LEVELS
template <class Kernel>
__attribute__((target("avx2,fma"))) inline void run_avx2(const Input& in) {
  all_rows<rows::Pack4, Kernel>(in);
}
template <class Kernel>
__attribute__((target("avx512f"))) inline void run_avx512(const Input& in) {
  all_rows<rows::Pack8, Kernel>(in);
}
#endif

template <class Kernel>
inline void run(const Input& in) {
#ifdef PARTIALPOOL_ROW_LEVELS
  static const int level = __builtin_cpu_supports("avx512f")                                 ? 2
                           : __builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma") ? 1
                                                                                             : 0;
  if (level == 2) return run_avx512<Kernel>(in);
  if (level == 1) return run_avx2<Kernel>(in);
#endif
  all_rows<rows::Pack2, Kernel>(in);
}

}  // namespace tilted_pack
}  // namespace partialpool

#endif
