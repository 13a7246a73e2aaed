#ifndef PARTIALPOOL_FAMILY_POISSON_H
#define PARTIALPOOL_FAMILY_POISSON_H

#include "family_kernels.h"

namespace partialpool {

struct CountRow {
  double y;
  CountRow(double y, double) : y(y) {}
};

struct Poisson {
  static constexpr MeanKind kind = MeanKind::positive;
  static constexpr bool dispersion = false, shape = false, hurdle = false;
  using Row = CountRow;

  template <class T>
  struct Parameters {
    Parameters(const T&, const T&) {}
  };

  template <class T>
  static T log_density(const Row& row, const Mean<T>& mean, const Parameters<T>&) {
    if (row.y == 0.0) return -mean.mu();
    return row.y * mean.log_mu() - mean.mu();
  }
  static double fixed(const Row& row) { return -std::lgamma(row.y + 1.0); }
  static EtaFree eta_free(const Row&, double, double) { return EtaFree(); }
  static double key(const Row&) { return 0.0; }
  static double information(const Row&, const MeanSlope& mean, double, double) {
    return mean.mu * mean.square;
  }
  static double start_mean(const Row& row) { return row.y + 0.1; }
  static void moments(const Row&, double, double*) {}
  static double log_phi_from(double, double) { return 0.0; }
  static double start_shape() { return 0.0; }
  static int limit(const Row& row) { return row.y == 0.0 ? -1 : 0; }
  static bool log_concave(Link link) {
    return link != Link::inverse && link != Link::inverse_square;
  }
  static bool unit(const Row&) { return true; }
  static void kernel_input(const Row& row, double weight, double& y, double&) {
    y = weight * row.y;
  }
};

// Log link: y eta - mu.
template <int Order, bool Weighted, bool Joined>
struct PoissonLogKernel {
  static constexpr bool multiplies = false;

  template <class P>
  static PARTIALPOOL_INLINE void row(const rows::Rows& at, Eigen::Index i, typename P::V& l,
                                     typename P::V&) {
    using V = typename P::V;
    V x, y;
    P::load(at.eta + i, x);
    P::load(at.y + i, y);
    V mu = rows::Exponential<P>(x).e;
    if (Weighted) {
      V weight;
      P::load(at.weights + i, weight);
      mu *= weight;
    }
    l = y * x - mu;
    if (!Joined && at.l) P::store(at.l + i, l);
    if (Order == 0) return;
    P::store(at.s + i, y - mu);
    P::store(at.w + i, mu);
    if (Order > 1) P::store(at.w_eta + i, mu);
  }
};

// Given y > 0; mu is the mean before truncation.
struct TruncatedPoisson : Poisson {
  static constexpr bool hurdle = true;

  template <class T>
  static T log_density(const Row& row, const Mean<T>& mean, const Parameters<T>&) {
    if (row.y == 0.0) return T(-special::infinity);
    const T log_mu = mean.log_mu();
    return (row.y - 1.0) * log_mu - apply(special::LogExpm1Ratio(), log_mu);
  }
  static double information(const Row&, const MeanSlope& mean, double, double) {
    return special::LogExpm1Ratio().at<2>(std::log(mean.mu))[2] * mean.square;
  }
  static double start_mean(const Row& row) { return row.y > 1.0 ? row.y : 0.5; }
  static int limit(const Row& row) { return row.y == 1.0 ? -1 : 0; }
  static bool log_concave(Link link) { return link == Link::log; }
};

}  // namespace partialpool

#endif
