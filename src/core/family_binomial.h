#ifndef PARTIALPOOL_FAMILY_BINOMIAL_H
#define PARTIALPOOL_FAMILY_BINOMIAL_H

#include "family_kernels.h"

namespace partialpool {

// Successes and failures of a proportion; whole numbers where a product of rounded numbers is one.
struct BinomialRow {
  double successes, failures;
  BinomialRow(double y, double trials)
      : successes(whole(y * trials)), failures(whole(trials - successes)) {}
  double trials() const { return successes + failures; }
  double proportion() const { return successes / trials(); }

 private:
  static double whole(double x) {
    const double nearest = std::round(x);
    return std::fabs(x - nearest) <= 1e-9 * std::fmax(1.0, x) ? nearest : x;
  }
};

// The log of a binomial coefficient, without the cancellation of log gamma functions that are
// large.
inline double log_choose(double n, double k, double rest) {
  const double least = std::fmin(k, rest), most = std::fmax(k, rest);
  if (n < 100.0 || least == 0.0) return special::log_choose(n, k, rest);
  if (least < 10.0) {  // Gamma(most + 1 + least) / Gamma(most + 1) by its asymptotic series
    const double z = least / (most + 1.0), a = most + 1.0;
    return a * (z * std::log1p(z) + special::log1pmx(z)) - 0.5 * std::log1p(z) +
           special::stirling_by_log<0>(a + least)[0] - special::stirling_by_log<0>(a)[0] +
           least * std::log(a) - std::lgamma(least + 1.0);
  }
  return -k * std::log(k / n) - rest * std::log(rest / n) - 0.5 * std::log(k * (rest / n)) -
         special::log_sqrt_2pi + special::stirling_by_log<0>(n)[0] -
         special::stirling_by_log<0>(k)[0] - special::stirling_by_log<0>(rest)[0];
}

struct Binomial {
  static constexpr MeanKind kind = MeanKind::probability;
  static constexpr bool dispersion = false, shape = false, hurdle = false;
  using Row = BinomialRow;

  template <class T>
  struct Parameters {
    Parameters(const T&, const T&) {}
  };

  template <class T>
  static T log_density(const Row& row, const Mean<T>& mean, const Parameters<T>&) {
    // Zero times the log of a vanishing probability is zero.
    if (row.failures == 0.0) return row.successes * mean.log_mu();
    if (row.successes == 0.0) return row.failures * mean.log_1m();
    return row.successes * mean.log_mu() + row.failures * mean.log_1m();
  }
  static double fixed(const Row& row) {
    return log_choose(row.trials(), row.successes, row.failures);
  }
  static EtaFree eta_free(const Row&, double, double) { return EtaFree(); }
  static double key(const Row&) { return 0.0; }
  static double information(const Row& row, const MeanSlope& mean, double, double) {
    return row.trials() * mean.square;
  }
  static double start_mean(const Row& row) { return (row.successes + 0.5) / (row.trials() + 1.0); }
  static void moments(const Row&, double, double*) {}
  static double log_phi_from(double, double) { return 0.0; }
  static double start_shape() { return 0.0; }
  static int limit(const Row& row) {
    return row.failures == 0.0 ? 1 : row.successes == 0.0 ? -1 : 0;
  }
  static bool log_concave(Link link) { return link != Link::cauchit; }
  static RowForm form(const Row& row, Link link, double weight, double, double constant) {
    RowForm out;
    out.a = weight * row.successes;
    out.b = weight * row.failures;
    out.constant = constant;
    if (link == Link::logit)
      out.kind = RowForm::logit;
    else if (link == Link::probit && out.a + out.b == 1.0 && out.a * out.b == 0.0)
      out.kind = RowForm::probit;
    return out;
  }
  static bool unit(const Row& row) {
    return (row.successes == 1.0 && row.failures == 0.0) ||
           (row.successes == 0.0 && row.failures == 1.0);
  }
  static void kernel_input(const Row& row, double weight, double& y, double& other) {
    y = weight * row.successes;
    other = weight * row.failures;
  }
};

// With e = exp(-|eta|): -n log(1 + e) - a max(-eta, 0) - b max(eta, 0) for a successes, b failures.
template <int Order, bool Weighted, bool Joined>
struct LogitKernel {
  static constexpr bool multiplies = Joined;

  template <class P>
  static PARTIALPOOL_INLINE void row(const rows::Rows& at, Eigen::Index i, typename P::V& l,
                                     typename P::V& factor) {
    using V = typename P::V;
    V x, a, b;
    P::load(at.eta + i, x);
    P::load(at.y + i, a);
    if (Weighted)
      P::load(at.other + i, b);
    else
      b = 1.0 - a;
    const V size = x > V{} ? x : -x;
    const rows::Exponential<P> exponential(size, typename rows::Exponential<P>::Decay());
    const V& e = exponential.e;
    l = -0.5 * (a * (size - x) + b * (size + x));
    V r;
    if (Joined) {
      factor = 1.0 + e;
      r = Order > 0 ? 1.0 / factor : V{};
    } else {
      const rows::Log1p<P> log1p(e);
      l -= (a + b) * log1p.log;
      r = log1p.reciprocal;
      if (at.l) P::store(at.l + i, l);
    }
    if (Order == 0) return;
    const V lower = e * r;
    const V p = x > V{} ? r : lower, q = x > V{} ? lower : r;
    const V w = Weighted ? (a + b) * (r * lower) : r * lower;
    P::store(at.s + i, a * q - b * p);
    P::store(at.w + i, w);
    if (Order > 1) P::store(at.w_eta + i, w * (q - p));
  }
};

}  // namespace partialpool

#endif
