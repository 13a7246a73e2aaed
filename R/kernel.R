# The kernel of a model: a covariance matrix between samples, known up to a factor, checked and
# decomposed once.

#' A kernel: a covariance known up to a factor
#'
#' A kernel says how alike samples are: a relationship matrix, a pedigree, a spatial correlation.
#' It is checked and decomposed here, once; every fit and scan that is given the result uses the
#' same decomposition.
#'
#' The eigen-decomposition is economic: `K = Q S Q'` with as many columns as `K` has eigenvalues
#' above `tolerance * n * largest`, the largest being that of `K`. Eigenvalues that are smaller are
#' rounding errors of a kernel of lower rank and are taken as zero. The threshold is relative:
#' multiplying `K` by a number changes nothing but `values`. An eigenvalue below minus this
#' threshold means that `K` is not a covariance matrix, which is an error. `K` may differ from its
#' transpose by `1e-8` of its largest entry, and is then averaged with it.
#'
#' With `factor = G`, and fewer columns than rows, the decomposition is that of `G` (by singular
#' values), and `G G'` is never formed. With `precision` nothing is decomposed before it is asked
#' for: a model with a grouping factor works with the sparse matrix itself.
#'
#' Symmetric matrices are decomposed by [base::eigen()] and thus by the LAPACK that R uses: for
#' thousands of samples an optimised one is worth having. The work grows with the cube of the number
#' of samples, the memory with its square.
#'
#' The variance components of a fit belong to `K` as it is given. With a mean diagonal of 1 they can
#' be compared with those of other fits.
#'
#' @param K A symmetric positive semi-definite matrix, dense or sparse (of the Matrix package), a
#'   row and a column per sample.
#' @param factor A matrix `G` with `K = G G'`, a row per sample: standardised genotypes, divided by
#'   the root of their number, for example.
#' @param precision The inverse of `K`, dense or sparse: the inverse relationship matrix of a
#'   pedigree, for example. It must be positive definite.
#' @param ids The names of the samples, as many as rows and all different. Default: the row names of
#'   the matrix, or none. Data with names are matched to them, in whatever order they stand.
#' @param tolerance Eigenvalues above `tolerance * n * largest` are kept; a number between 0 and 1,
#'   default `1e-10`.
#' @return A list of class `"pp_kernel"`: `n`, the number of samples; `ids`, their names or `NULL`;
#'   `source`, one of `"covariance"`, `"factor"` and `"precision"`; `rank`; `values`, the
#'   eigenvalues kept, in decreasing order, and `vectors`, the eigenvectors in its columns (both
#'   `NULL` for a precision, whose rank is `n`); `precision`, a sparse matrix or `NULL`;
#'   `tolerance`.
#' @section Errors: A matrix that is not square, symmetric, finite and positive semi-definite, is
#'   zero, or has names that repeat, is of class `partialpool_error_kernel`; none or several of `K`,
#'   `factor` and `precision`, and a wrong `tolerance`, of class `partialpool_error_argument`.
#' @seealso [kernel_glmm()], [kernel_lmm()], [marker_scan()]
#' @examples
#' distance <- as.matrix(dist(1:5))
#' kernel(exp(-distance))
#' kernel(factor = cbind(1, 1:5), ids = letters[1:5])
#' @export
kernel <- function(K = NULL, factor = NULL, precision = NULL, ids = NULL, tolerance = 1e-10) {
  given <- c("K", "factor", "precision")[
    c(!is.null(K), !is.null(factor), !is.null(precision))
  ]
  if (length(given) != 1L) {
    pp_abort("argument", c(
      x = "One of {.arg K}, {.arg factor} and {.arg precision} must be given.",
      i = if (length(given)) "Given are {.arg {given}}." else "None is."
    ))
  }
  tolerance <- check_positive(tolerance, "tolerance")
  if (tolerance >= 1) {
    pp_abort("argument", c(
      x = "{.arg tolerance} must be less than 1.", i = "It is {.val {tolerance}}."
    ))
  }
  switch(given,
    K = covariance_kernel(K, ids, tolerance, "K"),
    factor = factor_kernel(factor, ids, tolerance),
    precision = precision_kernel(precision, ids, tolerance)
  )
}

new_kernel <- function(n, ids, source, values = NULL, vectors = NULL, precision = NULL, tolerance) {
  structure(
    list(
      n = n, ids = ids, source = source, rank = if (is.null(values)) n else length(values),
      values = values, vectors = vectors, precision = precision, tolerance = tolerance
    ),
    class = "pp_kernel"
  )
}

