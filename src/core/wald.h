#ifndef PARTIALPOOL_WALD_H
#define PARTIALPOOL_WALD_H

#include <Eigen/Dense>
#include <vector>

#include "gaussian_model.h"
#include "natural.h"

namespace partialpool {

// Joint curvature of the criterion over (variance parameters, sigma) at the optimum, and the
// derivatives that Satterthwaite's method and Wald intervals need (ALGORITHMS 11). Coordinates:
// for each unstructured term the lower triangle of Lambda (all of it where Lambda is singular),
// else the optimiser's parameters; all standardised.
class WaldInformation {
 public:
  WaldInformation(GaussianModel& model, const Eigen::VectorXd& x) : model_(model), x_(x) {
    rotate();
    choose_coordinates();
    curvature();
  }

  // Satterthwaite's denominator degrees of freedom of each row l (in the user's coefficients).
  Eigen::VectorXd satterthwaite(const Eigen::MatrixXd& contrasts) {
    Profiled& f = model_.profiled();
    f.value(x_);
    const CrossProducts& a = f.cross_products();
    BlockCholesky& factor = f.factor();
    const int px = a.p_x();
    const double sigma2 = f.sigma2(), sigma = std::sqrt(sigma2);
    const auto lx = factor.border_factor().topLeftCorner(px, px).triangularView<Eigen::Lower>();
    // c = (X'V^-1X)^-1 l in standardised coefficients, one column a contrast.
    Eigen::MatrixXd l = model_.standard().beta_map().transpose() * contrasts.transpose();
    Eigen::MatrixXd c = lx.solve(l);
    const Eigen::VectorXd v = sigma2 * c.colwise().squaredNorm().transpose();
    lx.transpose().solveInPlace(c);
    Eigen::VectorXd df(contrasts.rows());
    for (Eigen::Index h = 0; h < contrasts.rows(); ++h) {
      Eigen::VectorXd g(coordinates_.size() + 1);
      // dv/dSigma_t = sigma^2 sum_levels k k' (k = Z'V^-1 X c)
      Eigen::VectorXd by_x = Eigen::VectorXd::Zero(x_.size());
      const std::vector<Eigen::MatrixXd> k = apply_zv(factor, c.col(h));
      for (int t = 0; t < a.n_terms(); ++t) {
        const Eigen::MatrixXd d = sigma2 * k[t] * k[t].transpose();
        const Eigen::MatrixXd by_lambda = 2.0 * d * factor.lambda()[t];
        put_gradient(model_.data(), a.terms()[t], x_, by_lambda, by_x);
      }
      for (std::size_t i = 0; i < coordinates_.size(); ++i) g[i] = by_x[coordinates_[i]];
      g[coordinates_.size()] = 2.0 * v[h] / sigma;
      const double spread = g.dot(covariance_ * g);
      df[h] = 2.0 * v[h] * v[h] / spread;
    }
    return df;
  }

  // Covariance of the natural-scale parameters: by user term the lower triangle of sigma^2 Sigma by
  // column (p variances for a diagonal term), then sigma^2, all in the user's units.
  Eigen::MatrixXd natural_covariance() {
    Profiled& f = model_.profiled();
    f.value(x_);
    const double sigma2 = f.sigma2(), sigma = std::sqrt(sigma2),
                 scale2 = model_.standard().scale() * model_.standard().scale();
    const ModelData& data = model_.data();
    const ThetaMap map = model_.map();
    const std::vector<int> first = natural_starts(data.terms, 0);
    const int total = first.back() + 1, k = static_cast<int>(coordinates_.size());
    Eigen::MatrixXd jacobian = Eigen::MatrixXd::Zero(total, k + 1);
    for (const Term& term : model_.terms()) {
      std::size_t member = 0;
      for_each_block(data, term, [&](const CovarianceBlock& b, int at, int) {
        const int user = term.members[member++];
        const Eigen::MatrixXd l = b.lambda(x_.data() + at);
        const std::vector<Eigen::MatrixXd> by_x = sigma_derivatives(b, x_.data() + at);
        put_natural(jacobian, first[user], k, b,
                    2.0 * sigma * scale2 * map.sigma_to_user(user, l * l.transpose()));
        for (int i = 0; i < k; ++i) {
          const int local = coordinates_[i] - at;
          if (local < 0 || local >= b.n_parameters()) continue;
          put_natural(jacobian, first[user], i, b,
                      sigma2 * scale2 * map.sigma_to_user(user, by_x[local]));
        }
      });
    }
    jacobian(total - 1, k) = 2.0 * sigma * scale2;
    return jacobian * covariance_ * jacobian.transpose();
  }

