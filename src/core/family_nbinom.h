#ifndef PARTIALPOOL_FAMILY_NBINOM_H
#define PARTIALPOOL_FAMILY_NBINOM_H

#include "family_poisson.h"

namespace partialpool {

// Start of the dispersion of counts from the means of (y - mu)^2 - mu and its expectation over phi.
inline double bounded_log(double x, double bound) {
  return x > 0.0 ? std::fmin(std::fmax(std::log(x), -bound), bound) : -bound;
}

// Variance mu (1 + mu / phi). The factor Gamma(y + phi) / (Gamma(phi) phi^y) has no eta, the rest
// is y log mu - (y + phi) log(1 + mu / phi), written so that it tends to the Poisson as phi grows.
struct Nbinom2 {
  static constexpr MeanKind kind = MeanKind::positive;
  static constexpr bool dispersion = true, shape = false, hurdle = false;
  using Row = CountRow;

  template <class T>
  struct Parameters {
    T log_phi, phi;
    Parameters(const T& log_phi, const T&)
        : log_phi(log_phi), phi(apply(special::Exp(), log_phi)) {}
  };

  template <class T>
  static T log_density(const Row& row, const Mean<T>& mean, const Parameters<T>& by) {
    const T log_mu = mean.log_mu(), x = log_mu - by.log_phi;
    if (value_of(x) < 0.0) {
      // phi log(1 + mu / phi) = mu * log(1 + e^x) / e^x
      const T rate = apply(special::Exp(), log_mu + apply(special::LogLog1pRatio(), x));
      if (row.y == 0.0) return -rate;
      return row.y * (log_mu - apply(special::Softplus(), x)) - rate;
    }
    const T rate = by.phi * apply(special::Softplus(), x);
    if (row.y == 0.0) return -rate;
    return row.y * (by.log_phi - apply(special::Softplus(), -x)) - rate;
  }
  static double fixed(const Row& row) { return -std::lgamma(row.y + 1.0); }
  static EtaFree eta_free(const Row& row, double log_phi, double) {
    const auto rising = special::LogRising{row.y}.at<1>(log_phi);
    return {rising[0], rising[1], 0.0};
  }
  static double key(const Row& row) { return row.y; }
  static double information(const Row&, const MeanSlope& mean, double log_phi, double) {
    return mean.square * mean.mu / (1.0 + mean.mu * std::exp(-log_phi));
  }
  static bool log_concave(Link link) { return link == Link::log; }
  static bool unit(const Row&) { return true; }
  static void kernel_input(const Row& row, double weight, double& y, double&) {
    y = weight * row.y;
  }
  static double start_mean(const Row& row) { return row.y > 0.0 ? row.y : 1.0 / 6.0; }
  static void moments(const Row& row, double mu, double* out) {
    out[0] = mu * mu;
    out[1] = (row.y - mu) * (row.y - mu) - mu;
  }
  static double log_phi_from(double expected, double excess) {
    return excess > 0.0 ? bounded_log(expected / excess, 5.0) : 5.0;
  }
  static double shared_dispersion(double log_phi) { return std::max(log_phi, 0.0); }
  static double start_shape() { return 0.0; }
  static int limit(const Row& row) { return row.y == 0.0 ? -1 : 0; }
};

// Log link, x = eta - log phi: y (log phi + min(x, 0)) - phi max(x, 0) - (y + phi) log(1 + e^-|x|).
template <int Order, bool Weighted, bool Joined>
struct Nbinom2LogKernel {
  static constexpr bool multiplies = false;

  template <class P>
  static PARTIALPOOL_INLINE void row(const rows::Rows& at, Eigen::Index i, typename P::V& l,
                                     typename P::V&) {
    using V = typename P::V;
    V x, y, phi = V{} + at.phi;
    P::load(at.eta + i, x);
    P::load(at.y + i, y);
    if (Weighted) {
      V weight;
      P::load(at.weights + i, weight);
      phi *= weight;  // y has its weight already
    }
    x -= at.log_phi;
    const V size = x > V{} ? x : -x;
    const rows::Exponential<P> exponential(size, typename rows::Exponential<P>::Decay());
    const V& e = exponential.e;
    const rows::Log1p<P> log1p(e);
    l = y * (at.log_phi + 0.5 * (x - size)) - phi * (0.5 * (x + size)) - (y + phi) * log1p.log;
    if (!Joined && at.l) P::store(at.l + i, l);
    if (Order == 0) return;
    const V r = log1p.reciprocal, lower = e * r;
    const V p = x > V{} ? r : lower, q = x > V{} ? lower : r;
    const V s = y * q - phi * p, w = (y + phi) * (r * lower);
    P::store(at.s + i, s);
    P::store(at.w + i, w);
    if (Order == 1) return;
    const V w_eta = w * (q - p);
    P::store(at.w_eta + i, w_eta);
    // softplus(x) - its derivative, which for small e is about e^2 / 2
    const V below = (e * log1p.log + log1p.rest) * r, above = x + log1p.log - p;
    P::store(at.l_k + i, y * p - phi * (x > V{} ? above : below));
    P::store(at.s_k + i, p * s);
    P::store(at.w_k + i, (r * lower) * (2.0 * phi * p - y * (q - p)));
  }
};

// Variance mu (1 + phi): size r = mu / phi.
struct Nbinom1 {
  static constexpr MeanKind kind = MeanKind::positive;
  static constexpr bool dispersion = true, shape = false, hurdle = false;
  using Row = CountRow;

