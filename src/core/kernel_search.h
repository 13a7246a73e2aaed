#ifndef PARTIALPOOL_CORE_KERNEL_SEARCH_H
#define PARTIALPOOL_CORE_KERNEL_SEARCH_H

#include <Eigen/Dense>
#include <algorithm>
#include <cmath>
#include <functional>
#include <limits>
#include <string>
#include <vector>

#include "kernel_ep.h"

namespace partialpool {

// Parameters of a kernel model as its user sees them: v0 = scale (1 - delta), v1 = scale delta.
struct KernelParameters {
  Eigen::VectorXd beta;
  double scale = 1.0, delta = 0.5, log_phi = 0.0, shape = 0.0;
};

struct KernelFixed {
  bool beta = false, scale = false, delta = false, dispersion = false, shape = false;
};

struct KernelControl {
  double tolerance = 0.5e-8;  // log likelihood still to be gained
  int max_iterations = 100;
  std::function<void(int, double, double)> monitor;  // iteration, log likelihood, decrement
};

struct KernelOptimum {
  KernelParameters at;
  double value = -std::numeric_limits<double>::infinity();
  double decrement = 0.0;
  int iterations = 0, evaluations = 0;
  // converged | iteration limit | no ascent | unbounded scale | not finite
  std::string status;
  bool no_kernel = false, no_iid = false;  // v0 = 0, v1 = 0 at the boundary
  // Of the user's parameters (beta, log scale, logit delta, log phi, shape).
  Eigen::VectorXd gradient;
  Eigen::MatrixXd hessian;
};

// Maximum likelihood by a trust-region Newton method with the exact Hessian. The variances are
// searched as squares, v = a^2: then a variance of zero is an ordinary point of a smooth even
// function, reached in a few steps and certified by the derivative by v.
class KernelSearch {
 public:
  using Vector = Eigen::VectorXd;
  using Matrix = Eigen::MatrixXd;
  using Index = Eigen::Index;

  // `unit`: size of a linear predictor that counts as one.
  KernelSearch(KernelEp& ep, KernelPosterior& posterior, const KernelFixed& fixed, double unit)
      : ep_(ep), posterior_(posterior), fixed_(fixed), unit_(unit) {}

  // Value, gradient and Hessian at a point, without search. False: no fixed point was found.
  bool evaluate(const KernelParameters& at, KernelOptimum& out) {
    out.at = at;
    ++out.evaluations;
    if (!ep_.solve(point(at), KernelEp::tightest)) {
      out.status = "not finite";
      return false;
    }
    out.value = ep_.value();
    describe(out);
    out.status = "not fitted";
    return std::isfinite(out.value);
  }

  KernelOptimum maximise(const KernelParameters& start, const KernelControl& control) {
    held_ = start;
    KernelOptimum best = climb(start, control);
    if (best.status == "not finite" || !has_boundary(best)) return best;
    if (mode() == Mode::scale && start.scale >= 0.99 * scale_unit() * scale_unit())
      return best;  // came from there
    // A boundary may be a local optimum: once more, from the other end.
    KernelParameters other = best.at;
    const double size = posterior_.unit();
    if (!fixed_.delta) {
      double share = 0.5;  // of the rows, for a kernel of mean diagonal 1
      if (best.no_iid != best.no_kernel) share = best.no_iid ? 0.9 : 0.1;
      other.delta = share * size / (1.0 - share + share * size);
    }
    if (!fixed_.scale) {
      const double unit = unit_ * unit_ / (size * (1.0 - other.delta) + other.delta);
      other.scale = std::max(best.at.scale, unit);
    }
    const KernelEp::Sites sites = ep_.sites();
    KernelOptimum second = climb(other, control);
    second.evaluations += best.evaluations;
    second.iterations += best.iterations;
    const bool keep = second.status == "not finite" || second.value < best.value + 1e-9 ||
                      (second.status != "converged" && best.status == "converged" &&
                       second.value < best.value + 1e-6);
    if (!keep) return second;
    best.evaluations = second.evaluations;
    best.iterations = second.iterations;
    ep_.set_sites(sites);
    evaluate_again(best);
    return best;
  }

