#ifndef PARTIALPOOL_CORE_MICRO_KERNELS_H
#define PARTIALPOOL_CORE_MICRO_KERNELS_H

// The machine-dependent layer of the dense kernels: packing, register tiles, the choice of the
// instruction set while the program runs, and the packed product made of them. A package is built
// without -march flags, so each tile kernel carries its own target attribute and is reached through
// a table.
//
// All products are seen as C(i, j) += alpha * sum_k A(i, k) B(j, k): both operands are "rows times
// depth". Strides and the part of an operand that counts make transposes and triangles of it.

#include <Eigen/Core>
#include <algorithm>
#include <atomic>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <vector>

#if defined(__x86_64__) && defined(__GNUC__) && !defined(_WIN32)
// Not on Windows: GCC there does not align stack slots to 32 or 64 bytes (GCC PR 54412), so a
// spilled accumulator can crash.
#define PARTIALPOOL_X86_LEVELS 1
#endif

namespace partialpool {
namespace dense {

using Eigen::Index;

enum class Level { generic, avx2, avx512 };

// Which elements (i, k) of an operand count: all, those with k <= i, or those with k >= i. The
// others are taken as zero and never read.
enum class Part { full, lower, upper };

struct Operand {
  const double* data;
  Index row_step;
  Index depth_step;
  Part part;

