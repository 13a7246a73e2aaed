#' Gaussian models of several traits with one kernel
#'
#' [kernel_lmm()] with a matrix `y` fits its columns, traits of the same samples, together: `Y` (n x
#' t) is matrix normal with mean `X B`, and the covariance of row `i` of trait `a` and row `j` of
#' trait `b` is `C0[a, b] K[i, j] + C1[a, b] (i == j)`. `C0`, the covariance of the traits that goes
#' with the kernel, has the rank asked for; `C1`, that of each row for itself, is positive definite.
#'
#' In the coordinates in which `C1` is the identity and `C0` diagonal, and after rotation by the
#' eigenvectors of the kernel, all observations are independent: value and exact gradient by all
#' entries of `C0` and `C1` cost O(n t p^2). The optimum is found from several starts, those that
#' each trait suggests alone among them, by a quasi-Newton search that Newton steps finish.
#'
#' The log-likelihood has all constants; with `REML = TRUE` it is that of error contrasts, as for
#' one trait. `vcov()` is the covariance of the coefficients at the estimated `C0` and `C1`; with
#' `full = TRUE` that of coefficients and lower triangles of `C0` and `C1` by the observed
#' information.
#'
#' @section Scan:
#' [marker_scan()] gives each marker an effect on every trait. `C0` and `C1` are held at their
#' estimates up to a common factor, which is refitted by maximum likelihood with each marker; the
#' statistic is twice the difference of the log-likelihoods, chi-squared with as many degrees of
#' freedom as traits.
#'
#' @param object,x A fit, as [kernel_lmm()] returns it for a matrix `y`.
#' @param full `TRUE` adds the entries of `C0` and `C1`. Default `FALSE`.
#' @param sigma Not used; part of the generic.
#' @param newX Columns of the fixed effects of new samples, as `X`. Default `NULL`: those of the
#'   fit, or an intercept.
#' @param K_new The kernel between new samples (rows) and samples of the fit (columns). `NULL`: new
#'   samples that are not related to those of the fit.
#' @param k_new The kernel of each new sample with itself: a number each, or one for all. Needed for
#'   standard errors.
#' @param se.fit `TRUE` adds standard errors of the kernel's part, given the coefficients. Default
#'   `FALSE`.
#' @param type For `residuals()`: `"response"` (default), or `"pearson"`, over the root of the
#'   diagonal of `C1`. For `latent()`, which is about `X B` plus the part of the kernel:
#'   `"posterior"` (default), given `Y`, or `"prior"`.
#' @param covariance `FALSE` leaves the covariance (n t x n t, trait after trait) out.
#' @param parm Names or numbers of the coefficients. Default: all.
#' @param level Coverage of the intervals, between 0 and 1. Default 0.95.
#' @param nsim Number of responses. Default 1.
#' @param seed A seed for the random number generator, whose state is put back afterwards. `NULL`
#'   (default) goes on from the present state.
#' @param digits Significant digits to print.
#' @param formula. Not used: a kernel model has no formula.
#' @param fit A fit of several traits.
#' @param ... For `update()`: arguments of [kernel_lmm()] to change. Otherwise not used.
#' @return `kernel_lmm()` returns a fit of class `c("pp_kernel_traits", "pp_kernel_lmm",
#'   "pp_kernel_fit", "pp_fit")`, a plain list with, among others, `coefficients` (`B`, p x t),
#'   `C0`, `C1`, `rank`, `logLik`, `gradient` (by the coefficients and the lower triangles of `C0`
#'   and `C1`, as if `C0` had full rank), `vcov`, `vcov_full`, `posterior` (`mean`, n x t) and
#'   `convergence`.
#'
#'   `coef()`, `fixef()`: p x t matrix; `vcov()`: named `trait:column`; `VarCorr()`: the matrices
#'   `kernel` (`C0`) and `row` (`C1`) as [VarCorr.pp_fit()]; `sigma()`: the roots of the diagonal of
#'   `C1`; `fitted()`, `residuals()`, `predict()`: n x t matrices, `predict()` with `se.fit` a list
#'   of two; `simulate()`: a list of `nsim` matrices.
#' @examples
#' set.seed(1)
#' K <- exp(-as.matrix(dist(1:40)) / 5)
#' u <- crossprod(chol(K), matrix(rnorm(80), 40) %*% rbind(c(1, 0.8), c(0, 0.6)))
#' Y <- cbind(a = u[, 1], b = u[, 2]) + rnorm(80)
#' fit <- kernel_lmm(Y, kernel = K)
#' fit
#' VarCorr(fit)
#' @name kernel_traits
NULL