  KernelEp::Point point(const KernelParameters& at) const {
    KernelEp::Point out;
    out.beta = at.beta;
    out.v0 = at.scale * (1.0 - at.delta) * posterior_.unit();
    out.v1 = at.scale * at.delta;
    out.log_phi = at.log_phi;
    out.shape = at.shape;
    return out;
  }

 private:
  enum class Mode { none, scale, delta, both };
  Mode mode() const {
    if (fixed_.scale) return fixed_.delta ? Mode::none : Mode::delta;
    return fixed_.delta ? Mode::scale : Mode::both;
  }
  Index variances() const { return mode() == Mode::both ? 2 : mode() == Mode::none ? 0 : 1; }
  bool free_phi() const { return ep_.has_dispersion() && !fixed_.dispersion; }
  bool free_shape() const { return ep_.has_shape() && !fixed_.shape; }
  Index free_beta() const { return fixed_.beta ? 0 : ep_.columns(); }
  Index size() const { return free_beta() + variances() + free_phi() + free_shape(); }

  // ---- Coordinates

  Vector coordinates(const KernelParameters& at) const {
    Vector x(size());
    Index i = free_beta();
    if (i) x.head(i) = at.beta / unit_;
    switch (mode()) {
      case Mode::both:
        x[i++] = std::sqrt(at.scale * (1.0 - at.delta) * posterior_.unit()) / unit_;
        x[i++] = std::sqrt(at.scale * at.delta) / unit_;
        break;
      case Mode::scale:
        x[i++] = std::sqrt(at.scale) / scale_unit();
        break;
      case Mode::delta:
        x[i++] = std::asin(std::sqrt(at.delta));
        break;
      case Mode::none:
        break;
    }
    if (free_phi()) x[i++] = at.log_phi;
    if (free_shape()) x[i++] = at.shape;
    return x;
  }

  // With the scale alone free, the size of a variance is that of all.
  double scale_unit() const {
    const double all = (1.0 - held_.delta) * posterior_.unit() + held_.delta;
    return unit_ / std::sqrt(all > 0.0 ? all : 1.0);
  }

  KernelParameters parameters(const Vector& x) const {
    KernelParameters out = held_;
    Index i = free_beta();
    if (i) out.beta = unit_ * x.head(i);
    switch (mode()) {
      case Mode::both: {
        const double v0 = x[i] * x[i] * unit_ * unit_ / posterior_.unit();
        const double v1 = x[i + 1] * x[i + 1] * unit_ * unit_;
        out.scale = v0 + v1;
        if (out.scale > 0.0) out.delta = v1 / out.scale;
        i += 2;
        break;
      }
      case Mode::scale:
        out.scale = x[i] * x[i] * scale_unit() * scale_unit();
        ++i;
        break;
      case Mode::delta: {
        const double s = std::sin(x[i]);
        out.delta = s * s;
        ++i;
        break;
      }
      case Mode::none:
        break;
    }
    if (free_phi()) out.log_phi = x[i++];
    if (free_shape()) out.shape = x[i++];
    return out;
  }

  KernelEp::Point point(const Vector& x) const {
    KernelEp::Point out = point(parameters(x));
    const Index i = free_beta();
    if (mode() == Mode::both) {  // no rounding through delta
      out.v0 = x[i] * x[i] * unit_ * unit_;
      out.v1 = x[i + 1] * x[i + 1] * unit_ * unit_;
    } else if (mode() == Mode::delta) {
      const double c = std::cos(x[i]), s = std::sin(x[i]);
      out.v0 = held_.scale * c * c * posterior_.unit();
      out.v1 = held_.scale * s * s;
    }
    return out;
  }