 private:
  // Unstructured Lambda turned so that its upper triangle is zero: fewer coordinates.
  void rotate() {
    for (const Term& term : model_.terms())
      for_each_block(model_.data(), term, [&](const CovarianceBlock& b, int at, int) {
        if (b.structure() != Structure::unstructured || b.size() == 1) return;
        Eigen::Map<Eigen::MatrixXd> l(x_.data() + at, b.size(), b.size());
        const Eigen::HouseholderQR<Eigen::MatrixXd> qr(Eigen::MatrixXd(l.transpose()));
        const Eigen::MatrixXd r = qr.matrixQR().triangularView<Eigen::Upper>();
        l = r.transpose();
      });
  }
  void choose_coordinates() {
    for (const Term& term : model_.terms())
      for_each_block(model_.data(), term, [&](const CovarianceBlock& b, int at, int) {
        const int p = b.size();
        const bool triangular = b.structure() == Structure::unstructured && p > 1 && regular(b, at);
        for (int i = 0; i < b.n_parameters(); ++i)
          if (!triangular || i % p >= i / p) coordinates_.push_back(at + i);
      });
  }
  bool regular(const CovarianceBlock& b, int at) const {
    const Eigen::VectorXd w =
        Eigen::JacobiSVD<Eigen::MatrixXd>(b.lambda(x_.data() + at)).singularValues();
    return w[w.size() - 1] > 1e-5;
  }

  void curvature() {
    Profiled& f = model_.profiled();
    const int k = static_cast<int>(coordinates_.size());
    Eigen::MatrixXd h = Eigen::MatrixXd::Zero(k + 1, k + 1);
    // Central differences of the exact gradient: error about 1e-8.
    for (int i = 0; i < k; ++i)
      h.col(i).head(k) = difference(i, 1e-4 * std::max(1.0, std::fabs(x_[coordinates_[i]])));
    h.topLeftCorner(k, k) =
        (0.5 * (h.topLeftCorner(k, k) + h.topLeftCorner(k, k).transpose())).eval();
    // From the profiled to the joint criterion: H_ts = 2 d / sigma^3, H_ss = 4 nu / sigma^2.
    f.value(x_);
    const Solution& s = f.solution();
    const double sigma2 = f.sigma2(), sigma = std::sqrt(sigma2);
    Eigen::VectorXd d = Eigen::VectorXd::Zero(x_.size());
    for (int t = 0; t < f.cross_products().n_terms(); ++t)
      for_each_block(model_.data(), f.cross_products().terms()[t],
                     [&](const CovarianceBlock& b, int at, int start) {
                       const Eigen::MatrixXd w = s.w[t].middleRows(start, b.size());
                       const Eigen::MatrixXd by_lambda =
                           2.0 * (w * w.transpose()) * b.lambda(x_.data() + at);
                       b.gradient(x_.data() + at, by_lambda, d.data() + at);
                     });
    for (int i = 0; i < k; ++i) h(i, k) = h(k, i) = 2.0 * d[coordinates_[i]] / (sigma * sigma2);
    h(k, k) = 4.0 * f.nu() / sigma2;
    for (int i = 0; i < k; ++i)
      for (int j = 0; j < k; ++j) h(i, j) += h(i, k) * h(j, k) / h(k, k);
    covariance_ = 2.0 * curved_inverse(h);
  }
  Eigen::VectorXd difference(int i, double step) {
    Eigen::VectorXd up = x_, down = x_;
    up[coordinates_[i]] += step;
    down[coordinates_[i]] -= step;
    return (gradient_at(up) - gradient_at(down)) / (2.0 * step);
  }
  Eigen::VectorXd gradient_at(const Eigen::VectorXd& x) {
    Profiled& f = model_.profiled();
    f.value(x);
    const Eigen::VectorXd g = f.gradient(f.lambda_gradient());
    Eigen::VectorXd out(coordinates_.size());
    for (std::size_t i = 0; i < coordinates_.size(); ++i) out[i] = g[coordinates_[i]];
    return out;
  }

  GaussianModel& model_;
  Eigen::VectorXd x_;
  std::vector<int> coordinates_;
  Eigen::MatrixXd covariance_;
};

}  // namespace partialpool

#endif
