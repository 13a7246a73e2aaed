#ifndef PARTIALPOOL_SEPARATION_H
#define PARTIALPOOL_SEPARATION_H

#include <Eigen/Dense>
#include <cmath>
#include <string>
#include <vector>

#include "family.h"
#include "glm_start.h"
#include "mixed_rows.h"

namespace partialpool {

// A direction of beta along which the likelihood never falls (Albert & Anderson 1984): the estimate
// is at infinity.
struct Separation {
  bool found = false, complete = false;
  Eigen::VectorXd direction;  // standardised
};

// Fisher scoring on separated data ends in steps along such a direction; whether the last step is
// one is then decided row by row.
inline Separation find_separation(const MixedRows& rows, const Family& family,
                                  const GlmStart& start) {
  Separation out;
  if (rows.p_x() == 0 || start.direction.squaredNorm() == 0.0) return out;
  const Eigen::VectorXd t = rows.x().transpose() * start.direction;
  const double largest = t.cwiseAbs().maxCoeff();
  // Close to a finite estimate the steps are short; towards infinity they stay near 1.
  if (!(largest > 1e-2) || !(start.eta.cwiseAbs().maxCoeff() > 8.0)) return out;
  const double tolerance = 1e-4 * largest;
  out.complete = true;
  for (Eigen::Index i = 0; i < rows.n(); ++i) {
    const int way = family.unbounded_direction(i);
    if (way == 0 ? std::fabs(t[i]) > tolerance : way * t[i] < -tolerance) {
      out.complete = false;
      return out;
    }
    if (way * t[i] < 1e-2 * largest) out.complete = false;
  }
  out.found = true;
  out.direction = start.direction;
  return out;
}

}  // namespace partialpool

#endif