covariance_kernel <- function(K, ids, tolerance, arg) {
  K <- check_kernel_matrix(K, arg)
  ids <- kernel_ids(K, ids, arg)
  K <- symmetric_part(as.matrix(K), arg)
  spectrum <- economic_spectrum(K, tolerance, arg)
  new_kernel(nrow(K), ids, "covariance", spectrum$values, spectrum$vectors, tolerance = tolerance)
}

factor_kernel <- function(G, ids, tolerance) {
  G <- check_kernel_matrix(G, "factor", square = FALSE)
  ids <- kernel_ids(G, ids, "factor")
  spectrum <- factor_spectrum(G, tolerance)
  new_kernel(nrow(G), ids, "factor", spectrum$values, spectrum$vectors, tolerance = tolerance)
}

precision_kernel <- function(P, ids, tolerance) {
  P <- check_kernel_matrix(P, "precision")
  ids <- kernel_ids(P, ids, "precision")
  P <- Matrix::drop0(methods::as(methods::as(symmetric_part(P, "precision"), "generalMatrix"),
    "CsparseMatrix"
  ))
  dimnames(P) <- list(NULL, NULL)
  check_definite(P)
  new_kernel(nrow(P), ids, "precision", precision = P, tolerance = tolerance)
}

# A numeric matrix, dense or of the Matrix package, without missing and infinite values.
check_kernel_matrix <- function(K, arg, square = TRUE) {
  sparse <- inherits(K, "Matrix")
  if (!(sparse || is.matrix(K)) || !sparse && !is.numeric(K)) {
    pp_abort("kernel", c(
      x = "{.arg {arg}} must be a numeric matrix, dense or sparse.",
      i = "It is {.obj_type_friendly {K}}.",
      ">" = if (is.data.frame(K)) "Make one by {.fn as.matrix}."
    ))
  }
  if (square && nrow(K) != ncol(K)) {
    pp_abort("kernel", c(
      x = "{.arg {arg}} must be square: a row and a column per sample.",
      i = "It has {nrow(K)} row{?s} and {ncol(K)} column{?s}.",
      ">" = if (nrow(K) > 0L && arg == "K") {
        "A matrix {.code G} with {.code K = G G'} is given as {.code kernel(factor = G)}."
      }
    ))
  }
  if (length(K) == 0L) {
    pp_abort("kernel", c(
      x = "{.arg {arg}} is empty: it has {nrow(K)} row{?s} and {ncol(K)} column{?s}."
    ))
  }
  values <- if (inherits(K, "dsparseMatrix") || inherits(K, "ddenseMatrix")) K@x else K
  if (!is.finite(sum(abs(values)))) check_kernel_values(as.matrix(K), arg)
  K
}

check_kernel_values <- function(K, arg) {
  bad <- which(rowSums(!is.finite(K)) > 0)
  if (length(bad)) {
    where <- describe_rows(if (is.null(rownames(K))) bad else rownames(K)[bad])
    what <- if (anyNA(K)) "missing values (NA/NaN)" else "infinite values (Inf)"
    pp_abort("kernel", c(x = "{.arg {arg}} holds {what}: in {where}."), rows = bad)
  }
  pp_abort("kernel", c(
    x = "The entries of {.arg {arg}} are too large: their sum overflows.", ">" = "Rescale it."
  ))
}

kernel_ids <- function(K, ids, arg) {
  if (is.null(ids)) {
    ids <- rownames(K)
    other <- if (nrow(K) == ncol(K) && arg != "factor") colnames(K)
    if (is.null(ids)) ids <- other
    if (!is.null(other) && !identical(ids, other)) {
      pp_abort("kernel", c(
        x = "The row names of {.arg {arg}} are not its column names.",
        i = "The first that differs is {.val {ids[ids != other][1L]}}.",
        ">" = "Give the names of the samples as {.arg ids}, or bring rows and columns into the same
               order."
      ))
    }
  }
  if (is.null(ids)) {
    return(NULL)
  }
  if (is.factor(ids) || is.numeric(ids)) ids <- as.character(ids)
  if (!is.character(ids) || length(ids) != nrow(K) || anyNA(ids)) {
    pp_abort("kernel", c(
      x = "{.arg ids} must name the {nrow(K)} sample{?s} of {.arg {arg}}.",
      i = if (is.character(ids) && anyNA(ids)) {
        "It holds missing values."
      } else {
        "It is {.obj_type_friendly {ids}} of length {length(ids)}."
      }
    ))
  }
  twice <- unique(ids[duplicated(ids)])
  if (length(twice)) {
    pp_abort("kernel", c(
      x = "The names of the samples of {.arg {arg}} must differ: {.val {twice}} repeat{?s/}.",
      ">" = "Several rows of data may have the name of one sample; the kernel has it once."
    ))
  }
  ids
}

