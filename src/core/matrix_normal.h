#ifndef PARTIALPOOL_MATRIX_NORMAL_H
#define PARTIALPOOL_MATRIX_NORMAL_H

#include <Eigen/Dense>
#include <algorithm>
#include <cmath>
#include <functional>
#include <limits>
#include <string>
#include <utility>
#include <vector>

#include "dense_kernels.h"
#include "descent.h"
#include "streaming_qr.h"

namespace partialpool {

// Several traits: Y (n x t) matrix normal with mean X B, rows K and I:
//   vec(Y) ~ N((I (x) X) vec(B), C0 (x) K + C1 (x) I).
//
// With C1 = L L' and L^-1 C0 L^-T = U Gamma U' the columns of Y A, A = L^-T U, are independent with
// covariances gamma_k K + I: one trait after the other, as in the spectral model. In internal
// coordinates X is orthonormal up to sqrt(n), K has a mean diagonal of 1, and Y has the residual
// cross-product n I.
class MatrixNormalModel {
 public:
  using ConstMatrix = Eigen::Ref<const Eigen::MatrixXd>;
  using Matrix = Eigen::MatrixXd;
  using Vector = Eigen::VectorXd;

  MatrixNormalModel(const ConstMatrix& vectors, const Vector& values, const ConstMatrix& x,
                    const ConstMatrix& y, bool reml)
      : n_(x.rows()), r_(values.size()), p_(x.cols()), t_(y.cols()), reml_(reml) {
    nu_ = static_cast<double>(n_ - (reml ? p_ : 0));
    mean_diagonal_ = r_ > 0 ? values.sum() / static_cast<double>(n_) : 1.0;
    s_ = (values / mean_diagonal_).array();
    Matrix xy = standardise(x, y);
    if (!full_rank_ || exact_) return;
    rotated_.noalias() = vectors.transpose() * xy;
    complement_ = Matrix::Zero(p_ + t_, p_ + t_);
    if (r_ < n_) {
      xy.noalias() -= vectors * rotated_;
      complement_ = xy.transpose() * xy;
    }
  }

  bool full_rank() const { return full_rank_; }
  bool exact() const { return exact_; }  // X fits some combination of the traits
  Eigen::Index traits() const { return t_; }

  // The criterion, -2 log-likelihood with all constants, and its derivatives by C0 and C1 (as if
  // all their entries were free), in internal coordinates.
  struct Value {
    double criterion = std::numeric_limits<double>::infinity();
    Matrix by_c0, by_c1;
    Matrix b;                              // p x t, best coefficients
    Matrix a, gamma_weights;               // A (t x t); weights 1 / (gamma_k S_i + 1), r x t
    std::vector<Eigen::LLT<Matrix>> chol;  // of X'V^-1 X, by transformed trait
    double rss = 0.0;
  };

