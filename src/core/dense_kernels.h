#ifndef PARTIALPOOL_CORE_DENSE_KERNELS_H
#define PARTIALPOOL_CORE_DENSE_KERNELS_H

// Dense linear algebra of the core: Cholesky factor, triangular inverse and solves, products.
//
// R may run on any BLAS, and Eigen compiled without -march flags stays at SSE2, so the work is done
// by the register tiles of micro_kernels.h. Everything large is a recursion that ends in one of two
// routines: multiply() (packed product, with triangles) and solve_panels() (packed substitution).
// Results depend on the level of the processor, but not on anything else.
//
// Matrices are column-major; outputs must not overlap inputs. Nothing here throws, except for
// std::bad_alloc when a workspace has to grow.

#include <Eigen/Core>
#include <algorithm>
#include <cmath>

#include "micro_kernels.h"

namespace partialpool {
namespace dense {

using MatrixRef = Eigen::Ref<Eigen::MatrixXd, 0, Eigen::OuterStride<>>;
using ConstMatrixRef = const Eigen::Ref<const Eigen::MatrixXd, 0, Eigen::OuterStride<>>&;

// ---- Entry points

// Cholesky factor in place of the lower triangle; the strict upper triangle is neither read nor
// written. False if a pivot is not positive or not finite; the contents are then undefined.
inline bool cholesky_lower(MatrixRef a, Workspace& workspace);

// L <- L^-1, lower triangle only.
inline void invert_lower(MatrixRef l, Workspace& workspace);

// Lower triangle of L in, the full symmetric (L L')^-1 out.
inline void inverse_from_cholesky(MatrixRef l, Workspace& workspace);

// B <- L^-1 B.
inline void solve_lower(ConstMatrixRef l, MatrixRef b, Workspace& workspace);

// B <- L^-T B.
inline void solve_lower_transposed(ConstMatrixRef l, MatrixRef b, Workspace& workspace);

// lower(C) -= A A'.
inline void syrk_subtract_lower(MatrixRef c, ConstMatrixRef a, Workspace& workspace);

// C -= A B'.
inline void gemm_subtract_nt(MatrixRef c, ConstMatrixRef a, ConstMatrixRef b, Workspace& workspace);

// C += alpha op(A) op(B), op the transpose where asked for.
inline void gemm_add(MatrixRef c, double alpha, ConstMatrixRef a, bool transpose_a,
                     ConstMatrixRef b, bool transpose_b, Workspace& workspace);

// ---- Internals

namespace detail {

// Widths below which the recursions stop: plain loops, packed substitution, and a product that
// overwrites its own operand (at most block_depth).
constexpr Index plain_size = 32;
constexpr Index solve_width = 96;
constexpr Index product_width = 96;
// Products with so few multiplications, or so few columns, are not worth packing.
constexpr Index plain_product = 1000;
constexpr Index plain_width = 2;
// The same for solves: the size of the triangle, and the number of right-hand sides, up to which
// plain substitution is faster than packing the triangle.
constexpr Index plain_triangle = 8;
constexpr Index plain_right_sides = 4;

inline Block block_of(MatrixRef& m) {
  return Block{m.data(), m.outerStride()};
}

// First half of a recursion: about n / 2, a multiple of `unit`, less than n if n > unit.
inline Index first_half(Index n, Index unit) {
  const Index half = n - n / 2;
  const Index rounded = round_up(half, unit);
  return rounded < n ? rounded : half;
}

// multiply() without packing, for products too small to pay for it.
inline void multiply_plain(Block c, const Product& product, const Operand& a, const Operand& b) {
  for (Index j = 0; j < product.columns; ++j) {
    double* column = c.data + j * c.stride;
    const Index above = product.lower_only ? j : 0;
    if (a.row_step == 1) {
      for (Index k = 0; k < product.depth; ++k) {
        add_multiple(product.rows - above, product.alpha * *b.at(j, k), a.at(above, k),
                     column + above);
      }
    } else {
      for (Index i = above; i < product.rows; ++i) {
        double sum = 0.0;
        if (a.depth_step == 1 && b.depth_step == 1) {
          sum = inner_product(product.depth, a.at(i, 0), b.at(j, 0));
        } else {
          for (Index k = 0; k < product.depth; ++k) sum += *a.at(i, k) * *b.at(j, k);
        }
        column[i] += product.alpha * sum;
      }
    }
  }
}

inline void multiply_any(Block c, const Product& product, const Operand& a, const Operand& b,
                         Workspace& workspace) {
  if (product.columns <= plain_width ||
      product.rows * product.columns * product.depth <= plain_product) {
    multiply_plain(c, product, a, b);
  } else {
    multiply(c, product, a, b, workspace);
  }
}

// ---- Packed substitution

// Inverse of the diagonal block [start, start + size) of T, packed: (j, k) at inverse[k * ld + j].
inline void invert_small(const Operand& t, Index start, Index size, double* inverse, Index ld) {
  for (Index k = 0; k < size; ++k) {
    for (Index j = k; j < size; ++j) {
      double sum = j == k ? 1.0 : 0.0;
      for (Index l = k; l < j; ++l) sum -= *t.at(start + j, start + l) * inverse[k * ld + l];
      inverse[k * ld + j] = sum / *t.at(start + j, start + j);
    }
  }
}

// X <- X T^-T for `count` rows of X, T lower triangular of size `width`; both are given by strides,
// so T may be L or, read backwards, L'. X is packed in panels of rows; a panel is itself a
// column-major matrix, so the tile kernel works on it in place. Only the tile's own diagonal block
// of T is inverted: with the inverse of a wide block the residual would grow with the block's
// condition number.
inline void solve_panels(const Operand& t, Index width, double* x, Index row_step,
                         Index column_step, Index count, Workspace& workspace) {
  const KernelSet& set = active_kernels();
  const Index unit = set.tile_columns;
  const Index high = set.tile_rows;
  const Index padded = round_up(width, unit);
  double* triangle = workspace.columns(padded * padded);
  for (Index p = 0; p < width; p += unit) {
    double* panel = triangle + p * padded;
    const Index size = std::min(unit, width - p);
    set.pack_columns(Operand{t.data, t.row_step, t.depth_step, Part::full}, p, size, 0, p, panel);
    std::fill(panel + p * unit, panel + (p + unit) * unit, 0.0);
    invert_small(t, p, size, panel + p * unit, unit);
  }
  double* panel = workspace.rows(padded * high);
  alignas(64) double tile[largest_tile];
  const Operand source{x, row_step, column_step, Part::full};
  for (Index row = 0; row < count; row += high) {
    const Index rows = std::min(high, count - row);
    set.pack_rows(source, row, rows, 0, width, panel);
    std::fill(panel + width * high, panel + padded * high, 0.0);
    for (Index p = 0; p < width; p += unit) {
      double* current = panel + p * high;
      const double* factor = triangle + p * padded;
      if (p > 0) set.tile(p, panel, factor, -1.0, current, high);
      std::fill(tile, tile + high * unit, 0.0);
      set.tile(unit, current, factor + p * unit, 1.0, tile, high);
      std::copy(tile, tile + high * unit, current);
    }
    for (Index j = 0; j < width; ++j) {
      const double* from = panel + j * high;
      double* to = x + row * row_step + j * column_step;
      for (Index i = 0; i < rows; ++i) to[i * row_step] = from[i];
    }
  }
}

inline void solve_block(const double* l, Index stride, Index size, Block b, Index columns,
                        Workspace& workspace) {
  if (size <= solve_width) {
    solve_panels(as_stored(l, stride), size, b.data, b.stride, 1, columns, workspace);
    return;
  }
  const Index half = first_half(size, solve_width);
  solve_block(l, stride, half, b, columns, workspace);
  multiply(b.at(half, 0), Product{size - half, columns, half, -1.0}, as_stored(l + half, stride),
           as_transpose(b), workspace);
  solve_block(l + half + half * stride, stride, size - half, b.at(half, 0), columns, workspace);
}

inline void solve_block_transposed(const double* l, Index stride, Index size, Block b,
                                   Index columns, Workspace& workspace) {
  if (size <= solve_width) {
    // L' read backwards is a lower triangle again.
    const Operand reversed{l + (size - 1) * (stride + 1), -stride, -1, Part::full};
    solve_panels(reversed, size, b.data + size - 1, b.stride, -1, columns, workspace);
    return;
  }
  const Index half = first_half(size, solve_width);
  const Block low = b.at(half, 0);
  solve_block_transposed(l + half + half * stride, stride, size - half, low, columns, workspace);
  multiply(b, Product{half, columns, size - half, -1.0}, as_transpose(l + half, stride),
           as_transpose(low), workspace);
  solve_block_transposed(l, stride, half, b, columns, workspace);
}

// Along the columns of L, each used for all right-hand sides while it is in the cache.
inline void solve_plain(const double* l, Index stride, Index size, Block b, Index columns) {
  for (Index j = 0; j < size; ++j) {
    const double* column = l + j * stride + j;
    for (Index c = 0; c < columns; ++c) {
      double* x = b.data + j + c * b.stride;
      x[0] /= column[0];
      add_multiple(size - j - 1, -x[0], column + 1, x + 1);
    }
  }
}

inline void solve_plain_transposed(const double* l, Index stride, Index size, Block b,
                                   Index columns) {
  for (Index j = size - 1; j >= 0; --j) {
    const double* column = l + j * stride + j;
    for (Index c = 0; c < columns; ++c) {
      double* x = b.data + j + c * b.stride;
      x[0] = (x[0] - inner_product(size - j - 1, column + 1, x + 1)) / column[0];
    }
  }
}

// ---- Cholesky

inline bool factor_plain(Block a, Index size) {
  for (Index j = 0; j < size; ++j) {
    double* column = a.data + j * a.stride;
    const double pivot = column[j];
    if (!(pivot > 0.0) || !std::isfinite(pivot)) return false;
    const double root = std::sqrt(pivot);
    const double scale = 1.0 / root;
    column[j] = root;
    for (Index i = j + 1; i < size; ++i) column[i] *= scale;
    for (Index k = j + 1; k < size; ++k) {
      add_multiple(size - k, -column[k], column + k, a.data + k + k * a.stride);
    }
  }
  return true;
}

// The first `columns` columns of a trapezoid with `rows` rows. Recursion on the columns, with all
// rows below taken along, lets every triangle be used once.
inline bool factor_trapezoid(Block a, Index rows, Index columns, Workspace& workspace) {
  if (rows > columns && columns <= solve_width) {
    if (!factor_trapezoid(a, columns, columns, workspace)) return false;
    solve_panels(as_stored(a), columns, a.data + columns, 1, a.stride, rows - columns, workspace);
    return true;
  }
  if (columns <= plain_size) return factor_plain(a, columns);
  const Index half = first_half(columns, columns <= solve_width ? 8 : solve_width);
  if (!factor_trapezoid(a, rows, half, workspace)) return false;
  const Block left = a.at(half, 0);
  const Block right = a.at(half, half);
  Product update{rows - half, columns - half, half, -1.0};
  update.lower_only = true;
  multiply(right, update, as_stored(left), as_stored(left), workspace);
  return factor_trapezoid(right, rows - half, columns - half, workspace);
}

// ---- Inverses

inline void invert_plain(Block l, Index size) {
  for (Index j = size - 1; j >= 0; --j) {
    double* column = l.data + j * l.stride;
    column[j] = 1.0 / column[j];
    // Below the diagonal: minus the inverse found so far times the column, from the last row up so
    // that it can be done in place.
    for (Index k = size - 1; k > j; --k) {
      const double* inverse = l.data + k * l.stride;
      const double value = -column[k] * column[j];
      column[k] = value * inverse[k];
      add_multiple(size - k - 1, value, inverse + k + 1, column + k + 1);
    }
  }
}

// B <- T B with T lower triangular.
inline void multiply_left(Block t, Index size, Block b, Index columns, Workspace& workspace) {
  if (size <= block_depth) {
    Product product{size, columns, size, 1.0};
    product.overwrite = true;
    multiply(b, product, as_stored(t, Part::lower), as_transpose(b), workspace);
    return;
  }
  const Index half = first_half(size, block_depth);
  const Block low = b.at(half, 0);
  multiply_left(t.at(half, half), size - half, low, columns, workspace);
  multiply(low, Product{size - half, columns, half, 1.0}, as_stored(t.at(half, 0)), as_transpose(b),
           workspace);
  multiply_left(t, half, b, columns, workspace);
}

// B <- T' B with T lower triangular.
inline void multiply_left_transposed(Block t, Index size, Block b, Index columns,
                                     Workspace& workspace) {
  if (size <= block_depth) {
    Product product{size, columns, size, 1.0};
    product.overwrite = true;
    multiply(b, product, as_transpose(t, Part::upper), as_transpose(b), workspace);
    return;
  }
  const Index half = first_half(size, block_depth);
  const Block low = b.at(half, 0);
  multiply_left_transposed(t, half, b, columns, workspace);
  multiply(b, Product{half, columns, size - half, 1.0}, as_transpose(t.at(half, 0)),
           as_transpose(low), workspace);
  multiply_left_transposed(t.at(half, half), size - half, low, columns, workspace);
}

// B <- -B T with T lower triangular.
inline void multiply_right_negated(Block b, Index rows, Block t, Index size, Workspace& workspace) {
  if (size <= block_depth) {
    Product product{rows, size, size, -1.0};
    product.overwrite = true;
    multiply(b, product, as_stored(b), as_transpose(t, Part::upper), workspace);
    return;
  }
  const Index half = first_half(size, block_depth);
  const Block right = b.at(0, half);
  multiply_right_negated(b, rows, t, half, workspace);
  multiply(b, Product{rows, half, size - half, -1.0}, as_stored(right), as_transpose(t.at(half, 0)),
           workspace);
  multiply_right_negated(right, rows, t.at(half, half), size - half, workspace);
}

inline void invert_triangle(Block l, Index size, Workspace& workspace) {
  if (size <= plain_size) {
    invert_plain(l, size);
    return;
  }
  const Index half = first_half(size, 8);
  const Block low = l.at(half, 0);
  invert_triangle(l, half, workspace);
  invert_triangle(l.at(half, half), size - half, workspace);
  multiply_left(l.at(half, half), size - half, low, half, workspace);
  multiply_right_negated(low, size - half, l, half, workspace);
}

inline void square_plain(Block x, Index size) {
  for (Index j = 0; j < size; ++j) {
    double* column = x.data + j * x.stride;
    // Upwards, so that what is still needed of both columns has not been overwritten.
    for (Index i = j; i < size; ++i) {
      column[i] = inner_product(size - i, x.data + i + i * x.stride, column + i);
    }
  }
}

// Lower triangle of X'X in place of the lower triangular X. The product may overwrite X: its rows
// i need X only at and below row i, and are cleared in increasing order.
inline void square_triangle(Block x, Index size, Workspace& workspace) {
  if (size <= plain_size) {
    square_plain(x, size);
    return;
  }
  if (size <= product_width) {
    Product product{size, size, size, 1.0};
    product.lower_only = true;
    product.overwrite = true;
    multiply(x, product, as_transpose(x, Part::upper), as_transpose(x, Part::upper), workspace);
    return;
  }
  const Index half = first_half(size, product_width);
  const Block low = x.at(half, 0);
  square_triangle(x, half, workspace);
  Product update{half, half, size - half, 1.0};
  update.lower_only = true;
  multiply(x, update, as_transpose(low), as_transpose(low), workspace);
  multiply_left_transposed(x.at(half, half), size - half, low, half, workspace);
  square_triangle(x.at(half, half), size - half, workspace);
}

// In squares, so that neither side of the copy walks through memory by whole columns.
inline void copy_lower_to_upper(Block a, Index size) {
  constexpr Index side = 32;
  for (Index jj = 0; jj < size; jj += side) {
    for (Index ii = jj; ii < size; ii += side) {
      for (Index j = jj; j < std::min(jj + side, size); ++j) {
        for (Index i = std::max(ii, j + 1); i < std::min(ii + side, size); ++i) {
          a.data[j + i * a.stride] = a.data[i + j * a.stride];
        }
      }
    }
  }
}

}  // namespace detail

// ---- Entry points, continued

inline bool cholesky_lower(MatrixRef a, Workspace& workspace) {
  return detail::factor_trapezoid(detail::block_of(a), a.rows(), a.rows(), workspace);
}

inline void invert_lower(MatrixRef l, Workspace& workspace) {
  detail::invert_triangle(detail::block_of(l), l.rows(), workspace);
}

inline void inverse_from_cholesky(MatrixRef l, Workspace& workspace) {
  const detail::Block block = detail::block_of(l);
  detail::invert_triangle(block, l.rows(), workspace);
  detail::square_triangle(block, l.rows(), workspace);
  detail::copy_lower_to_upper(block, l.rows());
}

inline void solve_lower(ConstMatrixRef l, MatrixRef b, Workspace& workspace) {
  const detail::Block block = detail::block_of(b);
  if (b.cols() <= detail::plain_right_sides || l.rows() <= detail::plain_triangle) {
    detail::solve_plain(l.data(), l.outerStride(), l.rows(), block, b.cols());
  } else {
    detail::solve_block(l.data(), l.outerStride(), l.rows(), block, b.cols(), workspace);
  }
}

inline void solve_lower_transposed(ConstMatrixRef l, MatrixRef b, Workspace& workspace) {
  const detail::Block block = detail::block_of(b);
  if (b.cols() <= detail::plain_right_sides || l.rows() <= detail::plain_triangle) {
    detail::solve_plain_transposed(l.data(), l.outerStride(), l.rows(), block, b.cols());
  } else {
    detail::solve_block_transposed(l.data(), l.outerStride(), l.rows(), block, b.cols(), workspace);
  }
}

inline void syrk_subtract_lower(MatrixRef c, ConstMatrixRef a, Workspace& workspace) {
  const Operand operand = detail::as_stored(a.data(), a.outerStride());
  detail::Product product{c.rows(), c.rows(), a.cols(), -1.0};
  product.lower_only = true;
  detail::multiply_any(detail::block_of(c), product, operand, operand, workspace);
}

inline void gemm_subtract_nt(MatrixRef c, ConstMatrixRef a, ConstMatrixRef b,
                             Workspace& workspace) {
  gemm_add(c, -1.0, a, false, b, true, workspace);
}

inline void gemm_add(MatrixRef c, double alpha, ConstMatrixRef a, bool transpose_a,
                     ConstMatrixRef b, bool transpose_b, Workspace& workspace) {
  using detail::as_stored;
  using detail::as_transpose;
  const Operand left =
      transpose_a ? as_transpose(a.data(), a.outerStride()) : as_stored(a.data(), a.outerStride());
  const Operand right =
      transpose_b ? as_stored(b.data(), b.outerStride()) : as_transpose(b.data(), b.outerStride());
  const Index depth = transpose_a ? a.rows() : a.cols();
  detail::multiply_any(detail::block_of(c), detail::Product{c.rows(), c.cols(), depth, alpha}, left,
                       right, workspace);
}

}  // namespace dense
}  // namespace partialpool

#endif