  const double* at(Index row, Index k) const { return data + row * row_step + k * depth_step; }
};

struct DepthRange {
  Index begin;
  Index end;
};

// The depths in [first, first + depth) at which rows [row, row + rows) have elements that count,
// relative to `first`.
inline DepthRange counted_depths(Part part, Index row, Index rows, Index first, Index depth) {
  DepthRange range{0, depth};
  if (part == Part::lower) range.end = std::min(depth, row + rows - first);
  if (part == Part::upper) range.begin = std::max<Index>(0, row - first);
  return range;
}

namespace detail {

// Copies whole rows of an operand: element (i, k) goes to panel[k * Rows + i].
template <int Rows>
inline void pack_whole(const Operand& operand, Index row, Index first, DepthRange range,
                       double* panel) {
  if (operand.row_step == 1) {
    for (Index k = range.begin; k < range.end; ++k) {
      std::memcpy(panel + k * Rows, operand.at(row, first + k), Rows * sizeof(double));
    }
    return;
  }
  // Four depths at a time: one pass over the rows then touches each cache line of the source once.
  Index k = range.begin;
  for (; k + 4 <= range.end; k += 4) {
    double* target = panel + k * Rows;
    const double* source = operand.at(row, first + k);
    for (int i = 0; i < Rows; ++i, source += operand.row_step) {
      target[i] = source[0];
      target[i + Rows] = source[operand.depth_step];
      target[i + 2 * Rows] = source[2 * operand.depth_step];
      target[i + 3 * Rows] = source[3 * operand.depth_step];
    }
  }
  for (; k < range.end; ++k) {
    for (int i = 0; i < Rows; ++i) panel[k * Rows + i] = *operand.at(row + i, first + k);
  }
}

// The same for fewer rows than the panel has, or across the diagonal of a triangle: what does not
// count becomes zero.
template <int Rows>
inline void pack_partial(const Operand& operand, Index row, Index rows, Index first,
                         DepthRange range, double* panel) {
  for (Index k = range.begin; k < range.end; ++k) {
    const Index diagonal = first + k - row;
    const Index begin = operand.part == Part::lower ? std::max<Index>(0, diagonal) : 0;
    const Index end = operand.part == Part::upper ? std::min(rows, diagonal + 1) : rows;
    double* target = panel + k * Rows;
    const double* source = operand.at(row, first + k);
    Index i = 0;
    for (; i < begin; ++i) target[i] = 0.0;
    if (operand.row_step == 1) {
      for (; i < end; ++i) target[i] = source[i];
    } else {
      for (; i < end; ++i) target[i] = source[i * operand.row_step];
    }
    for (; i < Rows; ++i) target[i] = 0.0;
  }
}

// Packs rows [row, row + rows), rows <= Rows, at depths [first, first + depth) that count.
template <int Rows>
inline void pack_panel(const Operand& operand, Index row, Index rows, Index first, Index depth,
                       double* panel) {
  const DepthRange range = counted_depths(operand.part, row, rows, first, depth);
  if (rows < Rows) {
    pack_partial<Rows>(operand, row, rows, first, range, panel);
    return;
  }
  DepthRange whole = range;
  DepthRange crossing{range.end, range.end};
  if (operand.part == Part::lower) {
    whole.end = std::max(range.begin, std::min(range.end, row - first));
    crossing = DepthRange{whole.end, range.end};
  } else if (operand.part == Part::upper) {
    whole.begin = std::min(range.end, std::max(range.begin, row + rows - first));
    crossing = DepthRange{range.begin, whole.begin};
  }
  pack_whole<Rows>(operand, row, first, whole, panel);
  pack_partial<Rows>(operand, row, rows, first, crossing, panel);
}

// Register tiles. The accumulators have names of their own because compilers at -O2 do not unroll
// loops over arrays of them, which would leave the arrays in memory; hence the macros. Memory is
// read and written through element-aligned vector types; a vector never crosses a call. The
// vector types are those of GCC and Clang, with which R is built everywhere.
#define PARTIALPOOL_VECTOR(name, bytes)                    \
  typedef double name __attribute__((vector_size(bytes))); \
  typedef double name##Unaligned __attribute__((vector_size(bytes), aligned(8), may_alias))

#define PARTIALPOOL_LOAD(V, pointer) (*reinterpret_cast<const V##Unaligned*>(pointer))

#define PARTIALPOOL_UPDATE(V, pointer) (*reinterpret_cast<V##Unaligned*>(pointer))

#define PARTIALPOOL_DECLARE_2(V, j) V c0##j = {}, c1##j = {};
#define PARTIALPOOL_DECLARE_3(V, j) V c0##j = {}, c1##j = {}, c2##j = {};

#define PARTIALPOOL_STEP_2(V, j) \
  c0##j += a0 * b[j];            \
  c1##j += a1 * b[j];
#define PARTIALPOOL_STEP_3(V, j) \
  c0##j += a0 * b[j];            \
  c1##j += a1 * b[j];            \
  c2##j += a2 * b[j];

#define PARTIALPOOL_STORE_2(V, j)                         \
  PARTIALPOOL_UPDATE(V, c + j * stride) += c0##j * alpha; \
  PARTIALPOOL_UPDATE(V, c + j * stride + width) += c1##j * alpha;
#define PARTIALPOOL_STORE_3(V, j) \
  PARTIALPOOL_STORE_2(V, j)       \
  PARTIALPOOL_UPDATE(V, c + j * stride + 2 * width) += c2##j * alpha;

#define PARTIALPOOL_FETCH(V, j)          \
  __builtin_prefetch(c + j * stride, 1); \
  __builtin_prefetch(c + j * stride + rows - 1, 1);

#define PARTIALPOOL_COLUMNS_4(action, V) action(V, 0) action(V, 1) action(V, 2) action(V, 3)
#define PARTIALPOOL_COLUMNS_8(action, V) \
  PARTIALPOOL_COLUMNS_4(action, V) action(V, 4) action(V, 5) action(V, 6) action(V, 7)

// C (vectors * width rows, N columns) += alpha * A B' with packed A and B.
#define PARTIALPOOL_TILE(V, vectors, N, load_a)                                 \
  constexpr Index width = sizeof(V) / sizeof(double);                           \
  constexpr Index rows = vectors * width;                                       \
  PARTIALPOOL_COLUMNS_##N(PARTIALPOOL_FETCH, V) PARTIALPOOL_COLUMNS_##N(        \
      PARTIALPOOL_DECLARE_##vectors, V) for (Index k = 0; k < depth; ++k) {     \
    load_a(V) PARTIALPOOL_COLUMNS_##N(PARTIALPOOL_STEP_##vectors, V) a += rows; \
    b += N;                                                                     \
  }                                                                             \
  PARTIALPOOL_COLUMNS_##N(PARTIALPOOL_STORE_##vectors, V)

#define PARTIALPOOL_ROWS_2(V)          \
  const V a0 = PARTIALPOOL_LOAD(V, a); \
  const V a1 = PARTIALPOOL_LOAD(V, a + width);
#define PARTIALPOOL_ROWS_3(V) \
  PARTIALPOOL_ROWS_2(V)       \
  const V a2 = PARTIALPOOL_LOAD(V, a + 2 * width);

PARTIALPOOL_VECTOR(Vector2, 16);

// Compilers map the 16-byte vectors to what every machine of the family has (SSE2, NEON, VSX).
#if defined(__aarch64__)
constexpr int generic_rows = 6;
constexpr int generic_columns = 8;
inline void tile_generic(Index depth, const double* a, const double* b, double alpha, double* c,
                         Index stride) {
  PARTIALPOOL_TILE(Vector2, 3, 8, PARTIALPOOL_ROWS_3)
}
#else
constexpr int generic_rows = 4;
constexpr int generic_columns = 4;
inline void tile_generic(Index depth, const double* a, const double* b, double alpha, double* c,
                         Index stride) {
  PARTIALPOOL_TILE(Vector2, 2, 4, PARTIALPOOL_ROWS_2)
}
#endif

// y += scale * x.
inline void add_multiple(Index n, double scale, const double* x, double* y) {
  Index i = 0;
  for (; i + 4 <= n; i += 4) {
    PARTIALPOOL_UPDATE(Vector2, y + i) += PARTIALPOOL_LOAD(Vector2, x + i) * scale;
    PARTIALPOOL_UPDATE(Vector2, y + i + 2) += PARTIALPOOL_LOAD(Vector2, x + i + 2) * scale;
  }
  for (; i < n; ++i) y[i] += scale * x[i];
}

// x'y in eight interleaved sums: a single one would wait for each addition.
inline double inner_product(Index n, const double* x, const double* y) {
  Vector2 s0 = {}, s1 = {}, s2 = {}, s3 = {};
  Index i = 0;
  for (; i + 8 <= n; i += 8) {
    s0 += PARTIALPOOL_LOAD(Vector2, x + i) * PARTIALPOOL_LOAD(Vector2, y + i);
    s1 += PARTIALPOOL_LOAD(Vector2, x + i + 2) * PARTIALPOOL_LOAD(Vector2, y + i + 2);
    s2 += PARTIALPOOL_LOAD(Vector2, x + i + 4) * PARTIALPOOL_LOAD(Vector2, y + i + 4);
    s3 += PARTIALPOOL_LOAD(Vector2, x + i + 6) * PARTIALPOOL_LOAD(Vector2, y + i + 6);
  }
  const Vector2 s = (s0 + s1) + (s2 + s3);
  double sum = s[0] + s[1];
  for (; i < n; ++i) sum += x[i] * y[i];
  return sum;
}

#ifdef PARTIALPOOL_X86_LEVELS
PARTIALPOOL_VECTOR(Vector4, 32);
PARTIALPOOL_VECTOR(Vector8, 64);

__attribute__((target("avx2,fma"))) inline void tile_avx2(Index depth, const double* a,
                                                          const double* b, double alpha, double* c,
                                                          Index stride) {
  PARTIALPOOL_TILE(Vector4, 3, 4, PARTIALPOOL_ROWS_3)
}

__attribute__((target("avx512f"))) inline void tile_avx512(Index depth, const double* a,
                                                           const double* b, double alpha, double* c,
                                                           Index stride) {
  PARTIALPOOL_TILE(Vector8, 3, 8, PARTIALPOOL_ROWS_3)
}
#endif

#undef PARTIALPOOL_VECTOR
#undef PARTIALPOOL_LOAD
#undef PARTIALPOOL_UPDATE
#undef PARTIALPOOL_DECLARE_2
#undef PARTIALPOOL_DECLARE_3
#undef PARTIALPOOL_STEP_2
#undef PARTIALPOOL_STEP_3
#undef PARTIALPOOL_STORE_2
#undef PARTIALPOOL_STORE_3
#undef PARTIALPOOL_FETCH
#undef PARTIALPOOL_COLUMNS_4
#undef PARTIALPOOL_COLUMNS_8
#undef PARTIALPOOL_TILE
#undef PARTIALPOOL_ROWS_2
#undef PARTIALPOOL_ROWS_3

// -1: nothing forced.
inline std::atomic<int> forced_level{-1};

}  // namespace detail

// One instruction set: its tile, the packing to the tile's shape, and the size of the block of A
// that is to stay in the second-level cache.
struct KernelSet {
  Index tile_rows;
  Index tile_columns;
  Index block_rows;
  void (*tile)(Index depth, const double* a, const double* b, double alpha, double* c,
               Index stride);
  void (*pack_rows)(const Operand& operand, Index row, Index rows, Index first, Index depth,
                    double* panel);
  void (*pack_columns)(const Operand& operand, Index row, Index rows, Index first, Index depth,
                       double* panel);
};

// No tile is larger than this in elements.
constexpr Index largest_tile = 24 * 8;

// The best level that this build and this processor have.
inline Level available_level() {
#ifdef PARTIALPOOL_X86_LEVELS
  static const Level best = __builtin_cpu_supports("avx512f") ? Level::avx512
                            : __builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma")
                                ? Level::avx2
                                : Level::generic;
  return best;
#else
  return Level::generic;
#endif
}

// Makes the whole process use `level`, or the best available one if the processor lacks it. Meant
// for tests; not to be called while a kernel runs.
inline void force_level(Level level) {
  detail::forced_level.store(static_cast<int>(std::min(level, available_level())));
}

inline Level active_level() {
  const int forced = detail::forced_level.load(std::memory_order_relaxed);
  return forced < 0 ? available_level() : static_cast<Level>(forced);
}

inline const KernelSet& active_kernels() {
  using namespace detail;
  static constexpr KernelSet generic{
      generic_rows, generic_columns,          120,
      tile_generic, pack_panel<generic_rows>, pack_panel<generic_columns>};
#ifdef PARTIALPOOL_X86_LEVELS
  static constexpr KernelSet avx2{12, 4, 120, tile_avx2, pack_panel<12>, pack_panel<4>};
  static constexpr KernelSet avx512{24, 8, 240, tile_avx512, pack_panel<24>, pack_panel<8>};
  switch (active_level()) {
    case Level::avx512:
      return avx512;
    case Level::avx2:
      return avx2;
    case Level::generic:
      break;
  }
#endif
  return generic;
}

// Packing buffers. The caller owns one per thread and passes it to every call; it only grows.
class Workspace {
 public:
  double* rows(Index size) { return grow(rows_, size); }
  double* columns(Index size) { return grow(columns_, size); }

