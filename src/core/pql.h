#ifndef PARTIALPOOL_PQL_H
#define PARTIALPOOL_PQL_H

#include <Eigen/Dense>
#include <algorithm>
#include <cmath>
#include <memory>
#include <string>
#include <vector>

#include "family.h"
#include "gaussian_model.h"

namespace partialpool {

// Penalised quasi-likelihood (Breslow & Clayton 1993; Schall 1991): a linear mixed model of the
// working response, again and again until the linear predictor stands still.
class Pql {
 public:
  struct Result {
    std::unique_ptr<GaussianModel> model;  // of the last working response, at its optimum
    Optimum optimum;
    std::string status;  // converged | iteration limit | not finite | what the linear model said
    int iterations = 0;
    double change = 0.0;  // of the linear predictor in the last iteration
  };

  // `data` as for a GLMM; `family` over the rows in the order of the data.
  Pql(const ModelData& data, Family& family, const double* offset, bool reml, bool fixed_dispersion)
      : data_(data),
        family_(family),
        offset_(offset),
        reml_(reml),
        fixed_dispersion_(fixed_dispersion) {
    family_.set_parameters(Eigen::VectorXd::Zero(1), Eigen::VectorXd(), 0.0);
  }

  // From the linear predictors that each response by itself suggests.
  Result fit(const NewtonControl& control, int max_iterations) {
    const Eigen::Index n = data_.n;
    Eigen::VectorXd eta(n);
    family_.start_eta(eta.data());
    Result out;
    Eigen::VectorXd s(n), w(n), theta, before, direction;
    double last_change = 0.0, damping = 1.0;
    while (out.iterations < max_iterations) {
      ++out.iterations;
      const double value = family_.score(eta.data(), s.data(), w.data());
      family_.expected_weights(eta.data(), w.data());
      if (!std::isfinite(value) || !w.allFinite()) {
        // Too far: half way back to where all was well.
        if (before.size() == 0 || (damping *= 0.5) < 1e-3) {
          out.status = "not finite";
          return out;
        }
        eta = before + damping * direction;
        continue;
      }
      w = w.cwiseMax(1e-12 * w.maxCoeff()).eval();
      response_ = eta + s.cwiseQuotient(w);
      weights_ = w;
      ModelData working = data_;
      working.y = response_.data();
      working.weights = weights_.data();
      working.offset = offset_;
      out.model = std::make_unique<GaussianModel>(std::move(working), reml_);
      GaussianModel& lmm = *out.model;
      if (fixed_dispersion_)
        lmm.profiled().fix_sigma2(1.0 / (lmm.standard().scale() * lmm.standard().scale()));
      const Eigen::VectorXd start = theta.size() > 0 ? lmm.map().parameters(theta) : lmm.start();
      NewtonControl inner;
      inner.tolerance = 1e-13;
      inner.max_iterations = control.max_iterations;
      out.optimum =
          theta.size() > 0 ? newton(lmm.profiled(), start, inner) : lmm.search(start, inner);
      out.status = out.optimum.status;
      if (out.status == "not finite" || out.status == "no variance") return out;
      theta = lmm.map().theta(out.optimum.x);
      before = eta;
      direction = linear_predictor(lmm) - eta;
      out.change = (direction.array().abs() / (1.0 + eta.array().abs())).maxCoeff();
      // Once the first steps are made, one longer than the one before is a swing: go half way.
      damping = out.iterations > 12 && out.change > last_change ? std::max(0.1, 0.5 * damping)
                                                                : std::min(1.0, 1.5 * damping);
      last_change = out.change;
      if (control.monitor) control.monitor(out.iterations, out.optimum.value, out.change);
      if (out.change < 1e-8 || (out.change < 1e-6 && out.iterations > 40)) {
        out.status = "converged";
        return out;
      }
      eta += damping * direction;
    }
    out.status = "iteration limit";
    return out;
  }

 private:
  Eigen::VectorXd linear_predictor(GaussianModel& lmm) const {
    const Eigen::Index n = data_.n;
    const Eigen::VectorXd beta = lmm.beta();
    Eigen::VectorXd eta = Eigen::VectorXd::Zero(n);
    for (Eigen::Index j = 0; j < beta.size(); ++j)
      eta += beta[j] * data_.x.col(lmm.standard().kept()[j]);
    if (offset_) eta += Eigen::Map<const Eigen::VectorXd>(offset_, n);
    const std::vector<Eigen::MatrixXd> b = lmm.modes();
    for (std::size_t t = 0; t < data_.terms.size(); ++t) {
      const UserTerm& term = data_.terms[t];
      const int* codes = data_.factors[term.factor].codes;
      for (Eigen::Index i = 0; i < n; ++i) {
        const auto bi = b[t].col(codes[i] - 1);
        eta[i] += term.intercept_only() ? bi[0] : term.z.row(i).dot(bi);
      }
    }
    return eta;
  }

  const ModelData& data_;
  Family& family_;
  const double* offset_;
  bool reml_, fixed_dispersion_;
  Eigen::VectorXd response_, weights_;
};

}  // namespace partialpool

#endif
