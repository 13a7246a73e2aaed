#ifndef PARTIALPOOL_KENWARD_ROGER_H
#define PARTIALPOOL_KENWARD_ROGER_H

#include <Eigen/Dense>
#include <vector>

#include "covariance_traces.h"
#include "gaussian_model.h"
#include "natural.h"

namespace partialpool {

// The method of Kenward and Roger (1997) at the estimates of a REML fit (ALGORITHMS 11), V relative
// to sigma^2 and coefficients turned so that Phi = I. The parameters are linear in V: the entries
// of each Sigma and the residual variance. For structures that are not linear they are those of the
// structure, to first order: the second derivatives of V are left out. Since V itself is a
// combination of these parameters' directions, it stands for that of the residual variance, and
// V^-1 appears once less in every product.
class KenwardRoger {
 public:
  KenwardRoger(GaussianModel& model, const Eigen::VectorXd& x)
      : model_(model), x_(x), components_(model.profiled().cross_products()) {}

  // Columns of the largest rest of a component: memory grows with the square, time with the cube.
  Eigen::Index columns() const { return components_.most_columns(); }

  // In the user's coefficients, over sigma^2: Phi = root root', the adjusted one is
  // root (I + adjustment) root'; `changes` and the covariance of the parameters they belong to.
  struct Result {
    Eigen::MatrixXd root, adjustment, covariance;
    std::vector<Eigen::MatrixXd> changes;
  };

  Result compute() {
    Profiled& f = model_.profiled();
    f.value(x_);
    const BetaDerivatives beta(f, directions());
    const CovarianceTraces traces(f, components_, beta, true);
    const int n = beta.size(), px = beta.columns();
    Result out;
    for (int k = 0; k < n; ++k) out.changes.push_back(beta.change(k));
    out.changes.push_back(Eigen::MatrixXd::Identity(px, px));
    Eigen::MatrixXd information(n + 1, n + 1);
    for (int l = 0; l < n; ++l) {
      for (int k = 0; k <= l; ++k)
        information(k, l) = traces.v(k, l) - 2.0 * traces.q(k, l) +
                            out.changes[k].cwiseProduct(out.changes[l]).sum();
      information(l, n) = traces.first[l] - out.changes[l].trace();
    }
    information(n, n) = static_cast<double>(model_.data().n) - px;
    information.triangularView<Eigen::StrictlyLower>() = information.transpose();
    out.covariance = 2.0 * curved_inverse(information);
    // Terms with V itself vanish: Q_kV = P_k.
    Eigen::MatrixXd sum = Eigen::MatrixXd::Zero(px, px);
    for (int l = 0; l < n; ++l)
      for (int k = 0; k <= l; ++k)
        sum += (k == l ? 1.0 : 2.0) * out.covariance(k, l) *
               (traces.whole[traces.at(k, l)] - out.changes[k] * out.changes[l]);
    out.adjustment = sum + sum.transpose();
    out.root = model_.standard().beta_map() * f.factor()
                                                  .border_factor()
                                                  .topLeftCorner(px, px)
                                                  .triangularView<Eigen::Lower>()
                                                  .transpose()
                                                  .solve(Eigen::MatrixXd::Identity(px, px));
    return out;
  }

 private:
  std::vector<CovarianceDirection> directions() const {
    std::vector<CovarianceDirection> out;
    for (std::size_t t = 0; t < model_.terms().size(); ++t) {
      const Term& term = model_.terms()[t];
      for_each_block(model_.data(), term, [&](const CovarianceBlock& b, int at, int start) {
        for (const Eigen::MatrixXd& direction : block_directions(b, x_.data() + at)) {
          const double size = direction.norm();
          if (!(size > 1e-6)) continue;
          Eigen::MatrixXd s = Eigen::MatrixXd::Zero(term.p, term.p);
          s.block(start, start, b.size(), b.size()) = direction / size;
          out.push_back({static_cast<int>(t), std::move(s)});
        }
      });
    }
    return out;
  }
  // Variances of zero keep their directions, as entries of Sigma have them.
  static std::vector<Eigen::MatrixXd> block_directions(const CovarianceBlock& b, const double* x) {
    if (b.structure() == Structure::unstructured) return b.directions(x);
    const Eigen::VectorXd one = Eigen::VectorXd::Ones(b.size());
    if (!b.correlated()) return b.directions(b.parameters(one, 0.0).data());
    if (!b.homogeneous()) return b.directions(x);
    return b.directions(b.parameters(one, b.rho(x)).data());
  }

  GaussianModel& model_;
  Eigen::VectorXd x_;
  LevelComponents components_;
};

}  // namespace partialpool

#endif
