#ifndef PARTIALPOOL_SPECTRAL_H
#define PARTIALPOOL_SPECTRAL_H

#include <Eigen/Dense>
#include <algorithm>
#include <cmath>
#include <limits>
#include <string>
#include <vector>

#include "streaming_qr.h"

namespace partialpool {

// y ~ N(X beta, s V),  V = (1 - delta) K + delta I,  K = Q S Q' with orthonormal Q (n x r).
//
// Everything is computed in coordinates in which it is well conditioned: the columns of X
// orthonormal up to sqrt(n), y its residual with mean square 1, K with a mean diagonal of 1 (so
// that delta~ / (1 - delta~) = delta / (1 - delta) / c), and a basis of [X y] in which the part
// outside the span of Q has a diagonal cross-product. Its entries enter as c / delta~: columns that
// have one are multiplied by sqrt(delta~), and nothing is lost as delta~ goes to zero, which is a
// point like any other when the complement of y is fitted exactly.
class SpectralModel {
 public:
  using ConstMatrix = Eigen::Ref<const Eigen::MatrixXd>;

  // X of full column rank; values positive. Copies what it needs.
  SpectralModel(const ConstMatrix& vectors, const Eigen::VectorXd& values, const ConstMatrix& x,
                const Eigen::VectorXd& y, bool reml)
      : n_(x.rows()), r_(values.size()), p_(x.cols()), reml_(reml) {
    nu_ = static_cast<double>(n_ - (reml ? p_ : 0));
    mean_diagonal_ = r_ > 0 ? values.sum() / static_cast<double>(n_) : 1.0;
    s_ = values / mean_diagonal_;
    rotate(vectors, standardise(x, y));
  }

  // The residual of y on X, relative to y: an exact fit has no likelihood.
  double relative_residual() const { return relative_residual_; }
  bool full_rank() const { return full_rank_; }
  double nu() const { return nu_; }

  // What is held, in the user's units. A scale below zero is free.
  struct Held {
    bool beta = false;
    Eigen::VectorXd beta_value;
    double scale = -1.0;
  };

  // The criterion (-2 log-likelihood, all constants) at one delta, with beta and the scale at their
  // best unless held, and its derivatives by logit delta.
  struct Point {
    double logit = 0.0;  // of the internal delta; infinite at the ends
    double value = std::numeric_limits<double>::infinity(), slope = 0.0, curvature = 0.0;
    double log_scale = 0.0;        // internal
    Eigen::VectorXd coefficients;  // internal
  };

  Point profile(double logit, const Held& held) const {
    const Weighted a = weigh(logit);
    Point out;
    out.logit = logit;
    if (a.outside) return out;
    Eigen::VectorXd v;
    if (held.beta) {
      out.coefficients = to_internal(held.beta_value);
      if (!scaled_residual_map(a, out.coefficients, v)) return out;
    } else {
      v = best_residual_map(a);
      out.coefficients = -a.t.cwiseProduct(v.head(p_)) / a.ty;
    }
    const Quadratic q = quadratic(a, v);
    const Slope m = scale_slope(logit);
    const bool free_scale = !(held.scale >= 0.0);
    if (free_scale && !(q.value > 0.0)) return out;
    out.log_scale = free_scale ? std::log(q.value / nu_) : internal_log_scale(held.scale, m);
    const double per = std::exp(-out.log_scale);
    out.value = nu_ * (log_2pi + out.log_scale) + a.log_det + q.value * per + shift_;
    const double by_scale = nu_ - q.value * per;  // zero where the scale is free
    out.slope = a.log_det_u + q.first * per + by_scale * m.first;
    out.curvature = a.log_det_uu + q.second * per;
    if (!held.beta && p_ > 0)
      out.curvature -= 2.0 * per * q.gradient.dot(a.chol.solve(q.gradient)) / (a.ty * a.ty);
    if (free_scale)
      out.curvature -= q.first * q.first * per / q.value;
    else
      out.curvature +=
          -2.0 * q.first * per * m.first + q.value * per * m.first * m.first + by_scale * m.second;
    return out;
  }

