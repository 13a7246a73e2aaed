#ifndef PARTIALPOOL_GLMM_COVARIANCE_H
#define PARTIALPOOL_GLMM_COVARIANCE_H

#include <Eigen/Dense>
#include <cmath>
#include <limits>
#include <vector>

#include "glmm_model.h"
#include "moving_directions.h"
#include "natural.h"

namespace partialpool {

// Covariance of all parameters of a GLMM from the Hessian of its criterion: 2 H^-1, carried to
// (beta, dispersion, zero inflation, shape, Sigma of each user term: lower triangle by column, or p
// variances of a diagonal one), all in the user's coordinates. Where beta is no parameter of the
// criterion its block is the conditional one (for REML with what the others' uncertainty adds).
class GlmmCovariance {
 public:
  GlmmCovariance(GlmmModel& model, const MarginalOptimum& optimum)
      : model_(model),
        x_(optimum.optimum.x),
        hessian_(optimum.hessian),
        beta_by_x_(optimum.beta_by_x) {}

  Eigen::MatrixXd natural() {
    Marginal& m = model_.marginal();
    const int p = model_.standard().columns(), k = m.n_theta(), n_beta = m.n_beta();
    const int rest = m.size() - k - n_beta;
    const ModelData& data = model_.data();
    const ThetaMap map = model_.map();
    const std::vector<int> first = natural_starts(data.terms, p + rest);
    const int total = first.back();

    Eigen::MatrixXd jacobian = Eigen::MatrixXd::Zero(total, m.size());
    for (const Term& term : model_.terms()) {
      std::size_t member = 0;
      for_each_block(data, term, [&](const CovarianceBlock& b, int at, int) {
        const int user = term.members[member++];
        const std::vector<Eigen::MatrixXd> by_x = sigma_derivatives(b, x_.data() + at);
        for (int i = 0; i < b.n_parameters(); ++i)
          put_natural(jacobian, first[user], at + i, b, map.sigma_to_user(user, by_x[i]));
      });
    }
    if (n_beta > 0) jacobian.block(0, k, p, p) = model_.standard().beta_map();
    extra(model_.parts().dispersion, m.dispersion_at(), p, jacobian);
    extra(model_.parts().zero_inflation, m.zero_inflation_at(),
          p + model_.parts().dispersion.size(), jacobian);
    if (model_.parts().estimate_shape) jacobian(p + rest - 1, m.shape_at()) = 1.0;

    const Eigen::MatrixXd basis = moving_directions(data, model_.terms(), x_);
    const Eigen::MatrixXd on_basis = jacobian * basis;
    Eigen::MatrixXd out = Eigen::MatrixXd::Zero(total, total), spread, unknown;
    if (hessian_.size() > 0) {
      spread = 2.0 * curved_inverse(basis.transpose() * hessian_ * basis, &unknown);
      out = on_basis * spread * on_basis.transpose();
      forget(on_basis, unknown, out);
    } else if (m.size() > 0) {  // the search ended early
      out.setConstant(std::numeric_limits<double>::quiet_NaN());
    }
    if (n_beta > 0 || p == 0) return out;
    out.topRows(p).setZero();
    out.leftCols(p).setZero();
    out.topLeftCorner(p, p) = conditional_beta();
    // Integrated out, beta moves with the other parameters.
    if (m.reml() && hessian_.size() > 0) {
      const Eigen::MatrixXd follows = model_.standard().beta_map() * beta_by_x_ * basis;
      out.topLeftCorner(p, p) += follows * spread * follows.transpose();
    }
    return out;
  }

 private:
  // (X'V^-1 X)^-1 at the mode.
  Eigen::MatrixXd conditional_beta() {
    model_.marginal().widen_border();
    const int p = model_.standard().columns();
    const Eigen::MatrixXd root =
        model_.factor().border_factor().topLeftCorner(p, p).triangularView<Eigen::Lower>().solve(
            Eigen::MatrixXd(model_.standard().beta_map().transpose()));
    return root.transpose() * root;
  }
  static void extra(const ExtraPredictor& e, int at, int row, Eigen::MatrixXd& jacobian) {
    if (e.size() > 0) jacobian.block(row, at, e.size(), e.size()) = e.to_user();
  }
  // No variance is known of a parameter that moves in a direction without curvature.
  static void forget(const Eigen::MatrixXd& jacobian, const Eigen::MatrixXd& unknown,
                     Eigen::MatrixXd& covariance) {
    for (Eigen::Index k = 0; k < unknown.cols(); ++k) {
      const Eigen::VectorXd moved = jacobian * unknown.col(k);
      const Eigen::VectorXd size =
          (jacobian.cwiseAbs() * unknown.col(k).cwiseAbs().maxCoeff()).rowwise().sum();
      for (Eigen::Index i = 0; i < moved.size(); ++i) {
        if (!(std::fabs(moved[i]) > 1e-3 * size[i]) || size[i] == 0.0) continue;
        covariance.row(i).setConstant(std::numeric_limits<double>::quiet_NaN());
        covariance.col(i).setConstant(std::numeric_limits<double>::quiet_NaN());
      }
    }
  }

  GlmmModel& model_;
  const Eigen::VectorXd& x_;
  const Eigen::MatrixXd &hessian_, &beta_by_x_;
};

}  // namespace partialpool

#endif
