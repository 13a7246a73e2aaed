#ifndef PARTIALPOOL_WALD_H
#define PARTIALPOOL_WALD_H

#include <Eigen/Dense>
#include <vector>

#include "covariance_traces.h"
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

  // What Satterthwaite's method needs. A contrast l has the variance sigma^2 |c|^2, c = l root, and
  // its derivative by coordinate i is sigma^2 c'change_i c; by the logarithm of sigma twice the
  // variance. `covariance` is that of the coordinates and the logarithm of sigma.
  struct Derivatives {
    Eigen::MatrixXd root;                  // in the user's coefficients, p_x x p_x
    std::vector<Eigen::MatrixXd> changes;  // of each coordinate
    Eigen::MatrixXd covariance;
  };
  Derivatives derivatives() const {
    Derivatives out;
    out.root = root_;
    out.covariance = covariance_;
    for (const int i : coordinates_) {
      Eigen::MatrixXd change = Eigen::MatrixXd::Zero(root_.cols(), root_.cols());
      for (Eigen::Index e = 0; e < jacobian_.rows(); ++e)
        if (jacobian_(e, i) != 0.0) change += jacobian_(e, i) * changes_[e];
      out.changes.push_back(std::move(change));
    }
    return out;
  }

  // Satterthwaite's denominator degrees of freedom of each row l (in the user's coefficients).
  Eigen::VectorXd satterthwaite(const Eigen::MatrixXd& contrasts) const {
    const Derivatives d = derivatives();
    const Eigen::MatrixXd c = contrasts * d.root;
    const Eigen::Index k = d.covariance.rows();
    Eigen::VectorXd df(c.rows()), g(k);
    for (Eigen::Index h = 0; h < c.rows(); ++h) {
      const double v = c.row(h).squaredNorm();
      for (Eigen::Index i = 0; i + 1 < k; ++i)
        g[i] = c.row(h) * d.changes[i] * c.row(h).transpose();
      g[k - 1] = 2.0 * v;
      df[h] = 2.0 * v * v / g.dot(d.covariance * g);
    }
    return df;
  }
  // Were the second derivatives found as such, or by differences of the gradient?
  bool exact() const { return exact_; }

  // Covariance of the natural-scale parameters: by user term the lower triangle of sigma^2 Sigma by
  // column (p variances for a diagonal term), then sigma^2, all in the user's units.
  Eigen::MatrixXd natural_covariance() {
    Profiled& f = model_.profiled();
    f.value(x_);
    const double sigma2 = f.sigma2(),
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
                    2.0 * sigma2 * scale2 * map.sigma_to_user(user, l * l.transpose()));
        for (int i = 0; i < k; ++i) {
          const int local = coordinates_[i] - at;
          if (local < 0 || local >= b.n_parameters()) continue;
          put_natural(jacobian, first[user], i, b,
                      sigma2 * scale2 * map.sigma_to_user(user, by_x[local]));
        }
      });
    }
    jacobian(total - 1, k) = 2.0 * sigma2 * scale2;
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

  // Every direction in which Sigma can change, and the map from the optimiser's parameters.
  std::vector<CovarianceDirection> directions() {
    std::vector<CovarianceDirection> out;
    std::vector<Eigen::MatrixXd> blocks;
    for (std::size_t t = 0; t < model_.terms().size(); ++t) {
      const Term& term = model_.terms()[t];
      for_each_block(model_.data(), term, [&](const CovarianceBlock& b, int at, int start) {
        const std::vector<Eigen::MatrixXd> own = b.directions(x_.data() + at);
        for (const Eigen::MatrixXd& direction : own) {
          Eigen::MatrixXd s = Eigen::MatrixXd::Zero(term.p, term.p);
          s.block(start, start, b.size(), b.size()) = direction;
          out.push_back({static_cast<int>(t), std::move(s)});
        }
        const Eigen::Index rows = jacobian_.rows(), more = static_cast<Eigen::Index>(own.size());
        jacobian_.conservativeResize(rows + more, x_.size());
        jacobian_.bottomRows(more).setZero();
        jacobian_.block(rows, at, more, b.n_parameters()) = b.direction_jacobian(x_.data() + at);
      });
    }
    return out;
  }

  void curvature() {
    Profiled& f = model_.profiled();
    const int k = static_cast<int>(coordinates_.size());
    f.value(x_);
    const double sigma2 = f.sigma2(), nu = f.nu();
    const BetaDerivatives beta(f, directions());
    const int px = beta.columns();
    root_ = model_.standard().beta_map() * f.factor()
                                               .border_factor()
                                               .topLeftCorner(px, px)
                                               .triangularView<Eigen::Lower>()
                                               .transpose()
                                               .solve(Eigen::MatrixXd::Identity(px, px));
    Eigen::VectorXd d(beta.size());
    for (int i = 0; i < beta.size(); ++i) {
      changes_.push_back(beta.change(i));
      d[i] = beta.response(i);
    }
    // Coordinates and the logarithm of sigma: H_ts = 2 d / sigma^2, H_ss = 4 nu.
    Eigen::MatrixXd h = Eigen::MatrixXd::Zero(k + 1, k + 1);
    const Eigen::VectorXd cross = 2.0 / sigma2 * chosen_columns(jacobian_).transpose() * d;
    LevelComponents components(f.cross_products());
    exact_ = components.most_columns() <= 600;
    if (exact_) {
      h.topLeftCorner(k, k) = second_derivatives(f, components, beta);
    } else {
      for (int i = 0; i < k; ++i)
        h.col(i).head(k) = difference(i, 1e-4 * std::max(1.0, std::fabs(x_[coordinates_[i]])));
      h.topLeftCorner(k, k) =
          (0.5 * (h.topLeftCorner(k, k) + h.topLeftCorner(k, k).transpose())).eval();
      // From the profiled to the joint criterion.
      h.topLeftCorner(k, k) += cross * cross.transpose() / (4.0 * nu);
      f.value(x_);
    }
    h.col(k).head(k) = cross;
    h.row(k).head(k) = cross.transpose();
    h(k, k) = 4.0 * nu;
    covariance_ = 2.0 * curved_inverse(h);
  }

  // Exact, at fixed sigma: -tr(PV_kPV_l) + 2 y'PV_kPV_lPy / sigma^2 by the directions (V for P in
  // the trace by ML), and the chain rule.
  Eigen::MatrixXd second_derivatives(Profiled& f, LevelComponents& components,
                                     const BetaDerivatives& beta) {
    const CovarianceTraces traces(f, components, beta, false);
    const int n = beta.size();
    Eigen::MatrixXd by_sigma(n, n);
    for (int l = 0; l < n; ++l)
      for (int i = 0; i <= l; ++i) {
        double trace = traces.v(i, l);
        if (f.reml()) {
          trace -= 2.0 * traces.q(i, l);
          trace += changes_[i].cwiseProduct(changes_[l]).sum();
        }
        const double squares = traces.y(i, l) - beta.with_response(i).dot(beta.with_response(l));
        by_sigma(i, l) = by_sigma(l, i) = 2.0 * squares / f.sigma2() - trace;
      }
    Eigen::MatrixXd by_x = jacobian_.transpose() * by_sigma * jacobian_;
    add_chain_terms(f.cross_products(), f.factor().lambda(), model_.data(), x_.data(),
                    f.lambda_gradient(), by_x);
    const Eigen::MatrixXd rows = chosen_columns(by_x);
    return chosen_columns(rows.transpose());
  }
  Eigen::MatrixXd chosen_columns(const Eigen::MatrixXd& m) const {
    Eigen::MatrixXd out(m.rows(), static_cast<Eigen::Index>(coordinates_.size()));
    for (std::size_t i = 0; i < coordinates_.size(); ++i) out.col(i) = m.col(coordinates_[i]);
    return out;
  }

  // Central differences of the exact gradient: error about 1e-8. Where many hundreds of levels of
  // the smaller factors are crossed, second derivatives cost more than these few gradients.
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
  Eigen::MatrixXd jacobian_, root_, covariance_;
  std::vector<Eigen::MatrixXd> changes_;
  bool exact_ = false;
};

}  // namespace partialpool

#endif