symmetric_part <- function(K, arg) {
  difference <- max(abs(K - Matrix::t(K)))
  if (difference > 1e-8 * max(abs(K))) {
    pp_abort("kernel", c(
      x = "{.arg {arg}} is not symmetric.",
      i = "It differs from its transpose by up to {signif(difference, 3)}."
    ))
  }
  if (difference > 0) (K + Matrix::t(K)) / 2 else K
}

# Eigenvalues above the threshold and their vectors, of a symmetric dense matrix.
economic_spectrum <- function(K, tolerance, arg) {
  size <- max(abs(K))
  if (size == 0) abort_zero_kernel(arg)
  # Entries near 1: their squares exist.
  found <- eigen(unname(K) / size, symmetric = TRUE)
  threshold <- tolerance * nrow(K) * max(abs(found$values))
  lowest <- found$values[nrow(K)]
  if (lowest < -threshold) {
    pp_abort("kernel", c(
      x = "{.arg {arg}} is not positive semi-definite.",
      i = "Its smallest eigenvalue is {signif(size * lowest, 3)}, its largest
           {signif(size * found$values[1L], 3)}: it is no covariance matrix."
    ))
  }
  kept <- seq_len(sum(found$values > threshold))
  if (!length(kept)) abort_nothing_kept(nrow(K), tolerance)
  list(values = size * found$values[kept], vectors = found$vectors[, kept, drop = FALSE])
}

# The same of G G'.
factor_spectrum <- function(G, tolerance) {
  size <- max(abs(G))
  if (size == 0) abort_zero_kernel("factor")
  G <- G / size
  dimnames(G) <- list(NULL, NULL)
  if (ncol(G) >= nrow(G)) {
    spectrum <- economic_spectrum(as.matrix(Matrix::tcrossprod(G)), tolerance, "factor")
  } else {
    found <- svd(as.matrix(G), nv = 0L)
    values <- found$d^2
    kept <- seq_len(sum(values > tolerance * nrow(G) * values[1L]))
    if (!length(kept)) abort_nothing_kept(nrow(G), tolerance)
    spectrum <- list(values = values[kept], vectors = found$u[, kept, drop = FALSE])
  }
  spectrum$values <- size^2 * spectrum$values
  if (!all(is.finite(spectrum$values)) || any(spectrum$values == 0)) {
    pp_abort("kernel", c(
      x = "The entries of {.arg factor} are too {if (size > 1) 'large' else 'small'}: their squares
           are no numbers.",
      ">" = "Rescale it."
    ))
  }
  spectrum
}

abort_zero_kernel <- function(arg) {
  pp_abort("kernel", c(
    x = "{.arg {arg}} is zero: it is no covariance between samples.",
    ">" = "For a model without a kernel use {.code kernel = NULL}."
  ))
}

abort_nothing_kept <- function(n, tolerance) {
  pp_abort("argument", c(
    x = "{.arg tolerance} leaves nothing of the kernel: no eigenvalue is above it.",
    i = "Eigenvalues above {.code tolerance * n * largest} are kept; {.code tolerance * n} is
         {signif(tolerance * n, 3)}."
  ))
}

check_definite <- function(P) {
  factor <- tryCatch(
    Matrix::Cholesky(Matrix::forceSymmetric(P), LDL = FALSE, perm = TRUE),
    error = function(e) NULL, warning = function(w) NULL
  )
  if (is.null(factor)) {
    pp_abort("kernel", c(
      x = "{.arg precision} is not positive definite.",
      i = "It is the inverse of a covariance matrix: all its eigenvalues are positive."
    ))
  }
}

#' @param x A kernel.
#' @param ... Ignored.
#' @rdname kernel
#' @export
print.pp_kernel <- function(x, ...) {
  from <- switch(x$source,
    covariance = "a covariance matrix", factor = "a factor", precision = "a precision matrix"
  )
  cat("Kernel of ", x$n, if (x$n == 1L) " sample" else " samples", ", from ", from, "\n", sep = "")
  if (!is.null(x$ids)) {
    shown <- paste(utils::head(x$ids, 4L), collapse = ", ")
    cat("Names: ", shorten(shown, 60L), if (x$n > 4L) ", ...", "\n", sep = "")
  }
  cat("Rank: ", x$rank, "\n", sep = "")
  if (!is.null(x$values)) {
    cat("Eigenvalues: ", paste(format(range(x$values)[2:1], digits = 4L), collapse = " to "), "\n",
      sep = ""
    )
  }
  invisible(x)
}

