# Random-effects terms whose levels are correlated: Cov(b) of a term = Sigma x K for the kernel K of
# its grouping factor. A term holds `kernel`: list(loading, source). The loading C, levels x r with
# K = C C', is what a fit computes with; `source` gives the covariances with levels that the data
# have not (NULL if there are none): list(ids, at, kernel) or list(ids, at, K), `at` the levels.

# The terms with the kernels of their factors, as the argument `kernel` gives them.
attach_kernels <- function(random, kernel) {
  if (is.null(kernel)) {
    return(random)
  }
  groups <- vapply(random, function(term) term$group, "")
  for (name in check_kernel_names(kernel, groups)) {
    terms <- which(plain_names(groups) == plain_names(name))
    own <- level_kernel(kernel[[name]], random[[terms[1L]]]$levels, groups[terms[1L]])
    for (t in terms) random[[t]]$kernel <- own
  }
  random
}

# Without the backticks of a name that is not syntactic.
plain_names <- function(x) gsub("`", "", x, fixed = TRUE)

check_kernel_names <- function(kernel, groups) {
  names <- names(kernel)
  if (!is.list(kernel) || inherits(kernel, "pp_kernel") || is.null(names) || !all(nzchar(names))) {
    example <- if (length(groups)) groups[1L] else "g"
    pp_abort("kernel", c(
      x = "{.arg kernel} must be a list with the names of grouping factors.",
      ">" = "Such as {.code kernel = list({example} = K)}."
    ))
  }
  if (anyDuplicated(names)) {
    twice <- names[duplicated(names)][1L]
    pp_abort("kernel", c(
      x = "{.arg kernel} has two elements {.val {twice}}.",
      i = "All random terms on a grouping factor share one kernel.",
      ">" = "For a second one write the factor under another name, as a copy in the data."
    ))
  }
  unknown <- setdiff(plain_names(names), plain_names(groups))
  if (length(unknown)) {
    pp_abort("kernel", c(
      x = "{.arg kernel} names {.val {unknown}}, which {?is/are} no grouping factor{?s} of the
           formula.",
      i = if (length(groups)) "They are {.val {unique(groups)}}."
          else "The formula has no random-effects terms.",
      if (length(groups)) suggest_name(unknown[1L], groups)
    ))
  }
  names
}

# What a term keeps of a kernel (or a covariance matrix) for the levels that occur.
level_kernel <- function(x, levels, group) {
  if (inherits(x, "pp_kernel")) {
    source <- list(ids = x$ids, kernel = x)
  } else if (is.matrix(x) || inherits(x, "Matrix")) {
    # Not decomposed as as_kernel() does: a Cholesky factor of what occurs is enough.
    arg <- paste0("kernel$", plain_names(group))
    K <- check_kernel_matrix(x, arg)
    source <- list(ids = kernel_ids(K, NULL, arg))
    source$K <- unname(symmetric_part(as.matrix(K), arg))
  } else {
    as_kernel(x, paste0("kernel$", plain_names(group))) # aborts
  }
  if (is.null(source$ids)) {
    pp_abort("kernel", c(
      x = "The kernel of {.var {group}} has no names: its rows cannot be matched to the levels.",
      ">" = "Give the matrix row names, or use {.code kernel(K, ids = )}."
    ))
  }
  source$at <- match(levels, source$ids)
  absent <- levels[is.na(source$at)]
  if (length(absent)) abort_absent_levels(absent, group, length(levels), source$ids)
  others <- length(source$ids) > length(levels)
  list(loading = level_root(source, source$at), source = if (others) source)
}

abort_absent_levels <- function(absent, group, J, ids) {
  pp_abort("kernel", c(
    x = "The kernel of {.var {group}} has no {.val {absent}}.",
    i = "{length(absent)} of the {J} level{?s} of {.var {group}} {cli::qty(length(absent))}{?is/are}
         not among its names.",
    if (length(absent) == 1L) suggest_name(absent, ids)
  ), group = group, levels = absent)
}

# K of some rows and columns.
level_covariance <- function(source, rows, columns = rows) {
  if (!is.null(source$K)) {
    return(source$K[rows, columns, drop = FALSE])
  }
  kernel <- source$kernel
  if (is.null(kernel$values)) {
    unit <- Matrix::sparseMatrix(columns, seq_along(columns),
      x = 1, dims = c(kernel$n, length(columns))
    )
    K <- as.matrix(Matrix::solve(Matrix::forceSymmetric(kernel$precision), unit))
    return(K[rows, , drop = FALSE])
  }
  left <- kernel$vectors[rows, , drop = FALSE] * rep(kernel$values, each = length(rows))
  tcrossprod(left, kernel$vectors[columns, , drop = FALSE])
}