  // What the criterion does as delta goes to zero: finite, +infinity or -infinity.
  enum class Zero { finite, infeasible, unbounded };
  Zero at_zero(const Held& held) const {
    if (r_ == 0) return Zero::infeasible;
    bool fitted = rho_ == 0.0;
    if (held.beta) {
      const Eigen::VectorXd b = to_internal(held.beta_value);
      for (Eigen::Index j = 0; j < p_; ++j)
        if (c_[j] > 0.0 && std::fabs(b[j]) > rank_tolerance) fitted = false;
    }
    if (!fitted) return Zero::infeasible;
    return power_ == 0 ? Zero::finite : Zero::unbounded;
  }

  struct Optimum {
    Point point;
    std::string status = "converged";  // "flat", "unbounded", "not finite"
    bool unbounded = false;            // the criterion falls without limit as delta goes to zero
    int evaluations = 0, minima = 0;
  };

  // The lowest of all minima over the whole interval, ends included.
  Optimum optimise(const Held& held) const {
    Optimum out;
    if (r_ == 0) {  // delta = 1 is all there is
      out.point = profile(infinity, held);
      out.evaluations = 1;
      if (!std::isfinite(out.point.value)) out.status = "not finite";
      return out;
    }
    const double step = 0.5;
    const double low = std::min(-14.0, std::floor(std::log(s_.minCoeff())) - 7.0);
    const double high = std::max(14.0, std::ceil(std::log(s_.maxCoeff())) + 9.0);
    const auto at = [&](double u) {
      ++out.evaluations;
      return profile(u, held);
    };
    const auto keep = [&](const Point& candidate) {
      if (candidate.value < out.point.value) out.point = candidate;
    };
    double steepest = 0.0;
    Point left = at(low);
    const bool falls_to_zero = left.slope > 0.0;
    for (double u = low + step; u <= high + 0.25 * step; u += step) {
      const Point right = at(u);
      steepest = std::max(steepest, std::fabs(right.slope));
      if (left.slope < 0.0 && right.slope >= 0.0) {
        ++out.minima;
        keep(refine(left, right, at));
      } else if (left.slope * right.slope > 0.0 && left.slope * left.curvature < 0.0 &&
                 right.slope * right.curvature > 0.0) {
        hidden_minimum(left, right, at, keep, out.minima);
      }
      left = right;
    }
    const bool falls_to_one = left.slope < 0.0;
    if (steepest < 1e-9 * static_cast<double>(n_)) {
      out.point = at(0.0);
      out.status = "flat";
      return out;
    }
    const Zero zero = at_zero(held);
    out.unbounded = zero == Zero::unbounded;
    if (zero == Zero::finite && falls_to_zero) keep(at(-infinity));
    if (falls_to_one) keep(at(infinity));
    if (!std::isfinite(out.point.value)) out.status = out.unbounded ? "unbounded" : "not finite";
    return out;
  }

  // ---- The user's units

  double delta(const Point& point) const { return logistic(point.logit + log_diagonal()); }
  double scale(const Point& point) const {
    return std::exp(point.log_scale - scale_slope(point.logit).value) * spread_ * spread_;
  }
  // Of K and of the rest: exact where delta is near one.
  double kernel_variance(const Point& point) const {
    return std::exp(point.log_scale) * spread_ * spread_ * logistic(-point.logit) / mean_diagonal_;
  }
  double iid_variance(const Point& point) const {
    return std::exp(point.log_scale) * spread_ * spread_ * logistic(point.logit);
  }
  Eigen::VectorXd beta(const Point& point) const { return to_user(point.coefficients); }
  double internal_logit(double delta) const {
    return delta <= 0.0   ? -infinity
           : delta >= 1.0 ? infinity
                          : std::log(delta) - std::log1p(-delta) - log_diagonal();
  }

  // s (X' V^-1 X)^-1.
  Eigen::MatrixXd vcov(const Point& point) const {
    if (p_ == 0) return Eigen::MatrixXd(0, 0);
    const Weighted a = weigh(point.logit);
    const Eigen::MatrixXd half =
        a.chol.matrixL().solve(Eigen::MatrixXd(a.t.asDiagonal() * map_.transpose()));
    return std::exp(point.log_scale) * half.transpose() * half;
  }