  template <class T>
  struct Parameters {
    T log_phi, log_1p_phi, log_ratio;  // log(log(1 + phi) / phi)
    Parameters(const T& log_phi, const T&)
        : log_phi(log_phi),
          log_1p_phi(apply(special::Softplus(), log_phi)),
          log_ratio(apply(special::LogLog1pRatio(), log_phi)) {}
  };

  template <class T>
  static T log_density(const Row& row, const Mean<T>& mean, const Parameters<T>& by) {
    const T log_mu = mean.log_mu(), rate = apply(special::Exp(), log_mu + by.log_ratio);
    if (row.y == 0.0) return -rate;
    return apply(special::LogRising{row.y}, log_mu - by.log_phi) +
           row.y * (log_mu - by.log_1p_phi) - rate;
  }
  static double fixed(const Row& row) { return -std::lgamma(row.y + 1.0); }
  static EtaFree eta_free(const Row&, double, double) { return EtaFree(); }
  static double key(const Row&) { return 0.0; }
  static double information(const Row&, const MeanSlope& mean, double log_phi, double) {
    return mean.square * mean.mu / (1.0 + std::exp(log_phi));
  }
  static double start_mean(const Row& row) { return row.y > 0.0 ? row.y : 1.0 / 6.0; }
  static void moments(const Row& row, double mu, double* out) {
    out[0] = mu;
    out[1] = (row.y - mu) * (row.y - mu) - mu;
  }
  static double log_phi_from(double expected, double excess) {
    return bounded_log(excess / expected, 5.0);
  }
  static double shared_dispersion(double log_phi) { return std::min(log_phi, 0.0); }
  static double start_shape() { return 0.0; }
  static int limit(const Row& row) { return row.y == 0.0 ? -1 : 0; }
};

// The two given y > 0; mu is the mean before truncation. With t = -log f(0), log(1 - f(0)) is
// log(t) - t + log((e^t - 1) / t).
struct TruncatedNbinom2 : Nbinom2 {
  // Moments of truncated counts say little about phi, and a wrong one leads to a plateau at mu = 0.
  static double log_phi_from(double, double) { return 0.0; }
  static constexpr bool hurdle = true;

  template <class T>
  static T log_density(const Row& row, const Mean<T>& mean, const Parameters<T>& by) {
    if (row.y == 0.0) return T(-special::infinity);
    const T log_mu = mean.log_mu(), x = log_mu - by.log_phi;
    if (value_of(x) < 0.0) {
      const T ratio = apply(special::LogLog1pRatio(), x);
      return (row.y - 1.0) * log_mu - row.y * apply(special::Softplus(), x) - ratio -
             apply(special::LogExpm1Ratio(), log_mu + ratio);
    }
    const T log_rate = by.log_phi + apply(special::Log(), apply(special::Softplus(), x));
    return row.y * (by.log_phi - apply(special::Softplus(), -x)) - log_rate -
           apply(special::LogExpm1Ratio(), log_rate);
  }
  // The parent's, times the loss of information by truncation of a Poisson of the same f(0).
  static double information(const Row& row, const MeanSlope& mean, double log_phi, double shape) {
    const double x = std::log(mean.mu) - log_phi;
    const double log_rate = std::log(mean.mu) + special::LogLog1pRatio().at<0>(x)[0];
    return Nbinom2::information(row, mean, log_phi, shape) *
           (special::LogExpm1Ratio().at<2>(log_rate)[2] / std::exp(log_rate));
  }
  static double start_mean(const Row& row) { return row.y > 1.0 ? row.y : 0.5; }
  static int limit(const Row& row) { return row.y == 1.0 ? -1 : 0; }
  static bool log_concave(Link) { return false; }
};

struct TruncatedNbinom1 : Nbinom1 {
  // Moments of truncated counts say little about phi, and a wrong one leads to a plateau at mu = 0.
  static double log_phi_from(double, double) { return 0.0; }
  static constexpr bool hurdle = true;

  template <class T>
  static T log_density(const Row& row, const Mean<T>& mean, const Parameters<T>& by) {
    if (row.y == 0.0) return T(-special::infinity);
    const T log_mu = mean.log_mu();
    return apply(special::LogRising{row.y}, log_mu - by.log_phi) + (row.y - 1.0) * log_mu -
           row.y * by.log_1p_phi - by.log_ratio -
           apply(special::LogExpm1Ratio(), log_mu + by.log_ratio);
  }
  static double information(const Row& row, const MeanSlope& mean, double log_phi, double shape) {
    const double log_rate = std::log(mean.mu) + special::LogLog1pRatio().at<0>(log_phi)[0];
    return Nbinom1::information(row, mean, log_phi, shape) *
           (special::LogExpm1Ratio().at<2>(log_rate)[2] / std::exp(log_rate));
  }
  static double start_mean(const Row& row) { return row.y > 1.0 ? row.y : 0.5; }
  static int limit(const Row& row) { return row.y == 1.0 ? -1 : 0; }
};

}  // namespace partialpool

#endif
