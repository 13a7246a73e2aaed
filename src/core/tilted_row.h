#ifndef PARTIALPOOL_TILTED_ROW_H
#define PARTIALPOOL_TILTED_ROW_H

#include <Eigen/Core>
#include <algorithm>
#include <cmath>
#include <limits>
#include <vector>

#include "family.h"
#include "row_kernels.h"

namespace partialpool {

struct TiltedValues {
  double log_z = 0.0, alpha = 0.0, gamma = 0.0;
};

// Moments of one row's density times N(mean, variance) by quadrature, for any family. With
// eta = mean + sd t the log integrand is g(t) = l(eta) - t^2 / 2 but for a constant.
class TiltedRow {
 public:
  explicit TiltedRow(const Family& family) : family_(family), log_concave_(family.log_concave()) {}

  bool compute(Eigen::Index row, double mean, double variance, TiltedValues& out) {
    if (!std::isfinite(mean) || !(variance >= 0.0) || !std::isfinite(variance)) return false;
    row_ = row;
    mean_ = mean;
    sd_ = std::sqrt(variance);
    if (variance == 0.0) return at_point(out);
    left_ = right_ = 0.0;
    top_ = -infinity;
    ends_inside_ = false;
    if (log_concave_ ? climb() && ends() : scan()) {
      if (trapezoid(out)) return true;
    }
    return panels(out);
  }

  // After compute(): the nodes as values of eta, and their weights, whose sum is one.
  const std::vector<double>& eta() const { return eta_out_; }
  const std::vector<double>& weights() const { return weight_out_; }

 private:
  // g falls by this much to the ends of the range: the rest is 1e-15 of the integral.
  static constexpr double drop = 34.0;
  static constexpr int coarse = 20, finest = 2560;

  struct Points {
    std::vector<double> t, eta, l, s, w, g;
    std::size_t size() const { return t.size(); }
    void clear() { t.clear(); }
  };

  // g, s and W at points.t
  void evaluate(Points& points) {
    const std::size_t n = points.size();
    for (std::vector<double>* x : {&points.eta, &points.l, &points.s, &points.w, &points.g})
      if (x->size() < n) x->resize(n);
    for (std::size_t k = 0; k < n; ++k) points.eta[k] = mean_ + sd_ * points.t[k];
    family_.row_scores(row_, points.eta.data(), static_cast<Eigen::Index>(n), points.l.data(),
                       points.s.data(), points.w.data());
    for (std::size_t k = 0; k < n; ++k) points.g[k] = points.l[k] - 0.5 * points.t[k] * points.t[k];
  }
  double slope(const Points& points, std::size_t k) const {
    return sd_ * points.s[k] - points.t[k];
  }
  double curvature(const Points& points, std::size_t k) const {
    return 1.0 + sd_ * sd_ * points.w[k];
  }

  bool at_point(TiltedValues& out) {
    probe_.t.assign(1, 0.0);
    evaluate(probe_);
    out.log_z = probe_.l[0];
    out.alpha = probe_.s[0];
    out.gamma = probe_.w[0];
    eta_out_.assign(1, mean_);
    weight_out_.assign(1, 1.0);
    return std::isfinite(out.log_z) && std::isfinite(out.alpha) && std::isfinite(out.gamma);
  }

  // Newton's method on a concave g, from the best of a few points. It need not be exact: the mode
  // is where the nodes have their origin and the drop its start.
  bool climb() {
    const double centre = (family_.row_centre(row_) - mean_) / sd_;
    probe_.t.assign(1, 0.0);
    if (std::isfinite(centre)) {
      // the density as a normal one about its own maximum
      const double joint = joint_mode(centre);
      for (double t : {joint, centre, 0.5 * joint, 0.5 * centre}) probe_.t.push_back(t);
    }
    for (double t : {-1.0, 1.0, -3.0, 3.0}) probe_.t.push_back(t);
    evaluate(probe_);
    std::size_t best = 0;
    for (std::size_t k = 1; k < probe_.size(); ++k)
      if (probe_.g[k] > probe_.g[best]) best = k;
    if (!std::isfinite(probe_.g[best])) return false;
    double below = -infinity, above = infinity;
    const double found = probe_.t[best];
    for (std::size_t k = 0; k < probe_.size(); ++k) {
      const double t = probe_.t[k];
      const bool rises = std::isfinite(probe_.g[k]) ? slope(probe_, k) > 0.0 : t < found;
      if (rises)
        below = std::max(below, t);
      else
        above = std::min(above, t);
    }
    double t = found;
    std::size_t at = best;
    for (int step = 0; step < 200; ++step) {
      const double g1 = slope(probe_, at), g2 = curvature(probe_, at);
      if (!std::isfinite(g1) || !std::isfinite(g2) || !(g2 > 0.0)) return false;
      mode_ = t;
      top_ = probe_.g[at];
      curvature_ = g2;
      if (g1 * g1 < 1e-2 * g2) return true;
      double next = t + g1 / g2;
      // towards a side whose end is not known a step may be as long as it likes
      if (!(next > below && next < above)) next = 0.5 * (below + above);
      if (!std::isfinite(next) || next == t) return false;
      for (int halving = 0;; ++halving) {
        probe_.t.assign(1, next);
        evaluate(probe_);
        if (std::isfinite(probe_.g[0])) break;
        (next > t ? above : below) = next;
        next = 0.5 * (next + t);
        if (halving == 100) return false;
      }
      at = 0;
      t = next;
      if (slope(probe_, 0) > 0.0)
        below = std::max(below, t);
      else
        above = std::min(above, t);
    }
    return false;
  }