  // Derivatives of (v0, v1) by the coordinates of the variances, first and (diagonal) second.
  void variance_map(const Vector& x, Matrix& first, Matrix& second) const {
    const Index i = free_beta(), k = variances();
    first = second = Matrix::Zero(2, k);
    const double u = unit_ * unit_;
    switch (mode()) {
      case Mode::both:
        for (Index j = 0; j < 2; ++j) {
          first(j, j) = 2.0 * x[i + j] * u;
          second(j, j) = 2.0 * u;
        }
        break;
      case Mode::scale: {
        const double w = scale_unit() * scale_unit();
        const double share[2] = {(1.0 - held_.delta) * posterior_.unit(), held_.delta};
        for (Index j = 0; j < 2; ++j) {
          first(j, 0) = 2.0 * x[i] * share[j] * w;
          second(j, 0) = 2.0 * share[j] * w;
        }
        break;
      }
      case Mode::delta: {
        const double by = held_.scale * std::sin(2.0 * x[i]);
        const double twice = 2.0 * held_.scale * std::cos(2.0 * x[i]);
        first(0, 0) = -by * posterior_.unit();
        first(1, 0) = by;
        second(0, 0) = -twice * posterior_.unit();
        second(1, 0) = twice;
        break;
      }
      case Mode::none:
        break;
    }
  }

  // Gradient and Hessian of log Z by the coordinates from those by the natural parameters.
  void transform(const Vector& x, const Vector& g, const Matrix& h, Vector& gx, Matrix& hx) const {
    const Index p = ep_.columns(), b = free_beta(), k = variances();
    Matrix first, second;
    variance_map(x, first, second);
    Matrix j = Matrix::Zero(g.size(), size());
    for (Index l = 0; l < b; ++l) j(l, l) = unit_;
    j.block(p, b, 2, k) = first;
    Index at = p + 2, to = b + k;
    if (ep_.has_dispersion()) {
      if (free_phi()) j(at, to++) = 1.0;
      ++at;
    }
    if (free_shape()) j(at, to) = 1.0;
    gx = j.transpose() * g;
    hx = j.transpose() * h * j;
    for (Index l = 0; l < k; ++l) hx(b + l, b + l) += second.col(l).dot(g.segment(p, 2));
  }

  Vector natural_change(const KernelEp::Point& from, const KernelEp::Point& to) const {
    const Index p = ep_.columns();
    Vector out(ep_.parameters());
    out.head(p) = to.beta - from.beta;
    out[p] = to.v0 - from.v0;
    out[p + 1] = to.v1 - from.v1;
    Index i = p + 2;
    if (ep_.has_dispersion()) out[i++] = to.log_phi - from.log_phi;
    if (ep_.has_shape()) out[i] = to.shape - from.shape;
    return out;
  }

  // ---- The climb

  bool has_boundary(const KernelOptimum& o) const {
    return mode() != Mode::none && (o.no_kernel || o.no_iid);
  }

  double noise(double value) const {
    return 1e-13 * (std::fabs(value) + static_cast<double>(posterior_.n()));
  }