  // The log-likelihood as a function of (beta, log scale, logit delta) at given values, its
  // gradient and its Hessian. REML adds -1/2 log|X'V^-1 X / s| + p/2 log 2 pi to the density at
  // beta. At an end of delta the derivatives by logit delta are zero.
  struct Joint {
    double log_likelihood = -std::numeric_limits<double>::infinity();
    Eigen::VectorXd gradient;
    Eigen::MatrixXd hessian;
  };
  Joint joint(const Eigen::VectorXd& beta, double scale, double delta) const {
    return joint_at(to_internal(beta), scale, internal_logit(delta));
  }
  Joint joint(const Point& point) const {
    return joint_at(point.coefficients, scale(point), point.logit);
  }

 private:
  static constexpr double rank_tolerance = 1e-7;
  static constexpr double log_2pi = 1.8378770664093454836;
  static constexpr double infinity = std::numeric_limits<double>::infinity();

  static double logistic(double u) { return 1.0 / (1.0 + std::exp(-u)); }
  double log_diagonal() const { return std::log(mean_diagonal_); }

  // [X~ y~]; notes the maps between the coordinates.
  Eigen::MatrixXd standardise(const ConstMatrix& x, const Eigen::VectorXd& y) {
    const double root_n = std::sqrt(static_cast<double>(n_));
    Eigen::VectorXd unit(p_);
    Eigen::MatrixXd scaled(n_, p_ + 1);
    for (Eigen::Index j = 0; j < p_; ++j) {
      unit[j] = binary_scale(x.col(j).cwiseAbs().maxCoeff());
      scaled.col(j) = x.col(j) * unit[j];
    }
    const double y_unit = binary_scale(y.cwiseAbs().maxCoeff());
    scaled.col(p_) = y * y_unit;
    const double norm = scaled.col(p_).norm();
    const Eigen::HouseholderQR<Eigen::MatrixXd> qr(scaled);
    const Eigen::MatrixXd r = qr.matrixQR().topRows(std::min(n_, p_ + 1));
    full_rank_ = n_ >= p_ && static_cast<Eigen::Index>(
                                 independent_columns(r.leftCols(p_).triangularView<Eigen::Upper>(),
                                                     rank_tolerance)
                                     .size()) == p_;
    if (!full_rank_) return scaled;
    const auto triangle = r.topLeftCorner(p_, p_).triangularView<Eigen::Upper>();
    Eigen::VectorXd b(p_);
    Eigen::MatrixXd to_standard(p_, p_);
    if (p_ > 0) {
      b = triangle.solve(r.col(p_).head(p_));
      to_standard = root_n * triangle.solve(Eigen::MatrixXd::Identity(p_, p_));
    }
    const double rest = n_ > p_ ? std::fabs(r(p_, p_)) : 0.0;
    relative_residual_ = norm > 0.0 ? rest / norm : 0.0;
    const double spread = rest > 0.0 ? rest / root_n : 1.0;
    Eigen::MatrixXd out(n_, p_ + 1);
    // Q of X from the reflections, not from X R^-1: orthonormal whatever the condition of X.
    out.leftCols(p_).setZero();
    out.topLeftCorner(p_, p_).diagonal().setConstant(root_n);
    out.col(p_).setZero();
    if (n_ > p_) out(p_, p_) = r(p_, p_) < 0.0 ? -root_n : root_n;
    if (rest == 0.0) out.col(p_).setZero();
    out.applyOnTheLeft(qr.householderQ());
    origin_ = unit.cwiseProduct(b) / y_unit;
    spread_ = spread / y_unit;
    map_ = spread_ * (unit.asDiagonal() * to_standard);
    shift_ = 2.0 * nu_ * std::log(spread_);
    if (reml_) {
      double log_det = -0.5 * static_cast<double>(p_) * 2.0 * std::log(root_n);
      for (Eigen::Index j = 0; j < p_; ++j)
        log_det += std::log(std::fabs(r(j, j))) - std::log(unit[j]);
      shift_ += 2.0 * log_det;
    }
    return out;
  }

  void rotate(const ConstMatrix& vectors, Eigen::MatrixXd xy) {
    c_ = Eigen::VectorXd::Zero(p_);
    rotated_.resize(r_, p_ + 1);
    if (!full_rank_) return;
    if (r_ > 0) rotated_.noalias() = vectors.transpose() * xy;
    gamma_ = Eigen::VectorXd::Zero(p_);
    if (r_ < n_) {
      if (r_ > 0) xy.noalias() -= vectors * rotated_;
      split_complement(xy);
    }
    Eigen::Index outside = 0;
    for (Eigen::Index j = 0; j < p_; ++j) outside += c_[j] > 0.0;
    power_ = n_ - r_ - (reml_ ? outside : 0);
  }

