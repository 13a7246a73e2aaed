// The marker scan against dense algebra, and the reader of genotype files.

#include <Eigen/Dense>
#include <cmath>
#include <cstdio>
#include <fstream>
#include <limits>
#include <random>
#include <string>
#include <vector>

#include "bed.h"
#include "check.h"
#include "scan.h"
#include "scan_basis.h"

namespace pp = partialpool;
using Eigen::Index;
using Eigen::MatrixXd;
using Eigen::VectorXd;

namespace {

constexpr double nan_value = std::numeric_limits<double>::quiet_NaN();

std::mt19937_64 generator(20240229);

double uniform() {
  return static_cast<double>(generator() >> 11) / 4503599627370496.0 - 1.0;
}

MatrixXd random_matrix(Index rows, Index columns) {
  MatrixXd m(rows, columns);
  for (Index j = 0; j < columns; ++j) {
    for (Index i = 0; i < rows; ++i) m(i, j) = uniform();
  }
  return m;
}

pp::ScanView view_of(const pp::ScanBasis& basis) {
  const MatrixXd& c = basis.columns;
  const MatrixXd& t = basis.triangle;
  return pp::ScanView{Eigen::Map<const MatrixXd>(c.data(), c.rows(), c.cols()),
                      Eigen::Map<const MatrixXd>(t.data(), t.rows(), t.cols()),
                      Eigen::Map<const VectorXd>(basis.weights.data(), basis.weights.size()),
                      basis.rank, basis.covariates};
}

void load(pp::ScanBlock& block, const MatrixXd& g, bool centre) {
  block.start(g.cols());
  for (Index j = 0; j < g.cols(); ++j) {
    std::copy_n(g.data() + j * g.rows(), g.rows(), block.column(j));
    block.loaded(j, centre);
  }
  block.multiply();
}

// P for R the identity
MatrixXd residual_maker(const MatrixXd& x) {
  const Eigen::HouseholderQR<MatrixXd> qr(x);
  const MatrixXd q = qr.householderQ() * MatrixXd::Identity(x.rows(), x.cols());
  return MatrixXd::Identity(x.rows(), x.rows()) - q * q.transpose();
}

// `white` and `e`: the markers, P and the response in coordinates where R is the identity.
void against_dense(const pp::ScanBasis& basis, const MatrixXd& g, const MatrixXd& white,
                   const MatrixXd& p, const VectorXd& e, const std::string& what) {
  check::is_true(basis.ok, what + ": basis");
  pp::ScanBlock block(view_of(basis));
  load(block, g, basis.centred);
  for (Index j = 0; j < g.cols(); ++j) {
    double effect = 0.0;
    double unit_se = 0.0;
    const pp::ScanResult result = block.single(j, effect, unit_se);
    const double score = white.col(j).dot(e);
    const double information = (p * white.col(j)).squaredNorm();
    check::is_near(effect * std::sqrt(information), score / std::sqrt(information), 1e-10,
                   what + ": effect");
    check::is_near(unit_se * std::sqrt(information), 1.0, 1e-10, what + ": standard error");
    check::is_near(result.quadratic, score * score / information, 1e-10, what + ": quadratic");
    check::is_near(result.log_det, std::log(information), 1e-10, what + ": log determinant");
  }
  VectorXd effect(g.cols());
  VectorXd unit_se(g.cols());
  const pp::ScanResult result = block.set(0, g.cols(), effect.data(), unit_se.data());
  const MatrixXd inverse = (white.transpose() * p * white).inverse();
  const VectorXd expected = inverse * (white.transpose() * e);
  check::is_true(result.rank == g.cols(), what + ": rank of the set");
  check::is_near(result.quadratic, expected.dot(white.transpose() * e), 1e-9, what + ": set");
  for (Index j = 0; j < g.cols(); ++j) {
    check::is_near(effect(j), expected(j), 1e-9, what + ": joint effect");
    check::is_near(unit_se(j), std::sqrt(inverse(j, j)), 1e-9, what + ": joint standard error");
  }
}

void test_spectral() {
  const Index n = 41;
  const VectorXd y = random_matrix(n, 1);
  const MatrixXd g = random_matrix(n, 7);
  for (const Index rank : {Index{0}, Index{3}, Index{25}, Index{38}, n}) {
    const MatrixXd q = Eigen::HouseholderQR<MatrixXd>(random_matrix(n, n)).householderQ();
    VectorXd values = VectorXd::Zero(n);
    if (rank > 0) values.head(rank) = (random_matrix(rank, 1).array() + 1.5).matrix();
    for (const double delta : {0.3, 0.9, 1e-5}) {
      if (rank == 0 && delta < 0.1) continue;
      const VectorXd d = ((1.0 - delta) * values.array() + delta).matrix();
      const MatrixXd root = d.cwiseSqrt().cwiseInverse().asDiagonal() * q.transpose();
      for (const Index columns : {1, 3}) {
        MatrixXd x = random_matrix(n, columns);
        x.col(0).setOnes();
        const MatrixXd p = residual_maker(root * x);
        const VectorXd e = p * (root * y);
        const pp::ScanBasis basis =
            pp::spectral_scan_basis(q.leftCols(rank), values.head(rank), delta, x, y);
        const std::string what =
            "spectral, rank " + std::to_string(rank) + ", delta " + std::to_string(delta);
        against_dense(basis, g, root * g, p, e, what);
        check::is_near(basis.residual, e.squaredNorm(), 1e-10, what + ": residual");
        check::is_near(basis.log_det_r, d.array().log().sum(), 1e-12, what + ": |V|");
        const Eigen::HouseholderQR<MatrixXd> qr(root * x);
        check::is_near(basis.log_det_x, 2.0 * qr.matrixQR().diagonal().array().abs().log().sum(),
                       1e-10, what + ": |X'RX|");
      }
    }
  }
}

void test_sites() {
  const Index n = 37;
  const MatrixXd g = random_matrix(n, 5);
  for (const Index rank : {Index{0}, Index{4}, Index{18}, Index{19}, n}) {
    for (const double size : {1.0, 1e4}) {
      const MatrixXd f = random_matrix(n, rank) * std::sqrt(size);
      VectorXd precision = (random_matrix(n, 1).array() + 1.1).matrix();
      precision(3) = 0.0;
      const VectorXd pull = random_matrix(n, 1);
      MatrixXd x = random_matrix(n, 2);
      x.col(0).setOnes();
      // R = T^1/2 (I + T^1/2 F F'T^1/2)^-1 T^1/2
      const MatrixXd rf = precision.cwiseSqrt().asDiagonal() * f;
      MatrixXd b = MatrixXd::Identity(n, n);
      if (rank > 0) b += rf * rf.transpose();
      const Eigen::LLT<MatrixXd> llt(b);
      const MatrixXd root = llt.matrixL().solve(MatrixXd(precision.cwiseSqrt().asDiagonal()));
      // pull = T z with any z where T is zero: it does not count there
      VectorXd with = pull;
      with(3) = 0.0;
      const VectorXd z = (precision.array() > 0.0).select(with.cwiseQuotient(precision), 0.0);
      const MatrixXd p = residual_maker(root * x);
      const pp::ScanBasis basis = pp::site_scan_basis(f, precision, with, x);
      const std::string what =
          "sites, rank " + std::to_string(rank) + ", size " + std::to_string(size);
      check::is_true((basis.triangle.size() > 0) == (rank > 18), what + ": form");
      const VectorXd e = p * (root * z);
      against_dense(basis, g, root * g, p, e, what);
      check::is_near(basis.residual, e.squaredNorm(), 1e-9, what + ": residual");
      check::is_near(basis.log_det_r, 2.0 * llt.matrixLLT().diagonal().array().log().sum(), 1e-10,
                     what + ": determinant");
    }
  }
}

void test_blocks_agree() {
  const Index n = 53;
  const MatrixXd q = Eigen::HouseholderQR<MatrixXd>(random_matrix(n, n)).householderQ();
  const VectorXd values = (random_matrix(n, 1).array() + 1.5).matrix();
  const MatrixXd g = random_matrix(n, 30);
  MatrixXd x = random_matrix(n, 2);
  for (const Index rank : {Index{10}, n}) {
    const pp::ScanBasis basis =
        pp::spectral_scan_basis(q.leftCols(rank), values.head(rank), 0.4, x, random_matrix(n, 1));
    check::is_true(!basis.centred, "no intercept, no centring");
    pp::ScanBlock all(view_of(basis));
    load(all, g, false);
    for (const Index width : {1, 2, 3, 13}) {
      pp::ScanBlock part(view_of(basis));
      for (Index first = 0; first < 30; first += width) {
        const Index size = std::min(width, 30 - first);
        load(part, g.middleCols(first, size), false);
        for (Index j = 0; j < size; ++j) {
          double a[2];
          double b[2];
          all.single(first + j, a[0], a[1]);
          part.single(j, b[0], b[1]);
          check::is_true(a[0] == b[0] && a[1] == b[1], "the same in any block");
        }
      }
    }
  }
}

void test_preparation() {
  std::vector<double> m{2.0, nan_value, 0.0, 1.0, nan_value};
  pp::Marker marker = pp::prepare_marker(m.data(), 5, true);
  check::is_true(marker.missing == 2 && marker.dosage, "missing values are counted");
  check::is_close(marker.mean, 1.0, 0.0, "mean of the others");
  check::is_true(m[0] == 1.0 && m[1] == 0.0 && m[2] == -1.0, "centred and imputed");
  std::vector<double> none(3, nan_value);
  marker = pp::prepare_marker(none.data(), 3, true);
  check::is_true(marker.status == pp::MarkerStatus::all_missing, "all missing");
  std::vector<double> constant{0.1, 0.1, nan_value, 0.1};
  marker = pp::prepare_marker(constant.data(), 4, true);
  check::is_true(marker.status == pp::MarkerStatus::constant, "constant");
  std::vector<double> infinite{0.1, -std::numeric_limits<double>::infinity(), nan_value};
  marker = pp::prepare_marker(infinite.data(), 3, true);
  check::is_true(marker.status == pp::MarkerStatus::not_finite, "not finite");
  const double largest = std::numeric_limits<double>::max();
  std::vector<double> huge{largest, -largest, largest, 0.0};
  marker = pp::prepare_marker(huge.data(), 4, true);
  check::is_true(marker.status == pp::MarkerStatus::tested, "the largest numbers");
  for (const double value : huge) check::is_true(std::isfinite(value), "stay finite");
}

void test_dependence() {
  const Index n = 29;
  MatrixXd x = random_matrix(n, 2);
  x.col(0).setOnes();
  const MatrixXd q = Eigen::HouseholderQR<MatrixXd>(random_matrix(n, n)).householderQ();
  const VectorXd values = VectorXd::Constant(4, 2.0);
  MatrixXd g = random_matrix(n, 6);
  g.col(1) = 3.0 * x.col(1) - 2.0 * x.col(0);
  g.col(3) = g.col(0) - 0.5 * g.col(2) + x.col(1);
  g.col(4).setConstant(2.5);
  const pp::ScanBasis basis =
      pp::spectral_scan_basis(q.leftCols(4), values, 0.2, x, random_matrix(n, 1));
  pp::ScanBlock block(view_of(basis));
  load(block, g, basis.centred);
  check::is_true(block.marker(1).status == pp::MarkerStatus::collinear, "collinear with X");
  check::is_true(block.marker(3).status == pp::MarkerStatus::tested, "alone it is not");
  check::is_true(block.marker(4).status == pp::MarkerStatus::constant, "constant column");
  VectorXd effect(6);
  VectorXd unit_se(6);
  const pp::ScanResult result = block.set(0, 6, effect.data(), unit_se.data());
  check::is_true(result.rank == 3, "rank of a set");
  check::is_true(std::isnan(effect(1)) && std::isnan(effect(3)) && std::isnan(effect(4)),
                 "dependent columns have no effect");
  check::is_true(block.marker(3).status == pp::MarkerStatus::collinear, "and are marked");
}

void test_complement() {
  for (const Index rank : {1, 10, 19, 20}) {
    const MatrixXd q =
        MatrixXd(Eigen::HouseholderQR<MatrixXd>(random_matrix(20, 20)).householderQ())
            .leftCols(rank);
    MatrixXd all(20, 20);
    all << q, pp::detail::complement(q);
    check::is_close((all.transpose() * all - MatrixXd::Identity(20, 20)).norm(), 0.0, 1e-13,
                    "orthonormal complement");
  }
}

void test_bed() {
  const std::string path = "scan_test_genotypes.bed";
  const auto write = [&](const std::vector<unsigned char>& bytes) {
    std::ofstream file(path, std::ios::binary);
    file.write(reinterpret_cast<const char*>(bytes.data()),
               static_cast<std::streamsize>(bytes.size()));
  };
  // Five samples: codes 0 1 2 3 | 0, then 3 3 0 1 | 2
  const std::vector<unsigned char> good{0x6c, 0x1b, 0x01, 0xe4, 0x00, 0x4f, 0x02};
  write(good);
  {
    pp::BedFile file(path, 5);
    check::is_true(file.error() == pp::BedError::none && file.markers() == 2, "a good file");
    double out[5];
    check::is_true(file.read(1, nullptr, 5, out), "second marker first");
    check::is_true(
        out[0] == 0.0 && out[1] == 0.0 && out[2] == 2.0 && std::isnan(out[3]) && out[4] == 1.0,
        "second marker");
    const int rows[3] = {4, 1, 2};
    check::is_true(file.read(0, rows, 3, out), "some samples");
    check::is_true(out[0] == 2.0 && std::isnan(out[1]) && out[2] == 1.0, "in another order");
    check::is_true(!file.read(2, nullptr, 5, out) && !file.read(-1, nullptr, 5, out), "no more");
    check::is_true(file.read(0, nullptr, 5, out) && out[0] == 2.0, "and back");
  }
  const auto error_of = [&](std::vector<unsigned char> bytes) {
    write(bytes);
    return pp::BedFile(path, 5).error();
  };
  std::vector<unsigned char> bytes = good;
  bytes.pop_back();
  check::is_true(error_of(bytes) == pp::BedError::truncated, "truncated");
  bytes = good;
  bytes[2] = 0;
  check::is_true(error_of(bytes) == pp::BedError::sample_major, "sample-major");
  bytes[0] = 0;
  check::is_true(error_of(bytes) == pp::BedError::not_bed, "not a .bed file");
  check::is_true(error_of({0x6c}) == pp::BedError::not_bed, "too short");
  std::remove(path.c_str());
  check::is_true(pp::BedFile(path, 5).error() == pp::BedError::unreadable, "no file");
}

}  // namespace

int main() {
  for (const auto level : {pp::dense::Level::generic, pp::dense::available_level()}) {
    pp::dense::force_level(level);
    test_spectral();
    test_sites();
    test_blocks_agree();
    test_dependence();
  }
  test_complement();
  test_preparation();
  test_bed();
  return check::report();
}
