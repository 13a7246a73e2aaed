// Dense kernels against Eigen, at every level the processor has.

#include <Eigen/Dense>
#include <algorithm>
#include <cmath>
#include <limits>
#include <random>
#include <string>
#include <vector>

#include "check.h"
#include "dense_kernels.h"

namespace dense = partialpool::dense;
using Eigen::Index;
using Eigen::MatrixXd;
using Eigen::VectorXd;

namespace {

constexpr double nan_value = std::numeric_limits<double>::quiet_NaN();
constexpr double infinity = std::numeric_limits<double>::infinity();
constexpr double guard = 123456.0;

// Around the tile sizes (4, 6, 8, 12, 24), the widths at which the recursions stop (32, 96) and the
// packed blocks (120, 240, 256).
const std::vector<Index> sizes{0,   1,   2,   3,   4,   5,   6,   7,   8,   9,   11,
                               12,  13,  16,  23,  24,  25,  31,  32,  33,  47,  48,
                               49,  64,  95,  96,  97,  113, 119, 120, 121, 160, 191,
                               192, 193, 239, 240, 241, 255, 256, 257, 300};

std::mt19937_64 generator(20240229);

double uniform() {
  return static_cast<double>(generator() >> 11) / 4503599627370496.0 - 1.0;  // [-1, 1)
}

Index any_size() {
  return sizes[generator() % sizes.size()];
}

MatrixXd random_matrix(Index rows, Index columns) {
  MatrixXd m(rows, columns);
  for (Index j = 0; j < columns; ++j) {
    for (Index i = 0; i < rows; ++i) m(i, j) = uniform();
  }
  return m;
}

// A matrix inside a taller one, whose other rows must stay as they are.
struct Padded {
  MatrixXd storage;
  Index rows;
  Index above;

  explicit Padded(const MatrixXd& m)
      : storage(MatrixXd::Constant(m.rows() + 5, m.cols(), guard)), rows(m.rows()), above(2) {
    view() = m;
  }

  Eigen::Block<MatrixXd> view() { return storage.block(above, 0, rows, storage.cols()); }