  // With B held (internal coordinates) the criterion is that at B.
  Value evaluate(const Matrix& c0, const Matrix& c1, const Matrix* held = nullptr) const {
    Value out;
    const Eigen::LLT<Matrix> llt(c1);
    if (llt.info() != Eigen::Success) return out;
    const Matrix l = llt.matrixL();
    const Matrix inner = l.triangularView<Eigen::Lower>().solve(
        l.triangularView<Eigen::Lower>().solve(c0).transpose().eval());
    const Eigen::SelfAdjointEigenSolver<Matrix> eigen(0.5 * (inner + inner.transpose()));
    if (eigen.info() != Eigen::Success) return out;
    out.a = l.transpose().triangularView<Eigen::Upper>().solve(eigen.eigenvectors());
    const Vector gamma = eigen.eigenvalues().cwiseMax(0.0);
    const Matrix a_inverse = (l * eigen.eigenvectors()).transpose();  // A^-1 = U'L'
    double criterion =
        nu_ * (static_cast<double>(t_) * log_2pi + 2.0 * l.diagonal().array().log().sum());
    out.gamma_weights.resize(r_, t_);
    Matrix z(r_, t_), v(p_ + t_, t_), coefficients(p_, t_);
    Vector trace0(t_), trace1(t_);
    for (Eigen::Index k = 0; k < t_; ++k) {
      const Eigen::ArrayXd d = gamma[k] * s_ + 1.0;
      const Eigen::ArrayXd w = d.inverse();
      out.gamma_weights.col(k) = w;
      criterion += d.log().sum();
      weighted_.noalias() = w.matrix().asDiagonal() * rotated_;
      Matrix hx(p_, p_ + t_);
      if (p_ > 0) hx = rotated_.leftCols(p_).transpose() * weighted_ + complement_.topRows(p_);
      trace0[k] = (s_ * w).sum();
      trace1[k] = w.sum() + static_cast<double>(n_ - r_);
      const Eigen::LLT<Matrix> chol(hx.leftCols(p_));
      if (p_ > 0 && chol.info() != Eigen::Success) return out;
      if (p_ > 0) {
        if (held)
          coefficients.col(k) = *held * out.a.col(k);
        else
          coefficients.col(k) = chol.solve(hx.rightCols(t_) * out.a.col(k));
      }
      if (reml_ && p_ > 0) {
        criterion += 2.0 * chol.matrixLLT().diagonal().array().log().sum();
        const Matrix wx = weighted_.leftCols(p_);
        trace0[k] -= chol.solve(Matrix(wx.transpose() * s_.matrix().asDiagonal() * wx)).trace();
        trace1[k] -=
            chol.solve(Matrix(wx.transpose() * wx + complement_.topLeftCorner(p_, p_))).trace();
      }
      v.col(k).head(p_) = -coefficients.col(k);
      v.col(k).tail(t_) = out.a.col(k);
      z.col(k).noalias() = weighted_ * v.col(k);
      out.chol.push_back(chol);
    }
    const Matrix outside = v.transpose() * complement_ * v;
    out.rss = (z.array().square() / out.gamma_weights.array()).sum() + outside.trace();
    Matrix m0 = z.transpose() * s_.matrix().asDiagonal() * z, m1 = z.transpose() * z + outside;
    m0 = -m0;
    m1 = -m1;
    m0.diagonal() += trace0;
    m1.diagonal() += trace1;
    out.by_c0 = out.a * m0 * out.a.transpose();
    out.by_c1 = out.a * m1 * out.a.transpose();
    out.b = coefficients;
    if (held)
      out.b = *held;
    else if (p_ > 0)
      out.b = coefficients * a_inverse;
    out.criterion = criterion + out.rss + shift_;
    if (!std::isfinite(out.criterion)) out.criterion = std::numeric_limits<double>::infinity();
    return out;
  }

  // ---- Parameters: C1 = L L' by the lower triangle of L with log diagonal, then C0 = F F' by the
  // lower trapezium of F (t x rank).