  double joint_mode(double centre) {
    probe2_.t.assign(1, centre);
    evaluate(probe2_);
    const double information = std::isfinite(probe2_.l[0]) ? sd_ * sd_ * probe2_.w[0] : 0.0;
    return information > 0.0 ? centre * (information / (1.0 + information)) : 0.5 * centre;
  }

  // Where a concave g has fallen by `drop` or a little more. Newton's method from outside stays
  // outside; from inside it leads there.
  bool ends() {
    const double target = top_ - drop;
    const double first = std::sqrt(2.0 * drop / curvature_) * 1.02;
    double inner[2] = {mode_, mode_}, outer[2] = {-infinity, infinity};
    double at[2] = {mode_ - first, mode_ + first};
    bool done[2] = {false, false};
    for (int step = 0; step < 60 && !(done[0] && done[1]); ++step) {
      probe_.t.assign(at, at + 2);
      evaluate(probe_);
      for (int side = 0; side < 2; ++side) {
        if (done[side]) continue;
        const double g = probe_.g[side], g1 = slope(probe_, side);
        const bool inside = g > target;
        (inside ? inner : outer)[side] = at[side];
        if (!inside && g > target - 4.0) {
          done[side] = true;
          continue;
        }
        double next = at[side] - (g - target + 1.0) / g1;
        const double low = std::min(inner[side], outer[side]);
        const double high = std::max(inner[side], outer[side]);
        // A density that ends here has no such point.
        if (std::isfinite(low) && std::isfinite(high) && high - low < 1e-3 * (first + 1e-300))
          return false;
        if (!std::isfinite(g) || !(next > low && next < high)) {
          next = 0.5 * (low + high);
          if (!std::isfinite(next)) next = at[side] + (side == 0 ? -first : first);
        }
        at[side] = next;
      }
    }
    left_ = at[0];
    right_ = at[1];
    return done[0] && done[1];
  }

  struct Sums {
    double z = 0.0, x = 0.0, xx = 0.0, s = 0.0, ss = 0.0, w = 0.0;
    void add(double p, double x_k, double s_k, double w_k) {
      z += p;
      x += p * x_k;
      xx += p * x_k * x_k;
      s += p * s_k;
      ss += p * s_k * s_k;
      w += p * w_k;
    }
    double mean() const { return x / z; }
    double variance() const { return xx / z - (x / z) * (x / z); }
    double score() const { return s / z; }
    double curvature() const { return w / z - (ss / z - (s / z) * (s / z)); }
  };