 private:
  static double* grow(std::vector<double>& buffer, Index size) {
    constexpr std::size_t line = 64;
    const std::size_t needed = static_cast<std::size_t>(size) + line / sizeof(double);
    if (buffer.size() < needed) {
      buffer.clear();  // nothing to copy
      buffer.resize(needed);
    }
    const std::uintptr_t address = reinterpret_cast<std::uintptr_t>(buffer.data());
    return buffer.data() + ((line - address % line) % line) / sizeof(double);
  }

  std::vector<double> rows_;
  std::vector<double> columns_;
};

namespace detail {

// Depth and number of columns packed at once: a panel of B stays in the first-level cache, a block
// of A in the second, the packed B in the last.
constexpr Index block_depth = 256;
constexpr Index block_columns = 4080;

struct Block {
  double* data;
  Index stride;

  Block at(Index i, Index j) const { return Block{data + i + j * stride, stride}; }
};

inline Operand as_stored(const double* data, Index stride, Part part = Part::full) {
  return Operand{data, 1, stride, part};
}

inline Operand as_transpose(const double* data, Index stride, Part part = Part::full) {
  return Operand{data, stride, 1, part};
}

inline Operand as_stored(Block b, Part part = Part::full) {
  return as_stored(b.data, b.stride, part);
}

inline Operand as_transpose(Block b, Part part = Part::full) {
  return as_transpose(b.data, b.stride, part);
}

inline Index round_up(Index n, Index unit) {
  return (n + unit - 1) / unit * unit;
}

// Length of the pieces when n is cut into equal parts of at most `limit`.
inline Index even_piece(Index n, Index limit) {
  const Index pieces = (n + limit - 1) / limit;
  return round_up((n + pieces - 1) / pieces, 8);
}

struct Product {
  Index rows;
  Index columns;
  Index depth;
  double alpha;
  bool lower_only = false;  // touch C(i, j) only for i >= j
  bool overwrite = false;   // C = ... in place of C += ...
};

// What is packed at a time: depths [first, first + depth) of both operands.
struct PackedDepths {
  const KernelSet& kernels;
  const Product& product;
  Part part_a;
  Part part_b;
  Index first;
  Index depth;
};

// `diagonal` is the row of the tile's corner minus its column in C; only elements on or below the
// diagonal of C are added.
inline void add_tile_part(const double* tile, Index tile_rows, Block c, Index rows, Index columns,
                          Index diagonal) {
  for (Index j = 0; j < columns; ++j) {
    for (Index i = std::max<Index>(0, j - diagonal); i < rows; ++i) {
      c.data[i + j * c.stride] += tile[i + j * tile_rows];
    }
  }
}

// All tiles of one block of C. Its first element, c, stands at (row, column).
inline void multiply_block(const PackedDepths& packed, const double* packed_a, Index row,
                           Index rows, const double* packed_b, Index column, Index columns,
                           Block c) {
  const KernelSet& set = packed.kernels;
  alignas(64) double tile[largest_tile];
  for (Index j = 0; j < columns; j += set.tile_columns) {
    const Index tile_columns = std::min(set.tile_columns, columns - j);
    const DepthRange range_b =
        counted_depths(packed.part_b, column + j, tile_columns, packed.first, packed.depth);
    for (Index i = 0; i < rows; i += set.tile_rows) {
      const Index tile_rows = std::min(set.tile_rows, rows - i);
      const Index diagonal = packed.product.lower_only ? row + i - column - j : set.tile_columns;
      if (diagonal + tile_rows <= 0) continue;
      const DepthRange range_a =
          counted_depths(packed.part_a, row + i, tile_rows, packed.first, packed.depth);
      const Index begin = std::max(range_a.begin, range_b.begin);
      const Index depth = std::min(range_a.end, range_b.end) - begin;
      if (depth <= 0) continue;
      const double* a = packed_a + i * packed.depth + begin * set.tile_rows;
      const double* b = packed_b + j * packed.depth + begin * set.tile_columns;
      const Block target = c.at(i, j);
      if (tile_rows == set.tile_rows && tile_columns == set.tile_columns &&
          diagonal >= tile_columns - 1) {
        set.tile(depth, a, b, packed.product.alpha, target.data, target.stride);
      } else {
        std::fill(tile, tile + set.tile_rows * set.tile_columns, 0.0);
        set.tile(depth, a, b, packed.product.alpha, tile, set.tile_rows);
        add_tile_part(tile, set.tile_rows, target, tile_rows, tile_columns, diagonal);
      }
    }
  }
}

inline void set_zero(Block c, Index row, Index rows, Index column, Index columns, bool lower_only) {
  for (Index j = 0; j < columns; ++j) {
    const Index above = lower_only ? std::max<Index>(0, column + j - row) : 0;
    if (above < rows) std::fill_n(c.data + above + j * c.stride, rows - above, 0.0);
  }
}

// C += alpha A B' (or =), A and B given as "rows times depth". With `overwrite` and depth <=
// block_depth, C may be the storage of B', or of A if columns <= block_columns: a part of C is
// cleared only when the columns of B' and the rows of A that it overlaps have been packed.
inline void multiply(Block c, const Product& product, const Operand& a, const Operand& b,
                     Workspace& workspace) {
  if (product.rows == 0 || product.columns == 0 || product.depth == 0) return;
  const KernelSet& set = active_kernels();
  const Index depth_piece = even_piece(product.depth, block_depth);
  const Index row_piece = std::min(round_up(product.rows, set.tile_rows), set.block_rows);
  const Index column_piece = std::min(round_up(product.columns, set.tile_columns), block_columns);
  double* packed_a = workspace.rows(row_piece * depth_piece);
  double* packed_b = workspace.columns(column_piece * depth_piece);
  for (Index j = 0; j < product.columns; j += column_piece) {
    const Index columns = std::min(column_piece, product.columns - j);
    for (Index k = 0; k < product.depth; k += depth_piece) {
      const Index depth = std::min(depth_piece, product.depth - k);
      const PackedDepths packed{set, product, a.part, b.part, k, depth};
      for (Index p = 0; p < columns; p += set.tile_columns) {
        set.pack_columns(b, j + p, std::min(set.tile_columns, columns - p), k, depth,
                         packed_b + p * depth);
      }
      for (Index i = 0; i < product.rows; i += row_piece) {
        const Index rows = std::min(row_piece, product.rows - i);
        if (product.lower_only && i + rows <= j) continue;
        for (Index p = 0; p < rows; p += set.tile_rows) {
          set.pack_rows(a, i + p, std::min(set.tile_rows, rows - p), k, depth,
                        packed_a + p * depth);
        }
        const Block target = c.at(i, j);
        if (product.overwrite && k == 0) {
          set_zero(target, i, rows, j, columns, product.lower_only);
        }
        multiply_block(packed, packed_a, i, rows, packed_b, j, columns, target);
      }
    }
  }
}

}  // namespace detail
}  // namespace dense
}  // namespace partialpool

#endif
