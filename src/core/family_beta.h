#ifndef PARTIALPOOL_FAMILY_BETA_H
#define PARTIALPOOL_FAMILY_BETA_H

#include "family_binomial.h"

namespace partialpool {

struct UnitRow {
  double y, log_y, log_rest;
  UnitRow(double y, double) : y(y), log_y(std::log(y)), log_rest(std::log1p(-y)) {}
  bool inside() const { return y > 0.0 && y < 1.0; }
};

// Beta(mu phi, (1 - mu) phi). The leading terms of the three log gamma functions join those of y in
// phi times a divergence of mu from y, so that large phi cancels nothing.
struct Beta {
  static constexpr MeanKind kind = MeanKind::probability;
  static constexpr bool dispersion = true, shape = false, hurdle = true;
  using Row = UnitRow;

  template <class T>
  struct Parameters {
    T log_phi, phi;
    Parameters(const T& log_phi, const T&)
        : log_phi(log_phi), phi(apply(special::Exp(), log_phi)) {}
  };

  template <class T>
  static T log_density(const Row& row, const Mean<T>& mean, const Parameters<T>& by) {
    if (!row.inside()) return T(-special::infinity);
    const T log_mu = mean.log_mu(), log_1m = mean.log_1m();
    const T divergence = row.y * apply(special::UnitDeviance(), log_mu - row.log_y) +
                         (1.0 - row.y) * apply(special::UnitDeviance(), log_1m - row.log_rest);
    return -(by.phi * divergence) - apply(special::LogGammaRest(), by.log_phi + log_mu) -
           apply(special::LogGammaRest(), by.log_phi + log_1m);
  }
  static double fixed(const Row& row) { return row.inside() ? -row.log_y - row.log_rest : 0.0; }
  static EtaFree eta_free(const Row&, double log_phi, double) {
    const auto rest = special::LogGammaRest().at<1>(log_phi);
    return {rest[0], rest[1], 0.0};
  }
  static double key(const Row&) { return 0.0; }
  static double information(const Row&, const MeanSlope& mean, double log_phi, double) {
    const double phi = std::exp(log_phi), tiny = 1e-300;
    const double a = std::fmax(mean.mu * phi, tiny), b = std::fmax((1.0 - mean.mu) * phi, tiny);
    // phi^2 mu (1 - mu) = a b
    return mean.square * (a * b) * (special::trigamma(a) + special::trigamma(b));
  }
  static double start_mean(const Row& row) { return std::fmin(std::fmax(row.y, 1e-3), 1.0 - 1e-3); }
  static void moments(const Row& row, double mu, double* out) {
    out[0] = (row.y - mu) * (row.y - mu) / (mu * (1.0 - mu));  // its expectation is 1 / (1 + phi)
  }
  static double log_phi_from(double pearson, double) {
    const double phi = 1.0 / pearson - 1.0;
    return phi > 0.0 ? std::fmin(std::fmax(std::log(phi), -3.0), 15.0) : -3.0;
  }
  static double start_shape() { return 0.0; }
  static int limit(const Row&) { return 0; }
};

// Binomial whose probability is Beta(mu phi, (1 - mu) phi): the binomial log density and terms that
// vanish as phi grows.
struct BetaBinomial {
  static constexpr MeanKind kind = MeanKind::probability;
  static constexpr bool dispersion = true, shape = false, hurdle = false;
  using Row = BinomialRow;

  template <class T>
  struct Parameters {
    T log_phi;
    Parameters(const T& log_phi, const T&) : log_phi(log_phi) {}
  };

  template <class T>
  static T log_density(const Row& row, const Mean<T>& mean, const Parameters<T>& by) {
    if (row.failures == 0.0) return side(row.successes, mean.log_mu(), by.log_phi);
    if (row.successes == 0.0) return side(row.failures, mean.log_1m(), by.log_phi);
    return side(row.successes, mean.log_mu(), by.log_phi) +
           side(row.failures, mean.log_1m(), by.log_phi);
  }
  static double fixed(const Row& row) { return Binomial::fixed(row); }
  static EtaFree eta_free(const Row& row, double log_phi, double) {
    const auto rising = special::LogRising{row.trials()}.at<1>(log_phi);
    return {-rising[0], -rising[1], 0.0};
  }
  static double key(const Row& row) { return row.trials(); }
  static double information(const Row& row, const MeanSlope& mean, double log_phi, double) {
    const double inverse = std::exp(-log_phi), n = row.trials();
    return n * mean.square * (1.0 + inverse) / (1.0 + n * inverse);
  }
  static double start_mean(const Row& row) { return Binomial::start_mean(row); }
  // Var(y) n / (mu (1 - mu)) = 1 + (n - 1) / (1 + phi)
  static void moments(const Row& row, double mu, double* out) {
    const double n = row.trials(), residual = row.proportion() - mu;
    out[0] = n * residual * residual / (mu * (1.0 - mu)) - 1.0;
    out[1] = n - 1.0;
  }
  static double log_phi_from(double excess, double trials_less_one) {
    const double phi = trials_less_one / excess - 1.0;
    if (!(excess > 0.0)) return 5.0;
    return phi > 0.0 ? std::fmin(std::fmax(std::log(phi), -3.0), 5.0) : -3.0;
  }
  static double start_shape() { return 0.0; }
  static int limit(const Row& row) { return Binomial::limit(row); }

 private:
  template <class T>
  static T side(double count, const T& log_probability, const T& log_phi) {
    return count * log_probability + apply(special::LogRising{count}, log_phi + log_probability);
  }
};

}  // namespace partialpool

#endif