  // Turns the columns of X until their complements are orthogonal, and takes from y what they fit
  // of its complement.
  void split_complement(const Eigen::MatrixXd& complement) {
    const double tiny = rank_tolerance * rank_tolerance * static_cast<double>(n_);
    Eigen::VectorXd y = complement.col(p_);
    if (p_ > 0) {
      const Eigen::JacobiSVD<Eigen::MatrixXd> svd(
          Eigen::HouseholderQR<Eigen::MatrixXd>(complement.leftCols(p_))
              .matrixQR()
              .topRows(std::min(n_, p_))
              .triangularView<Eigen::Upper>(),
          Eigen::ComputeFullV);
      const Eigen::MatrixXd turn = svd.matrixV();
      const Eigen::MatrixXd x = complement.leftCols(p_) * turn;
      for (Eigen::Index j = 0; j < p_; ++j) {
        const double c = x.col(j).squaredNorm();
        if (!(c > tiny)) continue;
        c_[j] = c;
        gamma_[j] = x.col(j).dot(y) / c;
        y -= gamma_[j] * x.col(j);
      }
      if (r_ > 0) {
        rotated_.leftCols(p_) = (rotated_.leftCols(p_) * turn).eval();
        rotated_.col(p_) -= rotated_.leftCols(p_) * gamma_;
      }
      map_ = (map_ * turn).eval();
    }
    rho_ = y.squaredNorm();
    if (!(rho_ > tiny)) rho_ = 0.0;
  }

  Eigen::VectorXd to_user(const Eigen::VectorXd& b) const { return origin_ + map_ * (b + gamma_); }
  Eigen::VectorXd to_internal(const Eigen::VectorXd& beta) const {
    if (p_ == 0) return beta;
    return map_.partialPivLu().solve(beta - origin_) - gamma_;
  }

  // log of s~ / s = (1 - delta) c + delta, and its derivatives by logit delta.
  struct Slope {
    double value, first, second;
  };
  Slope scale_slope(double logit) const {
    const double c = log_diagonal();
    const double inner = logistic(logit), outer = logistic(logit + c);
    // delta~ = delta / ((1 - delta) c + delta), whichever of the two is not near zero
    const double value = inner > 0.5 ? std::log(outer / inner)
                                     : c + std::log(logistic(-logit - c) / logistic(-logit));
    return {value, inner - outer, inner * logistic(-logit) - outer * logistic(-logit - c)};
  }

  double internal_log_scale(double scale, const Slope& m) const {
    return std::log(scale) + m.value - 2.0 * std::log(spread_);
  }

  // Cross-products [X y]' V^-1 [X y] and their derivatives by logit delta, columns of X times t and
  // y times ty; log|V| (+ log|X'V^-1 X|).
  struct Weighted {
    bool outside = false;
    Eigen::VectorXd t;
    double ty = 1.0;
    Eigen::MatrixXd h, first, second;
    Eigen::LLT<Eigen::MatrixXd> chol;
    double log_det = 0.0, log_det_u = 0.0, log_det_uu = 0.0;
  };

