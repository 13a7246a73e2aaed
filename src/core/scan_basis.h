#ifndef PARTIALPOOL_CORE_SCAN_BASIS_H
#define PARTIALPOOL_CORE_SCAN_BASIS_H

// What a scan prepares once: everything about the null model that the markers have to be multiplied
// by. With R the inverse covariance of the working response, P = R - R X (X'R X)^-1 X'R and e = P
// y, a marker m needs m'e and m'P m. Here
//
//   m'R m = |B'm|^2   or   sum_i w_i m_i^2 - |B'm|^2 ,     m'P m = m'R m - |C'm|^2 ,
//
// so that one product with the columns [B C e] holds all of it. The second form costs a product
// with as many columns as the kernel has rank; it subtracts, and gives way to the first one where
// too many digits would be lost.

#include <Eigen/Dense>
#include <algorithm>
#include <cmath>
#include <cstdint>

#include "dense_kernels.h"

namespace partialpool {

struct ScanBasis {
  Eigen::MatrixXd columns;   // n x (rank + covariates + 1): B, C, e
  Eigen::MatrixXd triangle;  // if not empty, B' as a lower triangle (and rank is 0)
  Eigen::VectorXd weights;   // w of the second form, empty for the first
  Eigen::Index rank = 0;
  Eigen::Index covariates = 0;
  bool centred = false;    // may markers be centred, 1 being in the span of X?
  double residual = 0.0;   // y'P y
  double log_det_r = 0.0;  // log |R^-1|, see the makers
  double log_det_x = 0.0;  // log |X'R X|
  bool ok = false;
};

namespace detail {

// n x k: an orthonormal basis of the complement of the columns of q. Random directions (a sequence
// of its own: the same every time) with their part along q taken off, twice for full accuracy.
inline Eigen::MatrixXd complement(const Eigen::Ref<const Eigen::MatrixXd>& q) {
  const Eigen::Index n = q.rows();
  const Eigen::Index k = n - q.cols();
  Eigen::MatrixXd z(n, k);
  std::uint64_t state = 20240229;
  for (double* value = z.data(); value != z.data() + z.size(); ++value) {
    state += 0x9e3779b97f4a7c15ULL;
    std::uint64_t bits = state;
    bits = (bits ^ (bits >> 30)) * 0xbf58476d1ce4e5b9ULL;
    bits = (bits ^ (bits >> 27)) * 0x94d049bb133111ebULL;
    *value = static_cast<double>((bits ^ (bits >> 31)) >> 11) / 4503599627370496.0 - 1.0;
  }
  dense::Workspace workspace;
  for (int pass = 0; pass < 2; ++pass) {
    Eigen::MatrixXd along = Eigen::MatrixXd::Zero(q.cols(), k);
    dense::gemm_add(along, 1.0, q, true, z, false, workspace);
    dense::gemm_add(z, -1.0, q, false, along, false, workspace);
    z = Eigen::HouseholderQR<Eigen::MatrixXd>(z).householderQ() * Eigen::MatrixXd::Identity(n, k);
  }
  return z;
}

inline Eigen::MatrixXd thin_q(const Eigen::HouseholderQR<Eigen::MatrixXd>& qr) {
  return qr.householderQ() * Eigen::MatrixXd::Identity(qr.rows(), qr.cols());
}

inline double log_abs_diagonal(const Eigen::HouseholderQR<Eigen::MatrixXd>& qr) {
  return qr.matrixQR().diagonal().head(qr.cols()).array().abs().log().sum();
}

// X with orthonormal columns (the span is all that matters), and log |X'X|.
struct OrthonormalX {
  Eigen::MatrixXd q;
  double log_det = 0.0;

  explicit OrthonormalX(const Eigen::Ref<const Eigen::MatrixXd>& x) : q(x) {
    if (x.cols() == 0) return;
    const Eigen::HouseholderQR<Eigen::MatrixXd> qr(x);
    q = thin_q(qr);
    log_det = 2.0 * log_abs_diagonal(qr);
  }

  bool spans_one() const {
    const Eigen::VectorXd one = Eigen::VectorXd::Ones(q.rows());
    return q.cols() > 0 && (one - q * (q.transpose() * one)).norm() < 1e-10 * one.norm();
  }