  Eigen::Index n_parameters(Eigen::Index rank) const {
    return t_ * (t_ + 1) / 2 + rank * t_ - rank * (rank - 1) / 2;
  }
  void unpack(const Vector& x, Eigen::Index rank, Matrix& f, Matrix& l) const {
    l = Matrix::Zero(t_, t_);
    f = Matrix::Zero(t_, rank);
    Eigen::Index at = 0;
    for (Eigen::Index j = 0; j < t_; ++j)
      for (Eigen::Index i = j; i < t_; ++i) l(i, j) = i == j ? std::exp(x[at++]) : x[at++];
    for (Eigen::Index j = 0; j < rank; ++j)
      for (Eigen::Index i = j; i < t_; ++i) f(i, j) = x[at++];
  }
  // F may be any factor of C0: it is turned into a trapezium.
  Vector pack(const Matrix& f, const Matrix& l) const {
    const Eigen::Index rank = f.cols();
    Vector x(n_parameters(rank));
    Eigen::Index at = 0;
    for (Eigen::Index j = 0; j < t_; ++j)
      for (Eigen::Index i = j; i < t_; ++i) x[at++] = i == j ? std::log(l(i, j)) : l(i, j);
    const Eigen::HouseholderQR<Matrix> qr(f.transpose());
    Matrix r = qr.matrixQR().topRows(rank).triangularView<Eigen::Upper>();
    for (Eigen::Index j = 0; j < rank; ++j) {
      if (r(j, j) < 0.0) r.row(j) *= -1.0;
      for (Eigen::Index i = j; i < t_; ++i) x[at++] = r(j, i);
    }
    return x;
  }
  // Value and gradient by the parameters.
  double value(const Vector& x, Eigen::Index rank, Vector* gradient) const {
    Matrix f, l;
    unpack(x, rank, f, l);
    const Value v = evaluate(f * f.transpose(), l * l.transpose());
    ++evaluations_;
    if (gradient && std::isfinite(v.criterion)) {
      const Matrix gl = 2.0 * v.by_c1 * l, gf = 2.0 * v.by_c0 * f;
      gradient->resize(x.size());
      Eigen::Index at = 0;
      for (Eigen::Index j = 0; j < t_; ++j)
        for (Eigen::Index i = j; i < t_; ++i)
          (*gradient)[at++] = i == j ? gl(i, j) * l(i, i) : gl(i, j);
      for (Eigen::Index j = 0; j < rank; ++j)
        for (Eigen::Index i = j; i < t_; ++i) (*gradient)[at++] = gf(i, j);
    }
    return v.criterion;
  }
  // The user's (vec B, lower triangles of C0 and of C1) as functions of the parameters.
  Vector natural(const Vector& x, Eigen::Index rank) const {
    Matrix f, l;
    unpack(x, rank, f, l);
    const Matrix b = coefficients(evaluate(f * f.transpose(), l * l.transpose()).b);
    Vector out(p_ * t_ + t_ * (t_ + 1));
    out.head(p_ * t_) = Eigen::Map<const Vector>(b.data(), b.size());
    Eigen::Index at = p_ * t_;
    for (const Matrix& c : {c0(f), c1(l)})
      for (Eigen::Index j = 0; j < t_; ++j)
        for (Eigen::Index i = j; i < t_; ++i) out[at++] = c(i, j);
    return out;
  }
  // Their covariance by the observed information at an optimum: that of B given the rest, and what
  // the rest adds. Empty where the information is not positive definite.
  Matrix vcov_full(const Vector& x, Eigen::Index rank, const Matrix& of_b) const {
    const Matrix h = hessian(x, rank);
    if (h.size() == 0) return Matrix();
    const Eigen::SelfAdjointEigenSolver<Matrix> eigen(0.5 * h);
    if (!(eigen.eigenvalues()[0] > 1e-9 * eigen.eigenvalues()[x.size() - 1])) return Matrix();
    Matrix slope(p_ * t_ + t_ * (t_ + 1), x.size());
    for (Eigen::Index j = 0; j < x.size(); ++j) {
      const double step = 1e-5 * std::max(1.0, std::fabs(x[j]));
      Vector up = x, down = x;
      up[j] += step;
      down[j] -= step;
      slope.col(j) = (natural(up, rank) - natural(down, rank)) / (2.0 * step);
    }
    Matrix out = slope * eigen.eigenvectors() * eigen.eigenvalues().cwiseInverse().asDiagonal() *
                 eigen.eigenvectors().transpose() * slope.transpose();
    out.topLeftCorner(p_ * t_, p_ * t_) += of_b;
    return out;
  }
  // Second derivatives, from differences of the exact gradient.
  Matrix hessian(const Vector& x, Eigen::Index rank) const {
    Matrix h(x.size(), x.size());
    Vector up, down;
    for (Eigen::Index j = 0; j < x.size(); ++j) {
      const double step = 1e-5 * std::max(1.0, std::fabs(x[j]));
      Vector y = x;
      y[j] = x[j] + step;
      const double a = value(y, rank, &up);
      y[j] = x[j] - step;
      const double b = value(y, rank, &down);
      if (!std::isfinite(a) || !std::isfinite(b)) return Matrix();
      h.col(j) = (up - down) / (2.0 * step);
    }
    return 0.5 * (h + h.transpose());
  }

  struct Optimum : Descent {
    Optimum() = default;
    Optimum(Descent descent) : Descent(std::move(descent)) {}
    int evaluations = 0, starts = 0;
  };
  using Monitor = std::function<void()>;

  // The best of several starts: shares of the kernel of 1/2, 1/10 and 9/10 of every trait, and what
  // each trait says alone.
  Optimum optimise(Eigen::Index rank, double tolerance, int max_iterations,
                   const Monitor& monitor) const {
    evaluations_ = 0;
    Optimum best;
    std::vector<Optimum> found;
    for (const Vector& start : starts(rank)) {
      Optimum one = quasi_newton(start, rank, 1e-3, max_iterations, monitor);
      if (std::isfinite(one.value)) found.push_back(std::move(one));
    }
    std::sort(found.begin(), found.end(),
              [](const Optimum& a, const Optimum& b) { return a.value < b.value; });
    int iterations = 0;
    for (const Optimum& one : found) iterations += one.iterations;
    // Those that came near the best are finished; starts that led to one place need it once.
    for (std::size_t i = 0; i < found.size(); ++i) {
      if (i > 0 && (found[i].value > best.value + 0.1 || near(found[i], found[i - 1], rank)))
        continue;
      Optimum one = finish(found[i].x, rank, tolerance, max_iterations, monitor);
      iterations += one.iterations;
      if (one.value < best.value) best = std::move(one);
    }
    best.starts = static_cast<int>(found.size());
    best.iterations = iterations;
    best.evaluations = evaluations_;
    return best;
  }