fit_kernel_traits <- function(y, X, kernel, REML, noise_var, rank, fix, start, fit, control, call) {
  check_traits_arguments(kernel, noise_var, fix)
  inputs <- kernel_inputs(y, X, kernel, fit = fit, check = control$check, matrix_y = TRUE)
  if (is.null(colnames(inputs$y))) colnames(inputs$y) <- paste0("y", seq_len(ncol(inputs$y)))
  t <- ncol(inputs$y)
  spectrum <- kernel_spectrum(inputs$kernel)
  at <- traits_start(start, inputs)
  rank <- if (is.null(rank)) t else check_traits_rank(rank, t)
  if (fit) {
    check_traits_rows(inputs, spectrum)
    found <- traits_fit(
      spectrum$vectors, spectrum$values, inputs$X, inputs$y, REML, rank, control$tolerance,
      control$max_iterations
    )
    check_traits_fit(found, inputs)
  } else {
    found <- traits_at(
      spectrum$vectors, spectrum$values, inputs$X, inputs$y, REML, at$C0, at$C1, at$beta
    )
    check_traits_fit(found, inputs)
    found[c("C0", "C1")] <- at[c("C0", "C1")]
  }
  out <- new_traits_fit(found, inputs, spectrum, rank, REML, fit, control, call)
  if (fit && control$check) report_traits(out)
  out
}

check_traits_arguments <- function(kernel, noise_var, fix) {
  if (is.null(kernel)) {
    pp_abort("argument", c(
      x = "{.arg kernel} is missing: several traits are modelled together through it.",
      ">" = "{.code lm(y ~ X)} fits them without a kernel."
    ))
  }
  if (!is.null(noise_var)) {
    pp_abort("argument", c(
      x = "{.arg noise_var} is for one trait; {.arg y} has several.", ">" = "Fit them one by one."
    ))
  }
  if (length(fix)) {
    pp_abort("argument", c(
      x = "{.arg fix} is for one trait; {.arg y} has several.",
      ">" = "{.code fit = FALSE} evaluates the model at {.arg start}."
    ))
  }
}

check_traits_rank <- function(rank, t) {
  rank <- check_count(rank, "rank")
  if (rank > t) {
    pp_abort("argument", c(
      x = "{.arg rank} must not be greater than the number of traits.",
      i = "It is {rank}; {.arg y} has {t} columns."
    ))
  }
  rank
}