  // The trapezoid rule on [left, right], halving the step until nothing moves any more.
  bool trapezoid(TiltedValues& out) {
    const double width = right_ - left_;
    Sums sums;
    s_shift_ = 0.0;
    bool shifted = false;
    double noise = 0.0;
    double before_z = 0.0, before_mean = 0.0, before_variance = 0.0, before_score = 0.0,
           before_curve = 0.0;
    weight_out_.clear();
    eta_out_.clear();
    for (int count = coarse; count <= finest; count *= 2) {
      const double h = width / count;
      grid_.clear();
      const int stride = count == coarse ? 1 : 2;
      for (int k = stride - 1; k <= count; k += stride) grid_.t.push_back(left_ + h * k);
      evaluate(grid_);
      const std::size_t n = grid_.size();
      if (!shifted) {  // the score at the best node, about which its moments are taken
        std::size_t best = 0;
        for (std::size_t k = 1; k < n; ++k)
          if (grid_.g[k] > grid_.g[best]) best = k;
        s_shift_ = grid_.s[best];
        shifted = true;
        // Where l is so steep that the rounding of eta shows, no step makes it better.
        noise = std::min(1e-15 * std::fabs(grid_.eta[best] * s_shift_), 1e-4);
      }
      for (std::size_t k = 0; k < n; ++k) {
        const double p = std::exp(grid_.g[k] - top_);
        if (!(p < 1e8)) return false;  // a peak that was not seen
        weight_out_.push_back(p);
        eta_out_.push_back(grid_.eta[k]);
        sums.add(p, grid_.t[k] - mode_, grid_.s[k] - s_shift_, grid_.w[k]);
      }
      const double log_z = std::log(sums.z * h), mean = sums.mean(), variance = sums.variance();
      // A bend of the density in the tail moves little and settles late.
      const double near = 1e-8 + noise, far = 1e-9 + noise;
      const double score = sd_ * sums.score(), curve = sd_ * sd_ * sums.curvature();
      if (count > coarse && std::fabs(log_z - before_z) < near &&
          std::fabs(mean - before_mean) < near * std::sqrt(variance) &&
          std::fabs(variance - before_variance) < near * variance &&
          (by_normal(variance) ||
           (std::fabs(score - before_score) < far && std::fabs(curve - before_curve) < far))) {
        finish(sums, h, out, false);
        return finite(out);
      }
      before_z = log_z;
      before_mean = mean;
      before_variance = variance;
      before_score = score;
      before_curve = curve;
    }
    return false;
  }

  // log Z = log of the integral of exp(g), and its derivatives by the mean: those of the density
  // where it is what matters, those of the normal factor where that is (or where the density ends).
  void finish(const Sums& sums, double h, TiltedValues& out, bool ended) {
    const double mean = sums.mean(), variance = sums.variance();
    out.log_z = std::log(sums.z * h) + top_ - log_sqrt_2pi;
    if (ended || by_normal(variance)) {
      out.alpha = (mode_ + mean) / sd_;
      out.gamma = (1.0 - variance) / (sd_ * sd_);
    } else {
      out.alpha = s_shift_ + sums.score();
      out.gamma = sums.curvature();
    }
    for (double& weight : weight_out_) weight /= sums.z;
  }
  static bool by_normal(double variance) { return variance < 0.5; }
  static bool finite(const TiltedValues& out) {
    return std::isfinite(out.log_z) && std::isfinite(out.alpha) && std::isfinite(out.gamma);
  }

  // ---- densities that may have several maxima, or end somewhere

  struct Sample {
    double t, l, g;
    bool operator<(const Sample& other) const { return t < other.t; }
  };

  // The log density at the points of `next`, which join those of the scan.
  void sample() {
    const std::size_t n = next_.size();
    if (grid_.eta.size() < n) grid_.eta.resize(n);
    if (grid_.l.size() < n) grid_.l.resize(n);
    for (std::size_t k = 0; k < n; ++k) grid_.eta[k] = mean_ + sd_ * next_[k];
    family_.row_values(row_, grid_.eta.data(), static_cast<Eigen::Index>(n), grid_.l.data());
    for (std::size_t k = 0; k < n; ++k)
      samples_.push_back({next_[k], grid_.l[k], grid_.l[k] - 0.5 * next_[k] * next_[k]});
    next_.clear();
    std::sort(samples_.begin(), samples_.end());
    samples_.erase(std::unique(samples_.begin(), samples_.end(),
                               [](const Sample& a, const Sample& b) { return a.t == b.t; }),
                   samples_.end());
    best_ = 0;
    largest_ = -infinity;
    for (std::size_t k = 0; k < samples_.size(); ++k) {
      if (samples_[k].g > samples_[best_].g) best_ = k;
      largest_ = std::max(largest_, samples_[k].l);
    }
    mode_ = samples_[best_].t;
    top_ = samples_[best_].g;
    // Beyond this the normal factor is negligible whatever the density.
    reach_ = std::isfinite(top_) ? std::sqrt(2.0 * (largest_ - top_ + drop + 3.0)) : infinity;
  }

