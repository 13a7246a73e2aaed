#ifndef PARTIALPOOL_QUADRATURE_H
#define PARTIALPOOL_QUADRATURE_H

#include <Eigen/Dense>
#include <Eigen/Eigenvalues>
#include <algorithm>
#include <cmath>
#include <limits>
#include <vector>

#include "block_cholesky.h"
#include "family.h"
#include "mixed_rows.h"
#include "pirls.h"
#include "small_matrix.h"

namespace partialpool {

// Nodes (p x K^p) of the product rule for the standard normal distribution, with log weights
// (Golub & Welsch 1969).
struct HermiteGrid {
  Eigen::MatrixXd nodes;
  Eigen::VectorXd log_weights;

  HermiteGrid(int k, int p) {
    Eigen::VectorXd diagonal = Eigen::VectorXd::Zero(k), off(std::max(k - 1, 0));
    for (int i = 0; i + 1 < k; ++i) off[i] = std::sqrt(i + 1.0);
    Eigen::SelfAdjointEigenSolver<Eigen::MatrixXd> eigen;
    eigen.computeFromTridiagonal(diagonal, off);
    Eigen::VectorXd x = eigen.eigenvalues();
    x = (0.5 * (x - x.reverse())).eval();  // symmetric to the last digit
    // w_i = 1 / sum_j H_j(x_i)^2 of the orthonormal polynomials, scaled so that it cannot overflow.
    Eigen::VectorXd log_w(k);
    for (int i = 0; i < k; ++i) {
      double before = 0.0, here = 1.0, sum = 1.0, log_scale = 0.0;
      for (int j = 0; j + 1 < k; ++j) {
        const double next =
            (x[i] * here - std::sqrt(static_cast<double>(j)) * before) / std::sqrt(j + 1.0);
        before = here;
        here = next;
        sum += here * here;
        if (sum > 1e200) {
          before *= 1e-100;
          here *= 1e-100;
          sum *= 1e-200;
          log_scale += 200.0 * std::log(10.0);
        }
      }
      log_w[i] = -std::log(sum) - log_scale;
    }
    Eigen::Index count = 1;
    for (int d = 0; d < p; ++d) count *= k;
    nodes.resize(p, count);
    log_weights.setZero(count);
    for (Eigen::Index c = 0; c < count; ++c) {
      Eigen::Index rest = c;
      for (int d = 0; d < p; ++d) {
        nodes(d, c) = x[rest % k];
        log_weights[c] += log_w[rest % k];
        rest /= k;
      }
    }
  }
};

// What an approximation of the integral hands to the gradient (ALGORITHMS 8.4), for log p.
struct IntegralParts {
  Eigen::VectorXd h;                                  // derivative by W of each row
  MixedRows::Blocks u;                                // by the modes, besides that through W
  Eigen::VectorXd s;                                  // mean score of each row
  std::vector<Eigen::MatrixXd> lambda;                // direct derivative by Lambda
  Eigen::VectorXd dispersion, zero_inflation, shape;  // mean of dl/dk of each row
};

// Adaptive Gauss-Hermite quadrature over the levels of one grouping factor, at the modes that PIRLS
// left (Liu & Pierce 1994; Pinheiro & Bates 1995).
class Quadrature {
 public:
  Quadrature(const MixedRows& rows, const Family& family, BlockCholesky& factor, int k)
      : rows_(rows),
        family_(family),
        factor_(factor),
        p_(factor.cross_products().terms()[0].p),
        levels_(factor.cross_products().terms()[0].levels),
        grid_(k, p_) {}

  // Sum of the log marginal densities of the levels.
  double value(const Mode& mode) {
    place(mode);
    const Eigen::Index count = grid_.nodes.cols();
    summand_.resize(count, levels_);
    Eigen::VectorXd eta(rows_.n()), l(rows_.n());
    for (Eigen::Index k = 0; k < count; ++k) {
      move(mode, k, eta);
      family_.value(eta.data(), l.data());
      const double constant = grid_.log_weights[k] + 0.5 * grid_.nodes.col(k).squaredNorm();
      for (int j = 0; j < levels_; ++j) {
        double sum = constant - 0.5 * spherical(mode, j, k).squaredNorm();
        for (Eigen::Index i = rows_.lead_start()[j]; i < rows_.lead_start()[j + 1]; ++i)
          sum += l[i];
        summand_(k, j) = std::isnan(sum) ? -std::numeric_limits<double>::infinity() : sum;
      }
    }
    double total = 0.0;
    for (int j = 0; j < levels_; ++j) {
      const double largest = summand_.col(j).maxCoeff();
      if (!std::isfinite(largest)) return -std::numeric_limits<double>::infinity();
      summand_.col(j) = (summand_.col(j).array() - largest).exp();
      const double sum = summand_.col(j).sum();
      summand_.col(j) /= sum;  // from here on the posterior weights of the nodes
      total += largest + std::log(sum);
      for (int c = 0; c < p_; ++c) total -= std::log(factor_.lead_factor(j)(c, c));
    }
    return total;
  }