# C with C C' = K of the rows `at`: those of the root of the whole kernel if it has few columns,
# else the Cholesky factor, or for a singular K the economic root.
level_root <- function(source, at) {
  kernel <- source$kernel
  if (!is.null(kernel$values) && kernel$rank <= length(at)) {
    return(root_rows(kernel, at))
  }
  K <- level_covariance(source, at)
  K <- (K + t(K)) / 2
  root <- tryCatch(t(chol(K)), error = function(e) NULL)
  if (!is.null(root)) {
    return(root)
  }
  tolerance <- if (is.null(kernel)) 1e-10 else kernel$tolerance
  spectrum <- economic_spectrum(K, tolerance, "kernel")
  spectrum$vectors * rep(sqrt(spectrum$values), each = length(at))
}

# Rows of the root of a whole kernel.
root_rows <- function(kernel, at) {
  kernel$vectors[at, , drop = FALSE] * rep(sqrt(kernel$values), each = length(at))
}

has_kernel <- function(term) !is.null(term$kernel)

any_kernel <- function(x) any(vapply(x$random, has_kernel, NA))

# Levels beyond those of the fit ------------------------------------------------------------------

# Codes of levels of new data that the kernel knows but the fit does not: J + 1, J + 2, ... with the
# attributes `loading`, a row c' for each with E(b | u) = c'u, and `left`, Var(b | u) / Sigma.
kernel_codes <- function(term, level_codes, levels, numeric) {
  source <- term$kernel$source
  fresh <- which(is.na(level_codes))
  if (is.null(source) || !length(fresh)) {
    return(level_codes)
  }
  at <- match_levels(levels[fresh], source$ids, numeric)
  known <- fresh[!is.na(at)]
  at <- at[!is.na(at)]
  if (!length(at)) {
    return(level_codes)
  }
  level_codes[known] <- length(term$levels) + seq_along(at)
  if (!is.null(source$kernel$values) && source$kernel$rank <= length(term$levels)) {
    loading <- root_rows(source$kernel, at)
    left <- numeric(length(at))
  } else {
    loading <- t(solve_loading(term$kernel$loading, level_covariance(source, source$at, at)))
    left <- pmax(0, level_variance(source, at) - rowSums(loading^2))
  }
  structure(level_codes, loading = loading, left = left)
}

# Diagonal of K.
level_variance <- function(source, at) {
  if (is.null(source$K) && !is.null(source$kernel$values)) {
    vectors <- source$kernel$vectors[at, , drop = FALSE]
    return(as.vector(vectors^2 %*% source$kernel$values))
  }
  diag(level_covariance(source, at))
}

# The shortest u with C u = b, for each column of b.
solve_loading <- function(C, b) {
  if (nrow(C) == ncol(C) && all(C[upper.tri(C)] == 0)) {
    return(forwardsolve(C, b))
  }
  found <- eigen(crossprod(C), symmetric = TRUE)
  kept <- found$values > 1e-12 * found$values[1L]
  V <- found$vectors[, kept, drop = FALSE]
  V %*% (crossprod(V, crossprod(C, b)) / found$values[kept])
}

# `codes[rows]` with what kernel_codes() added.
take_codes <- function(codes, rows) {
  structure(codes[rows], loading = attr(codes, "loading"), left = attr(codes, "left"))
}

# Effects of the levels of a fit, then of those that only the kernel knows.
with_kernel_effects <- function(b, term, codes) {
  loading <- attr(codes, "loading")
  if (is.null(loading)) {
    return(b)
  }
  rbind(b, loading %*% solve_loading(term$kernel$loading, b))
}

# C of the levels of other rows, to draw new effects for them.
simulation_loading <- function(term, levels) {
  at <- match(levels, term$levels)
  if (!anyNA(at)) {
    return(term$kernel$loading[at, , drop = FALSE])
  }
  source <- term$kernel$source
  known <- if (is.null(source)) term$levels else source$ids
  at <- match(levels, known)
  if (anyNA(at)) abort_absent_levels(levels[is.na(at)], term$group, length(levels), known)
  level_root(source, at)
}

# Quadrature is taken level by level.
check_kernel_integral <- function(design, integral) {
  if (integral$method != "agq" || !any_kernel(design)) {
    return(invisible())
  }
  group <- Find(has_kernel, design$random)$group
  pp_abort("kernel", c(
    x = "Quadrature ({.code nAGQ = {integral$nAGQ}}) is not possible with a kernel.",
    i = "The levels of {.var {group}} are correlated: their integral does not fall apart into one a
         level.",
    ">" = "Use {.code method = \"ep\"} or {.code method = \"laplace\"}."
  ))
}
