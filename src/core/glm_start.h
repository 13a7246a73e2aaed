#ifndef PARTIALPOOL_GLM_START_H
#define PARTIALPOOL_GLM_START_H

#include <Eigen/Dense>
#include <cmath>
#include <limits>

#include "family.h"
#include "mixed_rows.h"
#include "pirls.h"

namespace partialpool {

// The model without random effects, by Fisher scoring: where the search begins.
struct GlmStart {
  Eigen::VectorXd beta;       // standardised
  Eigen::VectorXd eta;        // offset included
  Eigen::VectorXd direction;  // last step; points to infinity where beta runs there
  bool finite = false;        // the density of every row exists
};

namespace glm {
// The step for the score, with the observed weights `w` where all are positive, else the expected.
inline bool scoring_step(const MixedRows& rows, const Family& family, const BetaPrior& prior,
                         const Eigen::VectorXd& eta, const Eigen::VectorXd& s, Eigen::VectorXd w,
                         const Eigen::VectorXd& beta, Eigen::VectorXd& step, double& decrement) {
  if (!(w.minCoeff() > 0.0)) family.expected_weights(eta.data(), w.data());
  if (!w.allFinite()) return false;
  Eigen::MatrixXd information = rows.x() * (w.asDiagonal() * Eigen::MatrixXd(rows.x().transpose()));
  Eigen::VectorXd r = rows.x_transposed(s);
  if (prior.any()) {
    information += prior.precision;
    r -= prior.slope(beta);
  }
  step = information.ldlt().solve(r);
  decrement = r.dot(step);
  return step.allFinite();
}
}  // namespace glm

// The family's other parameters are as set.
inline GlmStart glm_start(const MixedRows& rows, const Family& family,
                          const Eigen::VectorXd& offset, const BetaPrior& prior, int iterations) {
  GlmStart out;
  const Eigen::Index n = rows.n();
  const int p = rows.p_x();
  Eigen::VectorXd s(n), w(n);
  out.beta = Eigen::VectorXd::Zero(p);
  out.direction = Eigen::VectorXd::Zero(p);
  const auto evaluate = [&](const Eigen::VectorXd& beta, Eigen::VectorXd& eta) {
    eta = offset;
    rows.add_x(beta, eta);
    return 2.0 * family.score(eta.data(), s.data(), w.data()) - prior.penalty(beta);
  };
  // Candidates: the working response at eta from the response alone; its mean; zero.
  Eigen::VectorXd eta0(n), w0(n);
  family.start_eta(eta0.data());
  double value = -std::numeric_limits<double>::infinity();
  if (p > 0 && eta0.allFinite()) {
    family.score(eta0.data(), s.data(), w.data());
    family.expected_weights(eta0.data(), w0.data());
    Eigen::VectorXd z = eta0 - offset;
    for (Eigen::Index i = 0; i < n; ++i)
      if (std::isfinite(s[i]) && w0[i] > 0.0) z[i] += s[i] / w0[i];
    const Eigen::MatrixXd information =
        rows.x() * (w0.asDiagonal() * Eigen::MatrixXd(rows.x().transpose()));
    out.beta = information.ldlt().solve(rows.x_transposed(w0.cwiseProduct(z)));
    if (out.beta.allFinite()) value = evaluate(out.beta, out.eta);
    // The same level everywhere, a usual one or further and further from the edge of the range.
    const double level = (eta0 - offset).mean();
    for (const double shift : {0.0, -0.5, 0.5, -1.0, 1.0, -2.0, 2.0, -4.0, 4.0}) {
      if (std::isfinite(value)) break;
      out.beta = rows.x_transposed(
          Eigen::VectorXd::Constant(n, (level + shift * (1.0 + std::fabs(level))) / n));
      value = evaluate(out.beta, out.eta);
    }
  }
  if (!std::isfinite(value)) {
    out.beta.setZero();
    value = evaluate(out.beta, out.eta);
  }
  out.finite = std::isfinite(value);
  if (!out.finite || p == 0) return out;
  Eigen::VectorXd step, eta;
  for (int it = 0; it < iterations; ++it) {
    double decrement = 0.0;
    if (!glm::scoring_step(rows, family, prior, out.eta, s, w, out.beta, step, decrement)) break;
    if (decrement < 1e-10) break;
    double alpha = 1.0;
    bool taken = false;
    for (int halving = 0; halving < 30 && !taken; ++halving, alpha *= 0.5) {
      const double trial = evaluate(out.beta + alpha * step, eta);
      if (!(trial >= value - 1e-13 * std::fabs(value))) continue;
      taken = true;
      value = trial;
      out.beta += alpha * step;
      out.eta = eta;
      out.direction = step;
    }
    if (!taken) break;
  }
  evaluate(out.beta, out.eta);
  return out;
}

}  // namespace partialpool

#endif