  // After value(), at the same modes.
  void parts(const Mode& mode, IntegralParts& out) {
    const Eigen::MatrixXd& lambda = factor_.lambda()[0];
    const Eigen::Index n = rows_.n();
    const bool extras =
        family_.has_dispersion() || family_.has_zero_inflation() || family_.has_shape();
    Eigen::VectorXd eta(n), weight(n);
    out.s.setZero(n);
    out.h.resize(n);
    out.u.assign(1, Eigen::MatrixXd::Zero(p_, levels_));
    out.lambda.assign(1, Eigen::MatrixXd::Zero(p_, p_));
    out.dispersion.setZero(family_.has_dispersion() ? n : 0);
    out.zero_inflation.setZero(family_.has_zero_inflation() ? n : 0);
    out.shape.setZero(family_.has_shape() ? n : 0);
    Eigen::MatrixXd t_bar = Eigen::MatrixXd::Zero(p_ * p_, levels_);  // sum of pi r x'
    RowDerivatives d;
    for (Eigen::Index k = 0; k < grid_.nodes.cols(); ++k) {
      move(mode, k, eta);
      // A node without weight may lie where there is no density: its rows stay at the mode.
      for (int j = 0; j < levels_; ++j)
        if (!(summand_(k, j) > negligible))
          for (Eigen::Index i = rows_.lead_start()[j]; i < rows_.lead_start()[j + 1]; ++i)
            eta[i] = mode.eta[i];
      if (extras) {
        family_.derivatives(eta.data(), d);
      } else {
        d.s.resize(n);
        d.w.resize(n);
        family_.score(eta.data(), d.s.data(), d.w.data());
      }
      const auto x = grid_.nodes.col(k);
      for (int j = 0; j < levels_; ++j) {
        const double pi = summand_(k, j);
        if (!(pi > negligible)) continue;
        Eigen::VectorXd zs = Eigen::VectorXd::Zero(p_);
        for (Eigen::Index i = rows_.lead_start()[j]; i < rows_.lead_start()[j + 1]; ++i) {
          out.s[i] += pi * d.s[i];
          for (int c = 0; c < p_; ++c) zs[c] += rows_.z(0, i)[c] * d.s[i];
          if (out.dispersion.size()) out.dispersion[i] += pi * d.dispersion.l[i];
          if (out.zero_inflation.size()) out.zero_inflation[i] += pi * d.zero_inflation.l[i];
          if (out.shape.size()) out.shape[i] += pi * d.shape.l[i];
        }
        const Eigen::VectorXd u = spherical(mode, j, k);
        const Eigen::VectorXd r = lambda.transpose() * zs - u;
        out.u[0].col(j) += pi * r;
        out.lambda[0] += pi * zs * u.transpose();
        Eigen::Map<Eigen::MatrixXd>(t_bar.col(j).data(), p_, p_) += pi * r * x.transpose();
      }
    }
    const CrossProducts& a = factor_.cross_products();
    Eigen::VectorXd product;
    for (int j = 0; j < levels_; ++j) {
      const Eigen::MatrixXd m_bar =
          by_m(factor_.lead_factor(j), Eigen::Map<Eigen::MatrixXd>(t_bar.col(j).data(), p_, p_));
      out.lambda[0] += 2.0 * a.diagonal(0, j) * (lambda * m_bar);
      const Eigen::MatrixXd middle = lambda * m_bar * lambda.transpose();
      for (Eigen::Index i = rows_.lead_start()[j]; i < rows_.lead_start()[j + 1]; ++i) {
        const Eigen::Map<const Eigen::VectorXd> z(rows_.z(0, i), p_);
        product.noalias() = middle * z;
        out.h[i] = z.dot(product);
      }
    }
  }

 private:
  static constexpr double negligible = 1e-300;

  // L_j^-T x_k of every level and node, and where it moves the linear predictor.
  void place(const Mode& mode) {
    (void)mode;
    const Eigen::Index count = grid_.nodes.cols();
    shift_.resize(p_ * levels_, count);
    moved_.resize(p_ * levels_, count);
    const Eigen::MatrixXd& lambda = factor_.lambda()[0];
    Eigen::MatrixXd nodes(p_, count);
    for (int j = 0; j < levels_; ++j) {
      nodes = grid_.nodes;
      solve_small_transposed(factor_.lead_factor(j).data(), p_, nodes.data(), count);
      shift_.middleRows(j * p_, p_) = nodes;
      moved_.middleRows(j * p_, p_) = lambda * nodes;
    }
  }
  void move(const Mode& mode, Eigen::Index k, Eigen::VectorXd& eta) const {
    eta = mode.eta;
    const Eigen::Map<const Eigen::MatrixXd> b(moved_.col(k).data(), p_, levels_);
    rows_.add_z({b}, eta);
  }
  Eigen::VectorXd spherical(const Mode& mode, int j, Eigen::Index k) const {
    return mode.u[0].col(j) + shift_.col(k).segment(j * p_, p_);
  }

  // Derivative by M = L L' of what depends on L through the nodes and through -log|L|.
  static Eigen::MatrixXd by_m(const Eigen::MatrixXd& l, const Eigen::MatrixXd& t_bar) {
    const auto lower = l.triangularView<Eigen::Lower>();
    // -L^-T T' L^-T
    const Eigen::MatrixXd inverse_t =
        lower.transpose().solve(Eigen::MatrixXd::Identity(l.rows(), l.rows()));
    Eigen::MatrixXd by_l = -(inverse_t * t_bar.transpose() * inverse_t);
    by_l.triangularView<Eigen::StrictlyUpper>().setZero();
    by_l.diagonal() -= l.diagonal().cwiseInverse();
    Eigen::MatrixXd phi = l.transpose() * by_l;
    phi.triangularView<Eigen::StrictlyUpper>().setZero();
    phi.diagonal() *= 0.5;
    const Eigen::MatrixXd m = inverse_t * phi * inverse_t.transpose();
    return 0.5 * (m + m.transpose());
  }

  const MixedRows& rows_;
  const Family& family_;
  BlockCholesky& factor_;
  int p_, levels_;
  HermiteGrid grid_;
  Eigen::MatrixXd summand_, shift_, moved_;
};

}  // namespace partialpool

#endif