check_traits_rows <- function(inputs, spectrum) {
  n <- inputs$n
  p <- ncol(inputs$X)
  t <- ncol(inputs$y)
  if (n <= p + t) {
    pp_abort("rank", c(
      x = "There are too few rows ({n}) for {p} fixed effect{?s} of {t} traits.",
      i = "The covariance of the traits cannot be estimated."
    ))
  }
  constant <- which(apply(inputs$y, 2L, function(x) all(x == x[1L])))
  if (length(constant)) {
    names <- colnames(inputs$y)[constant]
    if (!all(nzchar(names))) names <- as.character(constant)
    pp_abort("response", c(x = "{cli::qty(names)}Column{?s} {.val {names}} of {.arg y} {?is/are}
                                constant: there is no variance to model."))
  }
  values <- spectrum$values
  if (length(values) == n && min(values) > (1 - 1e-8) * max(values)) abort_traits_flat()
}

abort_traits_flat <- function() {
  pp_abort("identifiability", c(
    x = "The data cannot tell the kernel from the identity: it is a multiple of it.",
    i = "Only the sum of {.code C0} and {.code C1} is determined."
  ))
}

# list(C0, C1, beta) of `start`, or the defaults.
traits_start <- function(start, inputs) {
  t <- ncol(inputs$y)
  p <- ncol(inputs$X)
  known <- c("C0", "C1", "beta")
  unknown <- setdiff(names(start), known)
  if (length(unknown) || length(start) && (!is.list(start) || is.null(names(start)))) {
    pp_abort("start", c(
      x = "{.arg start} must be a list with some of {.val {known}} for several traits.",
      if (length(unknown) == 1L) suggest_name(unknown, known)
    ))
  }
  values <- list(C0 = diag(0.5, t), C1 = diag(0.5, t), beta = matrix(0, p, t))
  for (name in names(start)) {
    value <- start[[name]]
    wanted <- dim(values[[name]])
    if (!is.numeric(value) || !all(is.finite(value)) || length(value) != prod(wanted) ||
          is.matrix(value) && !identical(dim(value), wanted)) {
      pp_abort("start", c(x = "{.code {name}} in {.arg start} must be a finite matrix,
                               {wanted[1L]} x {wanted[2L]}."))
    }
    values[[name]] <- matrix(as.numeric(value), wanted[1L])
    if (name != "beta") check_trait_covariance(values[[name]], name)
  }
  values
}

check_trait_covariance <- function(C, name) {
  symmetric <- max(abs(C - t(C))) <= 1e-8 * max(abs(C))
  smallest <- if (symmetric) min(eigen(C, symmetric = TRUE, only.values = TRUE)$values)
  definite <- symmetric && if (name == "C1") smallest > 0 else smallest >= -1e-10 * max(abs(C))
  if (!definite) {
    kind <- if (name == "C1") "positive definite" else "positive semi-definite"
    pp_abort("start", c(x = "{.code {name}} in {.arg start} must be symmetric and {kind}."))
  }
}

check_traits_fit <- function(found, inputs) {
  switch(found$status,
    rank = pp_abort("rank", c(
      x = "Columns of {.arg X} depend on each other so nearly that arithmetic cannot tell.",
      ">" = "Leave some of them out."
    )),
    exact = pp_abort("fit", c(
      x = "{.arg X} and other traits fit a column of {.arg y} exactly.",
      i = "The covariance of the traits is singular: one is a combination of others, or of
           {.arg X}.",
      ">" = "Leave that column of {.arg y} out."
    )),
    "not finite" = pp_abort("fit", c(x = "The log-likelihood is not finite at these parameters."))
  )
}

new_traits_fit <- function(found, inputs, spectrum, rank, REML, fit, control, call) {
  traits <- colnames(inputs$y)
  columns <- colnames(inputs$X)
  t <- length(traits)
  for (name in c("C0", "C1")) dimnames(found[[name]]) <- list(traits, traits)
  B <- structure(found$B, dimnames = list(columns, traits))
  residuals <- inputs$y - inputs$X %*% B
  weighted <- traits_weighted(
    spectrum$vectors, spectrum$values, residuals, found$C0, found$C1
  )
  by_name <- trait_names(columns, traits)
  coefficient_names <- by_name[seq_len(length(B))]
  vcov <- structure(found$vcov, dimnames = list(coefficient_names, coefficient_names))
  full <- if (length(found$vcov_full)) found$vcov_full
  if (!is.null(full)) dimnames(full) <- list(by_name, by_name)
  gradient <- c(
    crossprod(inputs$X, weighted), lower_derivative(found$by_C0), lower_derivative(found$by_C1)
  )
  kernel_part <- kernel_times(spectrum, weighted) %*% found$C0
  df <- length(B) + rank * t - rank * (rank - 1) / 2 + t * (t + 1) / 2
  structure(
    list(
      call = call, model = "traits", family = NULL, REML = REML, y = inputs$y, X = inputs$X,
      names = inputs$names, response = inputs$response, column_names = inputs$column_names,
      aliased = inputs$aliased, kernel = inputs$kernel, coefficients = B, C0 = found$C0,
      C1 = found$C1, rank = rank, fixed = c(beta = FALSE, C0 = FALSE, C1 = FALSE),
      logLik = found$logLik, gradient = stats::setNames(gradient, by_name), vcov = vcov,
      vcov_full = full, weighted = weighted,
      posterior = list(mean = inputs$y - residuals + kernel_part),
      convergence = traits_convergence(found, rank, fit), n = inputs$n, df = as.integer(df),
      fitted = fit, control = control
    ),
    class = c("pp_kernel_traits", "pp_kernel_lmm", "pp_kernel_fit", "pp_fit")
  )
}

# "trait:column", then "C0[a,b]" and "C1[a,b]" by columns of the lower triangles.
trait_names <- function(columns, traits) {
  lower <- function(name) {
    at <- which(lower.tri(diag(length(traits)), diag = TRUE), arr.ind = TRUE)
    sprintf("%s[%s,%s]", name, traits[at[, 1L]], traits[at[, 2L]])
  }
  c(if (length(columns)) outer(columns, traits, function(x, y) paste0(y, ":", x)),
    lower("C0"), lower("C1"))
}

# By the entries of the lower triangle of a symmetric matrix.
lower_derivative <- function(G) {
  G <- 2 * G
  diag(G) <- diag(G) / 2
  G[lower.tri(G, diag = TRUE)]
}

kernel_times <- function(spectrum, m) {
  spectrum$vectors %*% (spectrum$values * crossprod(spectrum$vectors, m))
}

traits_convergence <- function(found, rank, fit) {
  if (!fit) {
    return(list(
      status = found$status, evaluations = 1L, boundary = character(), singular = FALSE,
      components = component_frame(character(), character())
    ))
  }
  lost0 <- rank - sum(found$shares0 > 1e-6)
  lost1 <- sum(found$shares1 <= 1e-6)
  t <- length(found$shares1)
  term <- c("kernel", "rows")[c(lost0 > 0, lost1 > 0)]
  what <- c(
    sprintf("the covariance of the traits has rank %d of %d", rank - lost0, rank),
    sprintf("the covariance of the traits has rank %d of %d", t - lost1, t)
  )[c(lost0 > 0, lost1 > 0)]
  boundary <- c(
    sprintf("C0 has rank %d", rank - lost0), sprintf("C1 has rank %d", t - lost1)
  )[c(lost0 > 0, lost1 > 0)]
  list(
    status = found$status, decrement = found$decrement, iterations = found$iterations,
    evaluations = found$evaluations, starts = found$starts, boundary = boundary,
    singular = length(boundary) > 0L, components = component_frame(term, what)
  )
}

report_traits <- function(fit) {
  convergence <- fit$convergence
  warn_not_reached(fit, "Try a smaller {.arg rank}, or fewer traits.")
  if (is.null(fit$vcov_full) && !convergence$singular) {
    pp_warn("identifiability", c(
      "!" = "The data hardly determine {.code C0} and {.code C1} apart.",
      i = "Their standard errors are not given."
    ))
  }
  components <- convergence$components
  if (nrow(components)) {
    inform_plainly("singular", paste0(
      "The fit is singular: ", describe_components(components), "."
    ))
  }
}

# Sets of columns of G, which has no missing values: set k ends at column ends[k]. Returns a list of
# `effects` and `se` (a row a column of G, a column a trait), and for each set `statistic`, `df`,
# `p`, `logLik` and `scale`, the factor of C0 and C1; and of the null model `null_logLik` and
# `null_scale`. The likelihood is that of maximum likelihood, whatever the fit: a marker changes the
# fixed effects. NA: columns that depend on each other or on X.
scan_traits <- function(fit, G, ends = seq_len(ncol(G))) {
  spectrum <- kernel_spectrum(fit$kernel)
  storage.mode(G) <- "double"
  found <- traits_scan(
    spectrum$vectors, spectrum$values, fit$X, fit$y, fit$C0, fit$C1, G, as.integer(ends)
  )
  t <- ncol(fit$y)
  nt <- fit$n * t
  df <- t * diff(c(0L, as.integer(ends)))
  for (name in c("effects", "se", "rss", "logLik")) found[[name]][is.nan(found[[name]])] <- NA_real_
  statistic <- pmax(0, nt * log(found$null_rss / found$rss))
  dimnames(found$effects) <- dimnames(found$se) <- list(colnames(G), colnames(fit$y))
  list(
    effects = found$effects, se = found$se, statistic = statistic, df = df,
    p = stats::pchisq(statistic, df, lower.tail = FALSE), logLik = found$logLik,
    scale = found$rss / nt, null_logLik = found$null_logLik, null_scale = found$null_rss / nt
  )
}