  // ---- The user's units

  Matrix c0(const Matrix& f) const {
    const Matrix root = y_factor_ * f;
    return root * root.transpose() / mean_diagonal_;
  }
  Matrix c1(const Matrix& l) const {
    const Matrix root = y_factor_ * l;
    return root * root.transpose();
  }
  Matrix internal_c0(const Matrix& c0) const { return mean_diagonal_ * to_internal(c0); }
  Matrix to_internal(const Matrix& c) const {
    const auto t = y_factor_.triangularView<Eigen::Lower>();
    return t.solve(t.solve(c).transpose().eval());
  }
  Matrix coefficients(const Matrix& b) const {
    if (p_ == 0) return b;
    return origin_ + map_ * b * y_factor_.transpose();
  }
  Matrix internal_coefficients(const Matrix& b) const {
    const auto t = y_factor_.triangularView<Eigen::Lower>();
    if (p_ == 0) return b;
    const Matrix rest = map_.partialPivLu().solve(b - origin_);
    return t.solve(rest.transpose()).transpose();
  }
  // Derivatives of the criterion by C0 and C1 of the user.
  Matrix user_by_c0(const Matrix& by_c0) const { return mean_diagonal_ * user_derivative(by_c0); }
  Matrix user_derivative(const Matrix& by_c) const {
    const auto t = y_factor_.transpose().triangularView<Eigen::Upper>();
    return t.solve(t.solve(by_c.transpose()).transpose());
  }

  // Covariance of vec(B), traits by traits: sum_k a^-1_k a^-1_k' (x) (X'V_k^-1 X)^-1.
  Matrix vcov(const Value& v) const {
    Matrix out = Matrix::Zero(p_ * t_, p_ * t_);
    if (p_ == 0) return out;
    const Matrix back = y_factor_ * v.a.transpose().inverse();  // columns by k
    for (Eigen::Index k = 0; k < t_; ++k) {
      const Matrix half = v.chol[k].matrixL().solve(Matrix(map_.transpose()));
      const Matrix block = half.transpose() * half;
      for (Eigen::Index i = 0; i < t_; ++i)
        for (Eigen::Index j = 0; j < t_; ++j)
          out.block(i * p_, j * p_, p_, p_) += back(i, k) * back(j, k) * block;
    }
    return out;
  }

  // V^-1 (Y - X B) as an n x t matrix, in the user's units, from the residuals of the user.
  static Matrix weighted_residuals(const ConstMatrix& vectors, const Vector& values,
                                   const Matrix& residuals, const Matrix& c0, const Matrix& c1) {
    const Eigen::LLT<Matrix> llt(c1);
    const Matrix l = llt.matrixL();
    const auto solve = [&](const Matrix& m) {
      return Matrix(l.triangularView<Eigen::Lower>().solve(m));
    };
    const Matrix inner = solve(solve(c0).transpose());
    const Eigen::SelfAdjointEigenSolver<Matrix> eigen(0.5 * (inner + inner.transpose()));
    const Matrix a = l.transpose().triangularView<Eigen::Upper>().solve(eigen.eigenvectors());
    Matrix e = residuals * a;
    Matrix rotated = vectors.transpose() * e;
    for (Eigen::Index k = 0; k < e.cols(); ++k) {
      const double gamma = std::max(0.0, eigen.eigenvalues()[k]);
      // 1 - 1 / (1 + gamma S)
      rotated.col(k).array() *= gamma * values.array() / (gamma * values.array() + 1.0);
    }
    e.noalias() -= vectors * rotated;
    return e * a.transpose();
  }

  // ---- Scan: a marker with an effect on every trait, covariances held up to a common factor.

  struct Scan {
    Matrix effects, se;  // markers x traits
    Vector rss;          // of the model with the marker
    double null_rss = 0.0;
  };