  // Points about the means of both factors on all scales, and the range of those that matter.
  bool scan() {
    samples_.clear();
    next_.clear();
    for (double step : {0.0, 0.3, 0.7, 1.2, 2.0, 3.0, 4.5, 6.5, 8.3}) both(0.0, step);
    const double centre = (family_.row_centre(row_) - mean_) / sd_;
    if (std::isfinite(centre)) {
      probe_.t.assign(1, centre);
      evaluate(probe_);
      const double information = std::isfinite(probe_.l[0]) ? sd_ * sd_ * probe_.w[0] : 0.0;
      const double scale = 1.0 / std::sqrt(1.0 + std::max(information, 0.0));
      for (double step : {0.0, 0.5, 1.0, 2.0, 3.0, 5.0, 8.0}) both(centre, scale * step);
      sample();
      for (int k = 1; k < 16; ++k) within(centre * k / 16.0);
      // all scales between that of the density and that of the normal factor
      for (double step = 12.0 * scale; step < 20.0; step *= 1.6) {
        within(centre + step);
        within(centre - step);
      }
    }
    sample();
    // the scales of the link
    within(-mean_ / sd_);
    for (double eta = 0.25; eta < 600.0; eta *= 2.0) {
      within((eta - mean_) / sd_);
      within((-eta - mean_) / sd_);
    }
    sample();
    return narrow();
  }
  void both(double centre, double step) {
    next_.push_back(centre + step);
    if (step != 0.0) next_.push_back(centre - step);
  }
  void within(double t) {
    if (std::fabs(t) < reach_) next_.push_back(t);
  }

  // The range where g is within `drop` of its top, refined.
  bool narrow() {
    for (int pass = 0;; ++pass) {
      const std::size_t n = samples_.size();
      if (!std::isfinite(top_)) return false;
      std::size_t first = 0, last = n - 1;
      while (!(samples_[first].g > top_ - drop)) ++first;
      while (!(samples_[last].g > top_ - drop)) --last;
      left_ = std::max(first > 0 ? samples_[first - 1].t : -reach_, -reach_);
      right_ = std::min(last + 1 < n ? samples_[last + 1].t : reach_, reach_);
      // A finite density beside one that is zero: it ends between.
      ends_inside_ = false;
      for (std::size_t k = first > 0 ? first - 1 : 0; k <= last && k + 1 < n; ++k)
        if (std::isfinite(samples_[k].l) != std::isfinite(samples_[k + 1].l)) ends_inside_ = true;
      if (!(right_ > left_)) return false;
      if (pass == 2) return !ends_inside_;
      if (first > 0) split(first - 1, 6);
      if (last + 1 < n) split(last, 6);
      if (best_ > first) split(best_ - 1, 3);
      if (best_ < last) split(best_, 3);
      sample();
    }
  }
  void split(std::size_t k, int parts) {
    const double from = samples_[k].t, to = samples_[k + 1].t;
    for (int j = 1; j < parts; ++j) next_.push_back(from + (to - from) * j / parts);
  }

