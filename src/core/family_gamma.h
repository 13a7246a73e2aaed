#ifndef PARTIALPOOL_FAMILY_GAMMA_H
#define PARTIALPOOL_FAMILY_GAMMA_H

#include "family_kernels.h"

namespace partialpool {

struct PositiveRow {
  double y, log_y;
  PositiveRow(double y, double) : y(y), log_y(std::log(y)) {}
};

// Shape nu = 1 / phi. The log density is -nu (e^u - 1 - u) with u = log(y / mu), and terms of nu
// and y.
struct Gamma {
  static constexpr MeanKind kind = MeanKind::positive;
  static constexpr bool dispersion = true, shape = false, hurdle = true;
  using Row = PositiveRow;

  template <class T>
  struct Parameters {
    T nu;
    Parameters(const T& log_phi, const T&) : nu(apply(special::Exp(), -log_phi)) {}
  };

  template <class T>
  static T log_density(const Row& row, const Mean<T>& mean, const Parameters<T>& by) {
    if (!(row.y > 0.0)) return T(-special::infinity);
    return -(by.nu * apply(special::Expm1mx(), row.log_y - mean.log_mu()));
  }
  static double fixed(const Row& row) { return row.y > 0.0 ? -row.log_y : 0.0; }
  static EtaFree eta_free(const Row&, double log_phi, double) {
    const auto rest = special::LogGammaRest().at<1>(-log_phi);
    return {-rest[0], rest[1], 0.0};
  }
  static double key(const Row&) { return 0.0; }
  static double information(const Row&, const MeanSlope& mean, double log_phi, double) {
    return mean.square * std::exp(-log_phi);
  }
  static double start_mean(const Row& row) { return row.y; }
  static void moments(const Row& row, double mu, double* out) {
    out[0] = (row.y / mu - 1.0) * (row.y / mu - 1.0);
  }
  static double log_phi_from(double pearson, double) {
    return std::fmin(std::fmax(std::log(pearson), -20.0), 5.0);
  }
  static double start_shape() { return 0.0; }
  static int limit(const Row&) { return 0; }
  static bool log_concave(Link link) { return link == Link::log || link == Link::inverse; }
  static bool unit(const Row&) { return true; }
  static void kernel_input(const Row& row, double, double& y, double&) { y = row.log_y; }
};

// Log link, u = log y - eta: -nu (e^u - 1 - u).
template <int Order, bool Weighted, bool Joined>
struct GammaLogKernel {
  static constexpr bool multiplies = false;

  template <class P>
  static PARTIALPOOL_INLINE void row(const rows::Rows& at, Eigen::Index i, typename P::V& l,
                                     typename P::V&) {
    using V = typename P::V;
    V x, u;
    P::load(at.eta + i, x);
    P::load(at.y + i, u);
    u -= x;
    V nu = V{} + 1.0 / at.phi;
    if (Weighted) {
      V weight;
      P::load(at.weights + i, weight);
      nu *= weight;
    }
    const rows::Exponential<P> exponential(u);
    const V& r = exponential.r;
    const auto near = exponential.k == V{};  // u is r
    const V second = r * r * exponential.tail;
    const V first = near ? r + second : exponential.e - 1.0;
    l = -nu * (near ? second : first - u);
    if (!Joined && at.l) P::store(at.l + i, l);
    if (Order == 0) return;
    const V s = nu * first, w = nu * exponential.e;
    P::store(at.s + i, s);
    P::store(at.w + i, w);
    if (Order == 1) return;
    P::store(at.w_eta + i, -w);
    P::store(at.l_k + i, -l);
    P::store(at.s_k + i, -s);
    P::store(at.w_k + i, -w);
  }
};

// Variance phi mu^3.
struct InverseGaussian {
  static constexpr MeanKind kind = MeanKind::positive;
  static constexpr bool dispersion = true, shape = false, hurdle = true;
  using Row = PositiveRow;

  template <class T>
  struct Parameters {
    T inverse_phi;
    Parameters(const T& log_phi, const T&) : inverse_phi(apply(special::Exp(), -log_phi)) {}
  };

  template <class T>
  static T log_density(const Row& row, const Mean<T>& mean, const Parameters<T>& by) {
    if (!(row.y > 0.0)) return T(-special::infinity);
    const T relative = apply(special::Expm1(), row.log_y - mean.log_mu());
    return (-0.5 / row.y) * (by.inverse_phi * (relative * relative));
  }
  static double fixed(const Row& row) {
    return row.y > 0.0 ? -special::log_sqrt_2pi - 1.5 * row.log_y : 0.0;
  }
  static EtaFree eta_free(const Row&, double log_phi, double) {
    return {-0.5 * log_phi, -0.5, 0.0};
  }
  static double key(const Row&) { return 0.0; }
  static double information(const Row&, const MeanSlope& mean, double log_phi, double) {
    return mean.square * std::exp(-log_phi) / mean.mu;
  }
  static double start_mean(const Row& row) { return row.y; }
  static void moments(const Row& row, double mu, double* out) {
    out[0] = (row.y / mu - 1.0) * (row.y / mu - 1.0) / row.y;  // its expectation is phi
  }
  static double log_phi_from(double pearson, double) {
    return std::fmin(std::fmax(std::log(pearson), -60.0), 60.0);
  }
  static double start_shape() { return 0.0; }
  static int limit(const Row&) { return 0; }
};

}  // namespace partialpool

#endif