  Weighted weigh(double logit) const {
    Weighted out;
    const double delta = logistic(logit), rest = logistic(-logit);
    const double nr = static_cast<double>(n_ - r_);
    if (delta == 0.0 && (rho_ > 0.0 || power_ != 0)) {
      out.outside = true;
      return out;
    }
    const Eigen::ArrayXd d = rest * s_.array() + delta;
    const Eigen::ArrayXd w = d.inverse();
    const Eigen::ArrayXd ratio = delta * rest * (1.0 - s_.array()) * w;  // d_u / d
    out.log_det = d.log().sum();
    if (power_ != 0) out.log_det += static_cast<double>(power_) * std::log(delta);
    out.log_det_u = ratio.sum() + nr * rest;
    out.log_det_uu = (rest - delta) * ratio.sum() - ratio.square().sum() - nr * delta * rest;

    const double root = std::sqrt(delta);
    out.t = (c_.array() > 0.0).select(Eigen::ArrayXd::Constant(p_, root), 1.0);
    out.ty = rho_ > 0.0 ? root : 1.0;
    Eigen::VectorXd t(p_ + 1), c(p_ + 1);
    t << out.t, out.ty;
    c << c_, rho_;
    const auto crossed = [&](const Eigen::ArrayXd& weights, double of_complement) {
      Eigen::MatrixXd h = Eigen::MatrixXd::Zero(p_ + 1, p_ + 1);
      if (r_ > 0) {
        weighted_.noalias() = weights.matrix().asDiagonal() * rotated_;
        h.noalias() = rotated_.transpose() * weighted_;
        h = (t.asDiagonal() * h * t.asDiagonal()).eval();
      }
      h.diagonal() += of_complement * c;
      return h;
    };
    out.h = crossed(w, 1.0);
    out.first = crossed(-w * ratio, -rest);
    out.second = crossed(w * ratio * (2.0 * ratio - (rest - delta)), rest);
    if (p_ == 0) return out;
    out.chol.compute(out.h.topLeftCorner(p_, p_));
    if (out.chol.info() != Eigen::Success) {
      out.outside = true;
      return out;
    }
    if (reml_) {
      const Eigen::MatrixXd by_u = out.chol.solve(out.first.topLeftCorner(p_, p_));
      const Eigen::MatrixXd by_uu = out.chol.solve(out.second.topLeftCorner(p_, p_));
      out.log_det += 2.0 * out.chol.matrixLLT().diagonal().array().log().sum();
      out.log_det_u += by_u.trace();
      out.log_det_uu += by_uu.trace() - by_u.cwiseProduct(by_u.transpose()).sum();
    }
    return out;
  }

  // v = (-beta, 1) in the scaled columns: v'hv / ty^2 is the weighted residual sum of squares.
  Eigen::VectorXd best_residual_map(const Weighted& a) const {
    Eigen::VectorXd v(p_ + 1);
    if (p_ > 0) v.head(p_) = -a.chol.solve(a.h.col(p_).head(p_));
    v[p_] = 1.0;
    return v;
  }
  bool scaled_residual_map(const Weighted& a, const Eigen::VectorXd& b, Eigen::VectorXd& v) const {
    v.resize(p_ + 1);
    for (Eigen::Index j = 0; j < p_; ++j) {
      if (a.t[j] > 0.0)
        v[j] = -b[j] * a.ty / a.t[j];
      else if (std::fabs(b[j]) <= rank_tolerance)
        v[j] = 0.0;
      else
        return false;
    }
    v[p_] = 1.0;
    return true;
  }

  struct Quadratic {
    double value, first, second;
    Eigen::VectorXd gradient;  // of `first` by v / 2, columns of X
  };
  Quadratic quadratic(const Weighted& a, const Eigen::VectorXd& v) const {
    const double per = 1.0 / (a.ty * a.ty);
    const Eigen::VectorXd first = a.first * v;
    return {v.dot(a.h * v) * per, v.dot(first) * per, v.dot(a.second * v) * per, first.head(p_)};
  }