  Eigen::VectorXd residual(const Eigen::VectorXd& y) const { return y - q * (q.transpose() * y); }
};

// The parts C and e of a basis in the second form, or in the first with a triangle; `times_r`
// multiplies by R, `e` comes as R y.
template <class TimesR>
bool finish_by_cholesky(ScanBasis& basis, const OrthonormalX& x, const TimesR& times_r,
                        Eigen::VectorXd e) {
  const Eigen::Index p = x.q.cols();
  basis.covariates = p;
  basis.log_det_x = x.log_det;
  if (p > 0) {
    const Eigen::MatrixXd rx = times_r(x.q);
    const Eigen::LLT<Eigen::MatrixXd> llt(x.q.transpose() * rx);
    if (llt.info() != Eigen::Success) return false;
    Eigen::MatrixXd c = llt.matrixL().solve(rx.transpose()).transpose();
    e -= c * llt.matrixL().solve(x.q.transpose() * e);
    basis.columns.middleCols(basis.rank, p) = c;
    basis.log_det_x += 2.0 * llt.matrixLLT().diagonal().array().log().sum();
  }
  basis.columns.col(basis.rank + p) = e;
  return basis.columns.allFinite();
}

// The same for the first form: everything in the coordinates B'm, where R is the identity.
inline bool finish_by_qr(ScanBasis& basis, const Eigen::Ref<const Eigen::MatrixXd>& x,
                         const Eigen::VectorXd& y) {
  const auto b = basis.columns.leftCols(basis.rank);
  const Eigen::Index p = x.cols();
  basis.covariates = p;
  Eigen::VectorXd e = b.transpose() * y;
  if (p > 0) {
    const Eigen::HouseholderQR<Eigen::MatrixXd> qr(b.transpose() * x);
    const Eigen::MatrixXd q = thin_q(qr);
    for (int pass = 0; pass < 2; ++pass) e -= q * (q.transpose() * e);
    basis.columns.middleCols(basis.rank, p) = b * q;
    basis.log_det_x += 2.0 * log_abs_diagonal(qr);
  }
  basis.residual = e.squaredNorm();
  basis.columns.col(basis.rank + p) = b * e;
  return basis.columns.allFinite() && std::isfinite(basis.log_det_x);
}

}  // namespace detail

// y ~ N(X beta, s V), V = (1 - delta) K + delta I, K = Q diag(values) Q': R = V^-1, and log_det_r =
// log |V|. With delta = 0 and a singular K, the directions outside the range of K have no variance:
// X has to fit them exactly, and the limit is taken (log_det_r + log_det_x is that of the limit).
inline ScanBasis spectral_scan_basis(const Eigen::Ref<const Eigen::MatrixXd>& q,
                                     const Eigen::Ref<const Eigen::VectorXd>& values, double delta,
                                     const Eigen::Ref<const Eigen::MatrixXd>& x_in,
                                     const Eigen::Ref<const Eigen::VectorXd>& y_in) {
  using Eigen::Index;
  using Eigen::MatrixXd;
  using Eigen::VectorXd;
  const Index n = x_in.rows();
  const Index r = q.cols();
  const detail::OrthonormalX x(x_in);
  const VectorXd y = x.residual(y_in);
  const VectorXd d = ((1.0 - delta) * values.array() + delta).matrix();
  ScanBasis basis;
  basis.centred = x.spans_one();
  basis.log_det_r = (r > 0 ? d.array().log().sum() : 0.0) +
                    (r < n && delta > 0.0 ? static_cast<double>(n - r) * std::log(delta) : 0.0);

  const bool subtract_loses = r < n && (r == 0 ? delta <= 0.0 : delta < 1e-6 * d.maxCoeff());
  if (r < n && !subtract_loses && n - r > std::max<Index>(4, r / 16)) {
    basis.rank = r;
    basis.columns.resize(n, r + x.q.cols() + 1);
    if (r > 0) {
      basis.columns.leftCols(r) =
          q * (1.0 / delta - d.array().inverse()).sqrt().matrix().asDiagonal();
    }
    basis.weights = VectorXd::Constant(n, 1.0 / delta);
    const MatrixXd& columns = basis.columns;
    const auto times_r = [&](const MatrixXd& m) -> MatrixXd {
      if (r == 0) return m / delta;
      return m / delta - columns.leftCols(r) * (columns.leftCols(r).transpose() * m);
    };
    basis.ok = detail::finish_by_cholesky(basis, x, times_r, times_r(y));
    basis.residual = y.dot(basis.columns.col(r + x.q.cols()));
    return basis;
  }

  MatrixXd space = q;
  MatrixXd x_left = x.q;
  VectorXd y_left = y;
  basis.log_det_x = x.log_det;
  if (r < n) {
    const MatrixXd outside = detail::complement(q);
    const Index k = n - r;
    if (delta > 0.0) {
      space.conservativeResize(n, n);
      space.rightCols(k) = outside;
    } else {
      // Coefficients are spent on the k directions without variance; all else is measured on what
      // the columns x_fixed take along.
      if (k > x.q.cols()) return basis;
      const MatrixXd nx = outside.transpose() * x.q;
      const Eigen::HouseholderQR<MatrixXd> qr(nx.transpose());
      const MatrixXd turn = qr.householderQ() * MatrixXd::Identity(x.q.cols(), x.q.cols());
      const MatrixXd c = nx * turn.leftCols(k);
      const Eigen::ColPivHouseholderQR<MatrixXd> c_qr(c);
      if (!(c_qr.matrixR().diagonal().array().abs().minCoeff() > 1e-8)) return basis;
      const MatrixXd x_fixed = x.q * turn.leftCols(k) * c_qr.inverse();
      basis.log_det_x += 2.0 * c_qr.logAbsDeterminant();
      x_left = x.q * turn.rightCols(x.q.cols() - k);
      y_left = y - x_fixed * (outside.transpose() * y);
      space -= outside * (x_fixed.transpose() * q);
    }
  }
  basis.rank = space.cols();
  basis.columns.resize(n, basis.rank + x_left.cols() + 1);
  for (Index j = 0; j < basis.rank; ++j) {
    basis.columns.col(j) = space.col(j) / std::sqrt(j < r ? d(j) : delta);
  }
  basis.ok = detail::finish_by_qr(basis, x_left, y_left);
  return basis;
}

// Working response z with precisions T (zero: no information) around N(X beta, v0 K), or what is
// left of it when an iid part has been integrated out: R = T - T F (I + F'T F)^-1 F'T, F = root of
// v0 K. `pull` is T (z - X beta - offset) (for a Gaussian response with X beta left out, see
// `residual`). log_det_r is log |I + F'T F|: add the -log T_i for log |R^-1|.
inline ScanBasis site_scan_basis(const Eigen::Ref<const Eigen::MatrixXd>& f,
                                 const Eigen::Ref<const Eigen::VectorXd>& precision,
                                 const Eigen::Ref<const Eigen::VectorXd>& pull,
                                 const Eigen::Ref<const Eigen::MatrixXd>& x_in) {
  using Eigen::Index;
  using Eigen::MatrixXd;
  using Eigen::VectorXd;
  const Index n = x_in.rows();
  const Index r = f.cols();
  const detail::OrthonormalX x(x_in);
  dense::Workspace workspace;
  ScanBasis basis;
  basis.centred = x.spans_one();

  MatrixXd w(r, n);  // L^-1 F'T
  VectorXd e = pull;
  if (r > 0) {
    const MatrixXd tf = precision.asDiagonal() * f;
    MatrixXd b = MatrixXd::Identity(r, r);
    dense::gemm_add(b, 1.0, f, true, tf, false, workspace);
    if (!dense::cholesky_lower(b, workspace)) return basis;
    basis.log_det_r = 2.0 * b.diagonal().array().log().sum();
    w = tf.transpose();
    dense::solve_lower(b, w, workspace);
    // R (z - mean) = pull - T F B^-1 F' pull
    VectorXd u = f.transpose() * pull;
    b.triangularView<Eigen::Lower>().solveInPlace(u);
    e -= w.transpose() * u;
  }
  const auto times_r = [&](const MatrixXd& m) -> MatrixXd {
    MatrixXd product = precision.asDiagonal() * m;
    if (r > 0) product -= w.transpose() * (w * m);
    return product;
  };

  const bool positive = n > 0 && precision.minCoeff() >= 0.0;
  const double largest =  // of T v0 K
      r > 0 ? (precision.array() * f.rowwise().squaredNorm().array()).maxCoeff() : 0.0;
  if (positive && r > 0 && (2 * r > n || largest > 1e6)) {
    // I + T^1/2 v0 K T^1/2 = L L': R = T^1/2 L^-T L^-1 T^1/2
    const VectorXd root = precision.array().sqrt();
    const MatrixXd rf = root.asDiagonal() * f;
    MatrixXd l = -MatrixXd::Identity(n, n);
    dense::syrk_subtract_lower(l, rf, workspace);
    l = -l;
    if (!dense::cholesky_lower(l, workspace)) return basis;
    dense::invert_lower(l, workspace);
    l.triangularView<Eigen::StrictlyUpper>().setZero();
    basis.triangle = l * root.asDiagonal();
    basis.columns.resize(n, x.q.cols() + 1);
  } else {
    basis.rank = r;
    basis.columns.resize(n, r + x.q.cols() + 1);
    if (r > 0) basis.columns.leftCols(r) = w.transpose();
    basis.weights = precision;
  }
  basis.ok = detail::finish_by_cholesky(basis, x, times_r, e);
  const auto last = basis.columns.col(basis.rank + basis.covariates);
  for (Index i = 0; i < n; ++i) {
    if (precision(i) != 0.0) basis.residual += pull(i) / precision(i) * last(i);
  }
  return basis;
}

}  // namespace partialpool

#endif