# For the fitting functions -----------------------------------------------------------------------

# A kernel, or a square matrix that is made into one.
as_kernel <- function(x, arg = "kernel") {
  if (inherits(x, "pp_kernel")) {
    return(x)
  }
  if (is.matrix(x) || inherits(x, "Matrix")) {
    return(covariance_kernel(x, NULL, 1e-10, arg))
  }
  pp_abort("kernel", c(
    x = "{.arg {arg}} must be made by {.fn kernel}, or be a covariance matrix.",
    i = "It is {.obj_type_friendly {x}}."
  ))
}

# list(values, vectors) with K = vectors diag(values) vectors'.
kernel_spectrum <- function(kernel) {
  if (is.null(kernel$values)) {
    # The eigenvalues of the inverse, in the order of those of K.
    found <- eigen(as.matrix(kernel$precision), symmetric = TRUE)
    last <- rev(seq_len(kernel$n))
    return(list(values = 1 / found$values[last], vectors = found$vectors[, last, drop = FALSE]))
  }
  kernel[c("values", "vectors")]
}

# The kernel with its decomposition, for a fit that needs it more than once.
decomposed_kernel <- function(kernel) {
  kernel[c("values", "vectors")] <- kernel_spectrum(kernel)
  kernel
}

# C, n x r, with K = C C'.
kernel_root <- function(kernel) {
  spectrum <- kernel_spectrum(kernel)
  spectrum$vectors * rep(sqrt(spectrum$values), each = kernel$n)
}

kernel_matrix <- function(kernel) {
  K <- if (is.null(kernel$values)) {
    as.matrix(Matrix::solve(Matrix::forceSymmetric(kernel$precision)))
  } else {
    tcrossprod(kernel_root(kernel))
  }
  dimnames(K) <- list(kernel$ids, kernel$ids)
  K
}

# The kernel of `ids` in their order: fewer samples, another order, or a sample several times.
# `what` says in an error where the ids come from.
match_kernel <- function(kernel, ids, what) {
  ids <- as.character(ids)
  if (is.null(kernel$ids)) {
    pp_abort("kernel", c(
      x = "The kernel has no names: {what} cannot be matched to its rows.",
      ">" = "Give its samples names: {.code kernel(K, ids = )}, or row names of the matrix."
    ))
  }
  at <- match(ids, kernel$ids)
  absent <- unique(ids[is.na(at)])
  if (length(absent)) {
    pp_abort("kernel", c(
      x = "The kernel has no sample {.val {absent}}.",
      i = "It lacks {length(absent)} of the {length(unique(ids))} sample{?s} in {what}.",
      if (length(absent) == 1L) suggest_name(absent, kernel$ids)
    ), ids = absent)
  }
  kernel_rows(kernel, at)
}

# Rows and columns `at` of a kernel. Another order needs no new decomposition.
kernel_rows <- function(kernel, at) {
  if (identical(at, seq_len(kernel$n))) {
    return(kernel)
  }
  ids <- kernel$ids[at]
  permuted <- length(at) == kernel$n && !anyDuplicated(at)
  if (permuted) {
    kernel$ids <- ids
    if (!is.null(kernel$vectors)) kernel$vectors <- kernel$vectors[at, , drop = FALSE]
    if (!is.null(kernel$precision)) kernel$precision <- kernel$precision[at, at]
    return(kernel)
  }
  if (is.null(kernel$values)) {
    different <- unique(at)
    unit <- Matrix::sparseMatrix(different, seq_along(different),
      x = 1, dims = c(kernel$n, length(different))
    )
    K <- as.matrix(Matrix::solve(Matrix::forceSymmetric(kernel$precision), unit))
    again <- match(at, different)
    K <- symmetric_part(K[different, , drop = FALSE], "precision")[again, again, drop = FALSE]
    spectrum <- economic_spectrum(K, kernel$tolerance, "precision")
    source <- "covariance"
  } else {
    spectrum <- factor_spectrum(kernel_root(kernel)[at, , drop = FALSE], kernel$tolerance)
    source <- kernel$source
  }
  new_kernel(length(at), ids, source, spectrum$values, spectrum$vectors,
    tolerance = kernel$tolerance
  )
}