  KernelOptimum climb(const KernelParameters& start, const KernelControl& control) {
    KernelOptimum out;
    held_ = start;
    Vector x = coordinates(start);
    ++out.evaluations;
    if (!ep_.solve(point(x), size() ? 1e-3 : KernelEp::tightest) || !std::isfinite(ep_.value())) {
      out.status = "not finite";
      return out;
    }
    double value = ep_.value();
    double radius = 2.0;
    int opened = 0;
    bool sharp = size() == 0, settled = false;
    while (size() > 0) {
      Vector natural = ep_.gradient();
      const Matrix natural_hessian = ep_.hessian(sharp ? 1e-7 : 1e-3, &natural);
      Vector g;
      Matrix h;
      transform(x, natural, natural_hessian, g, h);
      if (!g.allFinite() || !h.allFinite()) {
        out.status = "not finite";
        return out;
      }
      const Eigen::SelfAdjointEigenSolver<Matrix> eigen(-h);
      const Vector& curve = eigen.eigenvalues();
      const Matrix& q = eigen.eigenvectors();
      Vector slope = q.transpose() * g;
      const double largest = curve.cwiseAbs().maxCoeff();
      out.decrement = 0.0;
      for (Index i = 0; i < slope.size(); ++i) {
        if (std::fabs(curve[i]) <= 1e-13 * largest)
          slope[i] = 0.0;
        else
          out.decrement += 0.5 * slope[i] * slope[i] / std::fabs(curve[i]);
      }
      if (control.monitor) control.monitor(out.iterations, value, out.decrement);

      if (out.decrement < control.tolerance && !sharp) {
        sharp = true;  // the same with the fixed point found
        ++out.evaluations;
        if (!ep_.solve(point(x), KernelEp::tightest)) {
          out.status = "not finite";
          return out;
        }
        value = ep_.value();
        continue;
      }
      if (out.decrement < control.tolerance) {
        if (out.decrement > 1e-15) last_step(x, value, step_within(slope, curve, radius), q, out);
        const Vector inside = x;
        if (settle_boundary(x, value, out)) {
          if (x != inside && !settled) {  // the others are not quite at their optimum yet
            settled = true;
            continue;
          }
          out.status = "converged";
          break;
        }
        settled = false;
        if (++opened > 3) {
          out.status = "no ascent";
          break;
        }
        sharp = false;
        radius = 1.0;
        continue;
      }
      sharp = false;
      if (out.iterations++ >= control.max_iterations) {
        out.status = "iteration limit";
        break;
      }
      if (runs_away(x, q * step_within(slope, curve, 1e10), out.decrement)) {
        out.status = "unbounded scale";
        break;
      }

      const KernelEp::Sites sites = ep_.sites();
      const KernelEp::Point here = point(x);
      bool accepted = false;
      for (int attempt = 0; attempt < 25 && !accepted; ++attempt) {
        const Vector z = step_within(slope, curve, radius);
        const double predicted = slope.dot(z) - 0.5 * curve.dot(z.cwiseAbs2());
        const Vector trial = x + q * z;
        const KernelEp::Point there = point(trial);
        ep_.predict(natural_change(here, there));
        ++out.evaluations;
        const double tolerance =
            std::min(3e-3, std::max(1e-7, 0.02 * std::sqrt(std::fabs(predicted))));
        const bool found = ep_.solve(there, tolerance);
        const double reached = found ? ep_.value() : -std::numeric_limits<double>::infinity();
        const double gain = reached - value;
        if (std::isfinite(reached) && gain > -noise(value) && gain > 1e-4 * predicted) {
          const double ratio = gain / predicted;
          if (ratio > 0.75 && z.norm() > 0.8 * radius) radius *= 3.0;
          if (ratio < 0.25) radius = 0.5 * z.norm();
          x = trial;
          value = reached;
          accepted = true;
        } else {
          radius = 0.25 * std::min(radius, z.norm());
          ep_.set_sites(sites);
        }
      }
      if (!accepted) {
        ep_.solve(point(x), KernelEp::tightest);
        value = ep_.value();
        out.status = out.decrement < 1e-6 ? "converged" : "no ascent";
        if (out.status == "converged") settle_boundary(x, value, out);
        break;
      }
    }
    if (size() == 0) out.status = "converged";
    fold(x);
    out.at = parameters(x);
    if (out.no_iid && !out.no_kernel) out.at.delta = 0.0;
    if (out.no_kernel && !out.no_iid) out.at.delta = 1.0;
    if (mode() == Mode::both || mode() == Mode::scale)
      if (out.no_iid && out.no_kernel) {
        out.at.scale = 0.0;
        out.at.delta = held_.delta;
      }
    evaluate_again(out);
    return out;
  }