  // Gauss-Legendre panels between the points of the scan, halved until they agree.
  bool panels(TiltedValues& out) {
    left_ = right_ = 0.0;
    scan();
    if (!(right_ > left_) || !std::isfinite(top_)) return false;
    const bool ended = ends_inside_;
    std::vector<double> breaks(1, left_);
    for (std::size_t k = 0; k < samples_.size(); ++k) {
      const double t = samples_[k].t;
      const bool here = std::isfinite(samples_[k].l);
      if (k > 0 && here != std::isfinite(samples_[k - 1].l)) {
        const double edge = boundary(samples_[k - 1].t, t, here);
        if (edge > left_ && edge < right_) breaks.push_back(edge);
      }
      if (t > left_ && t < right_) breaks.push_back(t);
    }
    breaks.push_back(right_);
    std::sort(breaks.begin(), breaks.end());
    weight_out_.clear();
    eta_out_.clear();
    s_shift_ = 0.0;
    probe_.t.assign(1, mode_);
    evaluate(probe_);
    s_shift_ = probe_.s[0];
    struct Panel {
      double from, to;
      Sums sums;
      int depth;
    };
    std::vector<Panel> stack;
    double rough = 0.0;
    for (std::size_t k = 0; k + 1 < breaks.size(); ++k)
      if (breaks[k + 1] > breaks[k]) {
        const Panel panel{breaks[k], breaks[k + 1], gauss(breaks[k], breaks[k + 1], false), 0};
        rough += panel.sums.z;
        stack.push_back(panel);
      }
    if (!(rough > 0.0) || !std::isfinite(rough)) return false;
    Sums total;
    int evaluations = 0;
    while (!stack.empty()) {
      const Panel panel = stack.back();
      stack.pop_back();
      const double middle = 0.5 * (panel.from + panel.to);
      const Sums a = gauss(panel.from, middle, false), b = gauss(middle, panel.to, false);
      if (++evaluations > 20000) return false;
      const auto agrees = [&](double whole, double left, double right, double size) {
        return std::fabs(whole - left - right) <= 1e-13 * size;
      };
      const double reach = std::max(std::fabs(panel.from - mode_), std::fabs(panel.to - mode_));
      const double spread = rough;
      bool good = agrees(panel.sums.z, a.z, b.z, spread) &&
                  agrees(panel.sums.xx, a.xx, b.xx, spread * std::max(1e-4, reach * reach) * 1e-1);
      if (!ended)
        good = good && agrees(panel.sums.ss, a.ss, b.ss, spread / (sd_ * sd_)) &&
               agrees(panel.sums.w, a.w, b.w, spread / (sd_ * sd_));
      if (good || panel.depth >= 60 || !(middle > panel.from && middle < panel.to)) {
        for (const Sums* part : {&a, &b}) {
          total.z += part->z;
          total.x += part->x;
          total.xx += part->xx;
          total.s += part->s;
          total.ss += part->ss;
          total.w += part->w;
        }
        gauss(panel.from, middle, true);
        gauss(middle, panel.to, true);
      } else {
        stack.push_back({panel.from, middle, a, panel.depth + 1});
        stack.push_back({middle, panel.to, b, panel.depth + 1});
      }
    }
    if (!(total.z > 0.0) || !std::isfinite(total.xx)) return false;
    finish(total, 1.0, out, ended);
    return finite(out);
  }

  // Where, between two points, the density begins or ends.
  double boundary(double from, double to, bool begins) {
    for (int step = 0; step < 200; ++step) {
      const double middle = 0.5 * (from + to);
      if (!(middle > from && middle < to)) break;
      probe_.t.assign(1, middle);
      evaluate(probe_);
      if (std::isfinite(probe_.l[0]) == begins)
        to = middle;
      else
        from = middle;
    }
    return begins ? to : from;
  }

  Sums gauss(double from, double to, bool keep) {
    constexpr int half = 8;
    constexpr double node[half] = {0.0950125098376374401853, 0.2816035507792589132305,
                                   0.4580167776572273863424, 0.6178762444026437484467,
                                   0.7554044083550030338951, 0.8656312023878317438805,
                                   0.9445750230732325760779, 0.9894009349916499325962};
    constexpr double share[half] = {0.1894506104550684962854, 0.1826034150449235888668,
                                    0.1691565193950025381893, 0.1495959888165767320815,
                                    0.1246289712555338720525, 0.0951585116824927848099,
                                    0.0622535239386478928628, 0.0271524594117540948518};
    const double middle = 0.5 * (from + to), radius = 0.5 * (to - from);
    grid_.clear();
    for (int k = 0; k < half; ++k) {
      grid_.t.push_back(middle - radius * node[k]);
      grid_.t.push_back(middle + radius * node[k]);
    }
    evaluate(grid_);
    Sums sums;
    for (int k = 0; k < 2 * half; ++k) {
      const double p = radius * share[k / 2] * std::exp(grid_.g[k] - top_);
      if (!(p > 0.0)) continue;
      sums.add(p, grid_.t[k] - mode_, grid_.s[k] - s_shift_, grid_.w[k]);
      if (!keep) continue;
      weight_out_.push_back(p);
      eta_out_.push_back(grid_.eta[k]);
    }
    return sums;
  }

  static constexpr double infinity = std::numeric_limits<double>::infinity();
  static constexpr double log_sqrt_2pi = 0.91893853320467274178;

  const Family& family_;
  bool log_concave_;
  Eigen::Index row_ = 0;
  double mean_ = 0.0, sd_ = 0.0;
  double mode_ = 0.0, top_ = 0.0, curvature_ = 1.0, left_ = 0.0, right_ = 0.0, s_shift_ = 0.0;
  bool ends_inside_ = false;
  double reach_ = 0.0, largest_ = 0.0;
  std::size_t best_ = 0;
  Points probe_, probe2_, grid_;
  std::vector<Sample> samples_;
  std::vector<double> next_;
  std::vector<double> eta_out_, weight_out_;
};

}  // namespace partialpool

#endif