  // `at` is the null model in internal coordinates. Columns of g between the ends of two successive
  // sets are scanned jointly. Effects have a row a column of g, rss one a set; NaN where the
  // columns of a set depend on each other or on X.
  Scan scan(const ConstMatrix& vectors, const Value& at, const ConstMatrix& g,
            const std::vector<Eigen::Index>& ends) const {
    constexpr double none = std::numeric_limits<double>::quiet_NaN();
    const Eigen::Index b = g.cols(), sets = static_cast<Eigen::Index>(ends.size());
    Scan out;
    out.null_rss = at.rss;
    out.effects = Matrix::Constant(b, t_, none);
    out.se = Matrix::Constant(b, t_, none);
    out.rss = Vector::Constant(sets, none);
    // A shift in the span of X changes nothing but the digits that are lost.
    const Matrix centred = intercept_ ? Matrix(g.rowwise() - g.colwise().mean()) : Matrix(g);
    dense::Workspace workspace;
    Matrix inside = Matrix::Zero(r_, b), beyond, crossed = Matrix::Zero(p_ + t_, b);
    dense::gemm_add(inside, 1.0, vectors, true, centred, false, workspace);
    if (r_ < n_) {
      beyond = centred;
      dense::gemm_add(beyond, -1.0, vectors, false, inside, false, workspace);
      crossed.noalias() = standard_.transpose() * beyond;
    }
    // num: t x b;  u: L^-1 X'V^-1 g of each trait
    Matrix num(t_, b);
    std::vector<Matrix> u(t_);
    for (Eigen::Index k = 0; k < t_; ++k) {
      weighted_.noalias() = at.gamma_weights.col(k).asDiagonal() * rotated_;
      const Matrix products = weighted_.transpose() * inside + crossed;
      const Matrix hx = rotated_.leftCols(p_).transpose() * weighted_ + complement_.topRows(p_);
      num.row(k) = at.a.col(k).transpose() * products.bottomRows(t_);
      if (p_ == 0) continue;
      u[k] = at.chol[k].matrixL().solve(products.topRows(p_));
      const Vector ly = at.chol[k].matrixL().solve(hx.rightCols(t_) * at.a.col(k));
      num.row(k) -= ly.transpose() * u[k];
    }
    const Matrix back = y_factor_ * at.a.transpose().inverse();
    Eigen::Index from = 0;
    for (Eigen::Index set = 0; set < sets; ++set) {
      const Eigen::Index size = ends[set] - from;
      const auto in = inside.middleCols(from, size);
      Matrix effect(size, t_), variance(size, t_);
      double gained = 0.0;
      bool full = true;
      for (Eigen::Index k = 0; k < t_ && full; ++k) {
        Matrix den = in.transpose() * at.gamma_weights.col(k).asDiagonal() * in;
        if (r_ < n_)
          den += beyond.middleCols(from, size).transpose() * beyond.middleCols(from, size);
        const Vector whole = den.diagonal();
        if (p_ > 0) {
          const auto uk = u[k].middleCols(from, size);
          den -= uk.transpose() * uk;
        }
        const Vector root = whole.cwiseSqrt();
        const Eigen::LLT<Matrix> llt(root.cwiseInverse().asDiagonal() * den *
                                     root.cwiseInverse().asDiagonal());
        full = llt.info() == Eigen::Success &&
               (llt.matrixLLT().diagonal().array().square() > 1e-10).all();
        if (!full) break;
        const Matrix inverse = root.cwiseInverse().asDiagonal() *
                               llt.solve(Matrix::Identity(size, size)) *
                               root.cwiseInverse().asDiagonal();
        const Vector n = num.row(k).segment(from, size).transpose();
        effect.col(k) = inverse * n;
        variance.col(k) = inverse.diagonal();
        gained += n.dot(effect.col(k));
      }
      if (full) {
        out.rss[set] = at.rss - gained;
        const double s2 = out.rss[set] / static_cast<double>(n_ * t_);
        out.effects.middleRows(from, size) = effect * back.transpose();
        out.se.middleRows(from, size) = (s2 * variance * back.cwiseAbs2().transpose()).cwiseSqrt();
      }
      from = ends[set];
    }
    return out;
  }