  Joint joint_at(const Eigen::VectorXd& b, double scale, double logit) const {
    Joint out;
    const Weighted a = weigh(logit);
    Eigen::VectorXd v;
    if (a.outside || !scaled_residual_map(a, b, v)) return out;
    const Slope m = scale_slope(logit);
    const Quadratic q = quadratic(a, v);
    const double log_scale = internal_log_scale(scale, m);
    const double per = std::exp(-log_scale);
    out.log_likelihood = -0.5 * (nu_ * (log_2pi + log_scale) + a.log_det + q.value * per + shift_);

    // Derivatives of the criterion by internal (beta, log scale, logit), then the chain rule.
    const Eigen::Index l = p_, u = p_ + 1;
    Eigen::VectorXd g = Eigen::VectorXd::Zero(p_ + 2);
    Eigen::MatrixXd h = Eigen::MatrixXd::Zero(p_ + 2, p_ + 2);
    if (p_ > 0) {
      // Rows that the complement determines alone (delta = 0) have no finite derivative.
      const Eigen::VectorXd unscale =
          (a.t.array() > 0.0).select(a.t.array().inverse(), 0.0).matrix();
      const Eigen::VectorXd by_b = -2.0 / a.ty * (a.h * v).head(p_);
      g.head(p_) = per * unscale.cwiseProduct(by_b);
      h.topLeftCorner(p_, p_) =
          2.0 * per * (unscale.asDiagonal() * a.h.topLeftCorner(p_, p_) * unscale.asDiagonal());
      h.col(l).head(p_) = -g.head(p_);
      h.col(u).head(p_) = -2.0 / a.ty * per * unscale.cwiseProduct(q.gradient);
    }
    g[l] = nu_ - q.value * per;
    g[u] = a.log_det_u + q.first * per;
    h(l, l) = q.value * per;
    h(l, u) = -q.first * per;
    h(u, u) = a.log_det_uu + q.second * per;
    const Eigen::VectorXd to_scale = h.col(l);
    h.col(u).head(p_) += m.first * to_scale.head(p_);
    h(u, u) += 2.0 * m.first * h(l, u) + m.first * m.first * h(l, l) + m.second * g[l];
    h(l, u) += m.first * h(l, l);
    g[u] += m.first * g[l];
    if (p_ > 0) {
      const Eigen::PartialPivLU<Eigen::MatrixXd> lu(map_.transpose());
      g.head(p_) = lu.solve(g.head(p_)).eval();
      h.topLeftCorner(p_, p_) =
          lu.solve(lu.solve(h.topLeftCorner(p_, p_)).transpose().eval()).eval();
      h.topRightCorner(p_, 2) = lu.solve(h.topRightCorner(p_, 2)).eval();
      h.bottomLeftCorner(2, p_) = h.topRightCorner(p_, 2).transpose();
    }
    h(u, l) = h(l, u);
    out.gradient = -0.5 * g;
    out.hessian = -0.5 * h;
    return out;
  }

  // The minimum between two points whose slopes bracket it: Newton, or the middle of the bracket.
  template <class At>
  static Point refine(Point low, Point high, const At& at) {
    Point best = low.value < high.value ? low : high;
    double last = infinity;
    for (int i = 0; i < 100; ++i) {
      const double enough = 1e-12 * (1.0 + std::fabs(best.logit));
      const double newton = best.curvature > 0.0 ? -best.slope / best.curvature : infinity;
      if (std::fabs(newton) <= enough || high.logit - low.logit <= enough) break;
      double u = best.logit + newton;
      const bool slow = std::fabs(best.slope) > 0.5 * last;
      if (slow || !(u > low.logit && u < high.logit)) u = 0.5 * (low.logit + high.logit);
      last = std::fabs(best.slope);
      best = at(u);
      (best.slope < 0.0 ? low : high) = best;
    }
    return best;
  }

  // The slope has one sign at both points but turns towards zero between them: look there.
  template <class At, class Keep>
  static void hidden_minimum(const Point& left, const Point& right, const At& at, const Keep& keep,
                             int& minima) {
    Point low = left, high = right;
    const double sign = left.slope > 0.0 ? 1.0 : -1.0;
    for (int i = 0; i < 12; ++i) {
      const Point middle = at(0.5 * (low.logit + high.logit));
      if (middle.slope * sign <= 0.0) {
        ++minima;
        keep(sign > 0.0 ? refine(middle, right, at) : refine(left, middle, at));
        return;
      }
      (middle.curvature * sign < 0.0 ? low : high) = middle;
    }
  }

  Eigen::Index n_, r_, p_;
  bool reml_, full_rank_ = false;
  double nu_ = 0.0, mean_diagonal_ = 1.0, relative_residual_ = 0.0;
  double spread_ = 1.0, shift_ = 0.0;  // y = X origin + spread y~;  what the criterion is moved by
  Eigen::VectorXd origin_, gamma_;     // beta = origin + map (b + gamma)
  Eigen::MatrixXd map_;
  Eigen::VectorXd s_, c_;    // eigenvalues of K; cross-products of the complement of X
  double rho_ = 0.0;         // and of y
  Eigen::Index power_ = 0;   // of delta in the determinants at delta = 0
  Eigen::MatrixXd rotated_;  // Q'[X y]
  mutable Eigen::MatrixXd weighted_;
};

}  // namespace partialpool

#endif