  bool intact() const {
    return (storage.topRows(above).array() == guard).all() &&
           (storage.bottomRows(storage.rows() - above - rows).array() == guard).all();
  }
};

double largest(const MatrixXd& m) {
  return m.size() == 0 ? 0.0 : m.cwiseAbs().maxCoeff();
}

void same(const MatrixXd& actual, const MatrixXd& expected, const std::string& what,
          double tolerance = 1e-12) {
  if (actual.size() > 0 && !actual.allFinite()) {
    check::is_true(false, what + ": not finite");
    return;
  }
  check::is_close(largest(actual - expected) / std::max(1.0, largest(expected)), 0.0, tolerance,
                  what);
}

MatrixXd lower(const MatrixXd& m) {
  return m.triangularView<Eigen::Lower>();
}

// Lower triangle of m, NaN above it: reading the upper triangle shows.
MatrixXd poisoned(const MatrixXd& m) {
  MatrixXd out = MatrixXd::Constant(m.rows(), m.cols(), nan_value);
  out.triangularView<Eigen::Lower>() = m;
  return out;
}

bool upper_is_poisoned(const MatrixXd& m) {
  for (Index j = 1; j < m.cols(); ++j) {
    for (Index i = 0; i < j; ++i) {
      if (!std::isnan(m(i, j))) return false;
    }
  }
  return true;
}

MatrixXd positive_definite(Index n) {
  const MatrixXd x = random_matrix(n, n + 3);
  MatrixXd a = x * x.transpose() / static_cast<double>(n + 3);
  a.diagonal().array() += 0.5;
  return a;
}

// Well conditioned at any size.
MatrixXd lower_triangle(Index n) {
  MatrixXd l = lower(random_matrix(n, n)) / std::sqrt(static_cast<double>(n) + 1.0);
  for (Index i = 0; i < n; ++i) l(i, i) = 1.5 + 0.4 * uniform();
  return l;
}

std::string shape(const std::string& what, Index m, Index n, Index k) {
  return what + " " + std::to_string(m) + " x " + std::to_string(n) + " x " + std::to_string(k);
}

void test_products(Index m, Index n, Index k, dense::Workspace& workspace) {
  const MatrixXd a = random_matrix(m, k), b = random_matrix(n, k), c = random_matrix(m, n);
  Padded pa(a), pb(b), pc(c);
  dense::gemm_subtract_nt(pc.view(), pa.view(), pb.view(), workspace);
  same(pc.view(), c - a * b.transpose(), shape("gemm_subtract_nt", m, n, k));
  check::is_true(pc.intact(), shape("gemm_subtract_nt stays inside", m, n, k));
  for (int which = 0; which < 4; ++which) {
    const bool transpose_a = which & 1, transpose_b = which & 2;
    Padded qa(transpose_a ? MatrixXd(a.transpose()) : a);
    Padded qb(transpose_b ? b : MatrixXd(b.transpose()));
    Padded qc(c);
    dense::gemm_add(qc.view(), 0.75, qa.view(), transpose_a, qb.view(), transpose_b, workspace);
    same(qc.view(), c + 0.75 * a * b.transpose(),
         shape("gemm_add " + std::to_string(which), m, n, k));
    check::is_true(qc.intact(), shape("gemm_add stays inside", m, n, k));
  }
}

void test_syrk(Index n, Index k, dense::Workspace& workspace) {
  const MatrixXd a = random_matrix(n, k), c = random_matrix(n, n);
  Padded pa(a), pc(poisoned(c));
  dense::syrk_subtract_lower(pc.view(), pa.view(), workspace);
  same(lower(pc.view()), lower(c - a * a.transpose()), shape("syrk", n, n, k));
  check::is_true(pc.intact() && upper_is_poisoned(pc.view()), shape("syrk stays below", n, n, k));
}

void test_cholesky(Index n, dense::Workspace& workspace) {
  const MatrixXd a = positive_definite(n);
  Padded pa(poisoned(a));
  check::is_true(dense::cholesky_lower(pa.view(), workspace), shape("cholesky", n, n, n));
  same(lower(pa.view()), MatrixXd(a.llt().matrixL()), shape("cholesky", n, n, n));
  check::is_true(pa.intact() && upper_is_poisoned(pa.view()),
                 shape("cholesky stays below", n, n, n));
  dense::inverse_from_cholesky(pa.view(), workspace);
  MatrixXd expected = MatrixXd::Identity(n, n);
  if (n > 0) a.llt().solveInPlace(expected);
  same(pa.view(), expected, shape("inverse", n, n, n));
  check::is_true(pa.intact(), shape("inverse stays inside", n, n, n));
  check::is_true(pa.view() == pa.view().transpose(), shape("inverse is symmetric", n, n, n));
}

void test_invert_lower(Index n, dense::Workspace& workspace) {
  const MatrixXd l = lower_triangle(n);
  Padded pl(poisoned(l));
  dense::invert_lower(pl.view(), workspace);
  MatrixXd expected = MatrixXd::Identity(n, n);
  if (n > 0) l.triangularView<Eigen::Lower>().solveInPlace(expected);
  same(lower(pl.view()), expected, shape("invert_lower", n, n, n));
  check::is_true(pl.intact() && upper_is_poisoned(pl.view()),
                 shape("invert_lower stays below", n, n, n));
}

void test_solves(Index n, Index columns, dense::Workspace& workspace) {
  const MatrixXd l = lower_triangle(n), b = random_matrix(n, columns);
  Padded pl(poisoned(l)), forward(b), backward(b);
  dense::solve_lower(pl.view(), forward.view(), workspace);
  dense::solve_lower_transposed(pl.view(), backward.view(), workspace);
  MatrixXd x = b, y = b;
  if (b.size() > 0) {  // Eigen's own solve forms a null reference otherwise
    l.triangularView<Eigen::Lower>().solveInPlace(x);
    l.transpose().triangularView<Eigen::Upper>().solveInPlace(y);
  }
  same(forward.view(), x, shape("solve_lower", n, columns, n));
  same(backward.view(), y, shape("solve_lower_transposed", n, columns, n));
  check::is_true(forward.intact() && backward.intact(), shape("solves stay inside", n, columns, n));
}

void test_failures(dense::Workspace& workspace) {
  for (Index n : {1, 2, 5, 31, 33, 64, 96, 97, 150, 300}) {
    for (Index at : {Index(0), n / 3, n / 2, n - 1}) {
      const MatrixXd good = positive_definite(n);
      for (double pivot : {0.0, -1.0, nan_value, infinity, -infinity}) {
        MatrixXd a = good;
        a(at, at) = pivot;
        check::is_true(!dense::cholesky_lower(a, workspace), shape("bad pivot", n, at, 0));
      }
      for (double value : {nan_value, infinity, -infinity, 1e8}) {
        if (at == 0) continue;
        MatrixXd a = good;
        a(at, at / 2) = value;
        check::is_true(!dense::cholesky_lower(a, workspace), shape("bad element", n, at, 1));
      }
    }
    // Rank one: the second pivot is zero, or as good as.
    if (n == 1) continue;
    const VectorXd ones = VectorXd::Ones(n);
    MatrixXd a = ones * ones.transpose();
    check::is_true(!dense::cholesky_lower(a, workspace), shape("singular", n, n, n));
  }
}

void test_log_determinant(dense::Workspace& workspace) {
  const Index n = 1128;
  MatrixXd a(n, n);
  for (Index j = 0; j < n; ++j) {
    for (Index i = 0; i < n; ++i) {
      a(i, j) = 1.0 / (1.0 + std::abs(static_cast<double>(i - j))) + (i == j ? 3.0 : 0.0);
    }
  }
  const MatrixXd original = a;
  check::is_true(dense::cholesky_lower(a, workspace), "cholesky 1128");
  check::is_close(2.0 * a.diagonal().array().log().sum(), 1534.15664709, 1e-8,
                  "log-determinant 1128");
  dense::inverse_from_cholesky(a, workspace);
  const VectorXd x = random_matrix(n, 1);
  same(original * (a * x), x, "inverse 1128");
}

// The factor's residual must not grow with the condition number (here about 1e12), nor that of a
// solve with many right-hand sides.
void test_backward_error(dense::Workspace& workspace) {
  const Index n = 250;
  const MatrixXd q = random_matrix(n, n).householderQr().householderQ();
  const VectorXd eigenvalues =
      VectorXd::LinSpaced(n, 0.0, -12.0).unaryExpr([](double e) { return std::pow(10.0, e); });
  MatrixXd a = q * eigenvalues.asDiagonal() * q.transpose();
  a = (0.5 * (a + a.transpose())).eval();
  MatrixXd l = a;
  if (!check::is_true(dense::cholesky_lower(l, workspace), "ill-conditioned cholesky")) return;
  l = lower(l);
  same(l * l.transpose(), a, "residual of an ill-conditioned factor", 1e-14);
  const MatrixXd b = random_matrix(n, 40);
  MatrixXd x = b;
  dense::solve_lower(l, x, workspace);
  check::is_close(largest(l * x - b) / (largest(l) * largest(x)), 0.0, 1e-14,
                  "residual of an ill-conditioned solve");
}

void test_arguments(dense::Workspace& workspace) {
  const Index n = 40;
  const MatrixXd l = lower_triangle(n);
  const VectorXd b = random_matrix(n, 1);
  VectorXd x = b;
  dense::solve_lower(l, x, workspace);
  same(l * x, b, "a vector as right-hand side");
  MatrixXd big = random_matrix(90, 90);
  const MatrixXd before = big;
  dense::syrk_subtract_lower(big.block(30, 30, n, n), big.block(30, 0, n, 17), workspace);
  const MatrixXd a = before.block(30, 0, n, 17);
  MatrixXd expected = before;
  expected.block(30, 30, n, n).triangularView<Eigen::Lower>() -= lower(a * a.transpose());
  same(big, expected, "blocks of one matrix");
}

void test_determinism() {
  const MatrixXd a = positive_definite(300);
  MatrixXd first = a, second = a, other = positive_definite(120);
  dense::Workspace fresh, used;
  dense::cholesky_lower(other, used);
  dense::cholesky_lower(first, fresh);
  dense::cholesky_lower(second, used);
  dense::inverse_from_cholesky(first, fresh);
  dense::inverse_from_cholesky(second, used);
  check::is_true(first == second, "the workspace's past does not matter");
}

void test_level(dense::Level level) {
  dense::force_level(level);
  check::is_true(dense::active_level() == level, "forced level is active");
  dense::Workspace workspace;
  for (Index m : {0, 1, 2, 7, 9, 13, 25}) {
    for (Index n : {0, 1, 3, 8, 11, 24}) {
      for (Index k : {0, 1, 5, 16, 31}) test_products(m, n, k, workspace);
    }
  }
  for (int draw = 0; draw < 80; ++draw) {
    test_products(any_size(), any_size(), any_size(), workspace);
    test_syrk(any_size(), any_size(), workspace);
    test_solves(any_size(), any_size(), workspace);
  }
  test_products(500, 130, 600, workspace);
  test_products(30, 4100, 20, workspace);
  test_syrk(430, 270, workspace);
  for (Index n : sizes) {
    for (Index columns : {0, 1, 4, 5, 24, 25}) test_solves(n, columns, workspace);
    test_cholesky(n, workspace);
    test_invert_lower(n, workspace);
  }
  test_cholesky(611, workspace);
  test_invert_lower(777, workspace);
  test_solves(450, 70, workspace);
  test_failures(workspace);
  test_log_determinant(workspace);
  test_backward_error(workspace);
  test_arguments(workspace);
  test_determinism();
}

}  // namespace

int main() {
  for (dense::Level level : {dense::Level::generic, dense::Level::avx2, dense::Level::avx512}) {
    if (level <= dense::available_level()) test_level(level);
  }
  return check::report();
}