  // log-likelihood at the null covariance times a factor refitted by maximum likelihood, from the
  // weighted residual sum of squares.
  double scaled_log_likelihood(const Value& at, double rss) const {
    const double nt = static_cast<double>(n_ * t_);
    double log_det = -2.0 * std::log(std::fabs(at.a.determinant())) * static_cast<double>(n_) -
                     at.gamma_weights.array().log().sum();
    log_det += 2.0 * static_cast<double>(n_) * y_factor_.diagonal().array().log().sum();
    return -0.5 * (nt * (log_2pi + 1.0 + std::log(rss / nt)) + log_det);
  }

 private:
  static constexpr double log_2pi = 1.8378770664093454836;

  Matrix standardise(const ConstMatrix& x, const ConstMatrix& y) {
    const double root_n = std::sqrt(static_cast<double>(n_));
    Vector unit(p_ + t_);
    Matrix scaled(n_, p_ + t_);
    for (Eigen::Index j = 0; j < p_ + t_; ++j) {
      const auto column = j < p_ ? x.col(j) : y.col(j - p_);
      unit[j] = binary_scale(column.cwiseAbs().maxCoeff());
      scaled.col(j) = column * unit[j];
    }
    const Vector norms = scaled.rightCols(t_).colwise().norm();
    const Eigen::HouseholderQR<Matrix> qr(scaled);
    const Eigen::Index rows = std::min(n_, p_ + t_);
    const Matrix r = qr.matrixQR().topRows(rows).triangularView<Eigen::Upper>();
    full_rank_ = rows == p_ + t_ &&
                 static_cast<Eigen::Index>(independent_columns(r.leftCols(p_), 1e-7).size()) == p_;
    if (!full_rank_) return scaled;
    const auto triangle = r.topLeftCorner(p_, p_).triangularView<Eigen::Upper>();
    Matrix b(p_, t_), to_standard(p_, p_);
    if (p_ > 0) {
      b = triangle.solve(r.topRightCorner(p_, t_));
      to_standard = root_n * triangle.solve(Matrix::Identity(p_, p_));
    }
    // Residuals E = Q2 R22:  E'E = R22'R22, so that Y~ = sqrt(n) Q2 and Y = X b + Y~ R22 / sqrt(n).
    const Matrix rest = r.bottomRightCorner(t_, t_);
    for (Eigen::Index j = 0; j < t_; ++j)
      exact_ = exact_ || !(std::fabs(rest(j, j)) > 1e-13 * norms[j]);
    if (exact_) return scaled;
    Matrix out = Matrix::Zero(n_, p_ + t_);
    out.diagonal().setConstant(root_n);
    Vector signs(t_);
    for (Eigen::Index j = 0; j < t_; ++j) {
      signs[j] = rest(j, j) < 0.0 ? -1.0 : 1.0;
      out(p_ + j, p_ + j) = signs[j] * root_n;
    }
    out.applyOnTheLeft(qr.householderQ());
    const Vector ux = unit.head(p_), uy = unit.tail(t_);
    y_factor_ = (signs.asDiagonal() * rest * uy.cwiseInverse().asDiagonal()).transpose() / root_n;
    origin_ = ux.asDiagonal() * b * uy.cwiseInverse().asDiagonal();
    map_ = ux.asDiagonal() * to_standard;
    shift_ = 2.0 * nu_ * y_factor_.diagonal().array().log().sum();
    if (reml_) {
      double log_det = -static_cast<double>(p_) * std::log(root_n);
      for (Eigen::Index j = 0; j < p_; ++j)
        log_det += std::log(std::fabs(r(j, j))) - std::log(ux[j]);
      shift_ += 2.0 * static_cast<double>(t_) * log_det;
    }
    if (r_ < n_) standard_ = out;
    // Is a constant in the span of X? Then markers may be centred.
    const Vector one = Vector::Ones(n_);
    const Vector fitted = out.leftCols(p_).transpose() * one / root_n;
    intercept_ = std::fabs(fitted.squaredNorm() / static_cast<double>(n_) - 1.0) < 1e-12;
    return out;
  }

  bool near(const Optimum& a, const Optimum& b, Eigen::Index rank) const {
    Matrix fa, la, fb, lb;
    unpack(a.x, rank, fa, la);
    unpack(b.x, rank, fb, lb);
    return std::fabs(a.value - b.value) < 1e-2 &&
           (fa * fa.transpose() - fb * fb.transpose()).cwiseAbs().maxCoeff() < 0.05 &&
           (la * la.transpose() - lb * lb.transpose()).cwiseAbs().maxCoeff() < 0.05;
  }