  // Exactly at out.at, to the tightest residual.
  void evaluate_again(KernelOptimum& out) {
    if (!ep_.solve(point(out.at), KernelEp::tightest)) {
      out.status = "not finite";
      return;
    }
    out.value = ep_.value();
    describe(out);
  }

  // Largest ascent of a step within the radius, in the eigenbasis.
  static Vector step_within(const Vector& slope, const Vector& curve, double radius) {
    const auto step = [&](double mu) {
      Vector z(slope.size());
      for (Index i = 0; i < z.size(); ++i)
        z[i] = slope[i] == 0.0 ? 0.0 : slope[i] / (std::fabs(curve[i]) + mu);
      return z;
    };
    if (step(0.0).norm() <= radius) return step(0.0);
    double low = 0.0, high = slope.norm() / radius;
    for (int i = 0; i < 60 && high - low > 1e-4 * high; ++i) {
      const double middle = 0.5 * (low + high);
      (step(middle).norm() > radius ? low : high) = middle;
    }
    return step(high);
  }

  // One more step without a look at its gain, which may be below rounding.
  void last_step(Vector& x, double& value, const Vector& z, const Matrix& q, KernelOptimum& out) {
    const KernelEp::Sites sites = ep_.sites();
    const Vector trial = x + q * z;
    const KernelEp::Point there = point(trial);
    ep_.predict(natural_change(point(x), there));
    ++out.evaluations;
    if (ep_.solve(there, KernelEp::tightest) && ep_.value() >= value - noise(value)) {
      x = trial;
      value = ep_.value();
      return;
    }
    ep_.set_sites(sites);
    ep_.solve(point(x), KernelEp::tightest);
  }

  // Variances that are zero, or so small that zero is as good, are set to zero if the likelihood
  // falls from there. False: it rises, and x has been moved to where it is higher.
  bool settle_boundary(Vector& x, double& value, KernelOptimum& out) {
    const Index i = free_beta();
    out.no_kernel = out.no_iid = false;
    if (mode() == Mode::none) return true;
    const KernelEp::Point p = point(x);
    const double all = p.v0 + p.v1, size_of_one = unit_ * unit_;
    const bool kernel = posterior_.has_kernel();
    bool small0 = kernel && p.v0 < 1e-5 * std::max(p.v1, size_of_one);
    bool small1 = p.v1 < 1e-5 * std::max(p.v0, size_of_one);
    if (!kernel) small0 = mode() == Mode::scale && small1;
    if (mode() == Mode::scale) small0 = small1 = all < 1e-5 * size_of_one;
    if (!small0 && !small1) return true;
    Vector edge = x;
    if (mode() == Mode::both) {
      if (small0) edge[i] = 0.0;
      if (small1) edge[i + 1] = 0.0;
    } else if (mode() == Mode::scale) {
      edge[i] = 0.0;
    } else {
      edge[i] = small0 ? std::acos(0.0) : 0.0;
    }
    KernelEp::Point there = point(edge);
    if (mode() == Mode::delta) (small0 ? there.v0 : there.v1) = 0.0;
    const KernelEp::Sites sites = ep_.sites();
    ++out.evaluations;
    const bool found = ep_.solve(there, KernelEp::tightest);
    const double at_edge = ep_.value();
    const Vector g = found ? ep_.gradient() : Vector();
    const Index c = ep_.columns();
    if (found && at_edge >= value - 1e-9) {
      // Slopes by the variances that are zero, in units of the likelihood.
      double rise = 0.0;
      Index which = 0;
      if (mode() == Mode::scale) {
        rise = ((1.0 - held_.delta) * posterior_.unit() * g[c] + held_.delta * g[c + 1]) *
               scale_unit() * scale_unit();
      } else if (mode() == Mode::delta) {
        rise = held_.scale *
               (small0 ? g[c] * posterior_.unit() - g[c + 1] : g[c + 1] - g[c] * posterior_.unit());
      } else {
        if (small0) rise = g[c] * size_of_one;
        if (small1 && (!small0 || g[c + 1] * size_of_one > rise)) {
          rise = g[c + 1] * size_of_one;
          which = 1;
        }
      }
      if (rise <= 1e-6) {
        x = edge;
        value = at_edge;
        out.no_kernel = small0 || !kernel;
        out.no_iid = small1;
        return true;
      }
      // Climbs from zero: a saddle of the squares. A start of that kind comes from the user.
      const Vector kept = x;
      double step = 0.3;
      for (int attempt = 0; attempt < 12; ++attempt, step *= 0.3) {
        Vector trial = edge;
        if (mode() == Mode::delta)
          trial[i] += small0 ? -step : step;
        else
          trial[i + (mode() == Mode::both ? which : 0)] = step;
        ++out.evaluations;
        if (ep_.solve(point(trial), KernelEp::tightest) && ep_.value() > std::max(at_edge, value)) {
          if (ep_.value() < value + 1e-8) break;
          x = trial;
          value = ep_.value();
          return false;
        }
      }
      x = kept;
    }
    ep_.set_sites(sites);
    ep_.solve(point(x), KernelEp::tightest);
    value = ep_.value();
    return true;
  }