  // Internally the traits have unit covariance in all: what each trait alone says is on the
  // diagonal of the user's.
  std::vector<Vector> starts(Eigen::Index rank) const {
    std::vector<Vector> out;
    const auto add = [&](const Matrix& c0, const Matrix& c1) {
      const Eigen::SelfAdjointEigenSolver<Matrix> eigen(c0);
      const Matrix f = eigen.eigenvectors().rightCols(rank) *
                       eigen.eigenvalues().tail(rank).cwiseMax(1e-4).cwiseSqrt().asDiagonal();
      const Eigen::LLT<Matrix> llt(c1);
      if (llt.info() == Eigen::Success) out.push_back(pack(f, llt.matrixL()));
    };
    const Matrix one = Matrix::Identity(t_, t_);
    const Matrix spread = y_factor_ * y_factor_.transpose();
    // Shares by trait; off the diagonal as the residuals have them.
    const auto shared = [&](const Vector& share) {
      const Vector in = share.cwiseSqrt(), rest = (1.0 - share.array()).sqrt();
      add(to_internal(in.asDiagonal() * spread * in.asDiagonal()),
          to_internal(rest.asDiagonal() * spread * rest.asDiagonal()));
    };
    for (const double share : {0.5, 0.1, 0.9}) add(share * one, (1.0 - share) * one);
    Vector alone(t_);
    for (Eigen::Index j = 0; j < t_; ++j) alone[j] = share_of(y_factor_.row(j).transpose());
    shared(alone);
    return out;
  }

  // The best share of the kernel in one combination of the internal traits, on a coarse grid.
  double share_of(const Vector& a) const {
    double best = std::numeric_limits<double>::infinity(), share = 0.5;
    Matrix xy(r_, p_ + 1), turn = Matrix::Zero(p_ + t_, p_ + 1);
    turn.topLeftCorner(p_, p_).setIdentity();
    turn.col(p_).tail(t_) = a / a.norm();
    xy.noalias() = rotated_ * turn;
    const Matrix rest = turn.transpose() * complement_ * turn;
    for (double h = 0.025; h < 1.0; h += 0.05) {
      const Eigen::ArrayXd d = h * s_ + (1.0 - h);
      const Matrix all = xy.transpose() * d.inverse().matrix().asDiagonal() * xy + rest / (1.0 - h);
      const Eigen::LLT<Matrix> llt(all);
      if (llt.info() != Eigen::Success) continue;
      const Eigen::ArrayXd l = llt.matrixLLT().diagonal().array().log();
      double f =
          d.log().sum() + static_cast<double>(n_ - r_) * std::log(1.0 - h) + 2.0 * nu_ * l[p_];
      if (reml_) f += 2.0 * l.head(p_).sum();
      if (f < best) {
        best = f;
        share = h;
      }
    }
    return share;
  }

  Optimum quasi_newton(const Vector& start, Eigen::Index rank, double tolerance, int max_iterations,
                       const Monitor& monitor) const {
    return bfgs([&](const Vector& x, Vector* g) { return value(x, rank, g); }, start,
                1.0 / (2.0 * nu_), tolerance, 10 * max_iterations, monitor);
  }
  Optimum finish(const Vector& start, Eigen::Index rank, double tolerance, int max_iterations,
                 const Monitor& monitor) const {
    Optimum near =
        quasi_newton(start, rank, 1e-4 * std::min(tolerance, 1e-2), max_iterations, monitor);
    return polish([&](const Vector& x, Vector* g) { return value(x, rank, g); },
                  [&](const Vector& x) { return hessian(x, rank); }, std::move(near), tolerance,
                  monitor);
  }

  Eigen::Index n_, r_, p_, t_;
  bool reml_, full_rank_ = false, exact_ = false, intercept_ = false;
  double nu_ = 0.0, mean_diagonal_ = 1.0, shift_ = 0.0;
  Matrix y_factor_;      // lower triangular T:  Y = X origin + Y~ T'
  Matrix origin_, map_;  // B = origin + map B~ T'
  Eigen::ArrayXd s_;
  Matrix rotated_, complement_;  // Q'[X~ Y~];  cross-products of what is outside the span of Q
  Matrix standard_;              // [X~ Y~], where a scan needs it
  mutable Matrix weighted_;
  mutable int evaluations_ = 0;
};

}  // namespace partialpool

#endif