  // The sign of a root of a variance means nothing.
  void fold(Vector& x) const {
    const Index i = free_beta();
    if (mode() == Mode::both || mode() == Mode::scale)
      for (Index j = 0; j < variances(); ++j) x[i + j] = std::fabs(x[i + j]);
  }

  // On its way to infinity, where the likelihood has a finite limit: the step is a large part of
  // the way so far, and gains next to nothing.
  bool runs_away(const Vector& x, const Vector& step, double decrement) const {
    if (mode() == Mode::none || mode() == Mode::delta) return false;
    const KernelEp::Point p = point(x);
    const double size = (p.v0 + p.v1) / (unit_ * unit_);
    const Index i = free_beta(), k = variances();
    const bool outward = step.segment(i, k).dot(x.segment(i, k)) > 0.0;
    const bool large = step.segment(i, k).norm() > 0.1 * x.segment(i, k).norm();
    return outward && large && (size > 1e4 || (size > 100.0 && decrement < 1e-6));
  }

  // Gradient and Hessian by beta, log scale, logit delta, log phi, shape.
  void describe(KernelOptimum& out) {
    const Index p = ep_.columns(), k = ep_.parameters();
    const Vector g = ep_.gradient();
    const Matrix h = ep_.hessian(1e-8);
    const double v0 = ep_.at().v0, v1 = ep_.at().v1;
    // Shares of the variances of the scale, in the units of the two.
    const double d = out.at.delta, s = out.at.scale;
    const double dd = d * (1.0 - d);
    Matrix j = Matrix::Identity(k, k);
    j(p, p) = v0;
    j(p, p + 1) = -s * dd * posterior_.unit();
    j(p + 1, p) = v1;
    j(p + 1, p + 1) = s * dd;
    out.gradient = j.transpose() * g;
    out.hessian = j.transpose() * h * j;
    // d2v/dlog s2 = v; d2v/dlog s dlogit d = dv/dlogit d; d2v1/dlogit d2 = s d (1 - d) (1 - 2 d)
    out.hessian(p, p) += g[p] * v0 + g[p + 1] * v1;
    const double mixed = s * dd * (g[p + 1] - g[p] * posterior_.unit());
    out.hessian(p, p + 1) += mixed;
    out.hessian(p + 1, p) += mixed;
    out.hessian(p + 1, p + 1) += mixed * (1.0 - 2.0 * d);
  }

  KernelEp& ep_;
  KernelPosterior& posterior_;
  KernelFixed fixed_;
  double unit_;
  KernelParameters held_;
};

}  // namespace partialpool

#endif
