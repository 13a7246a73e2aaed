# One candidate column after the other, added to a null model that was fitted once.

#' Scan of many candidate columns
#'
#' Adds each of many columns ("markers": genotypes, expression levels, any covariate) to the fixed
#' effects of a kernel model, one at a time or in sets, and returns its effect, standard error,
#' test and log marginal likelihood. The variance parameters are those of the null model that is
#' given, so that a marker costs hardly more than its share of one matrix product.
#'
#' # What is tested
#'
#' A fit by [kernel_lmm()] without `noise_var`: generalised least squares at the `delta` of the
#' null model, with the scale estimated anew for each marker (`refit_scale = TRUE`): the residual
#' sum of squares divided by `n` after ML, by `n - p - k` after REML (`p` columns in the null model,
#' `k` more by the marker or set). After REML `statistic` is Student's t, for sets F, and `p` is
#' from their distribution; after ML `statistic` is a z, for sets a chi-squared, and `p` is that of
#' the likelihood ratio, `lrt`. The standard error is on the refitted scale, whatever the number of
#' covariates. `logLik` is the log marginal likelihood with the marker in the model, REML's in the
#' convention of [logLik()] of the fit; `lrt` is twice the gain of the ML log-likelihood at the
#' `delta` of the null model, after REML too.
#'
#' A fit by [kernel_glmm()], or by [kernel_lmm()] with `noise_var`: the score test at the null
#' model. With `e` and `R` the gradient and the precision of the null model's working response, a
#' marker `m` has the score `m'e` and the variance `m'Rm - m'RX(X'RX)^-1X'Rm`; its effect is score
#' over variance (one Newton step from zero), its standard error one over the root of the variance,
#' and the square of `statistic`, their ratio, is chi-squared with one degree of freedom. With
#' `noise_var` this is generalised least squares with known variances, and `logLik` is exact. For
#' expectation propagation `logLik` is that of the null model plus half the test statistic: the
#' value with the sites of the null model. Large effects are underestimated by one step: refit the
#' model for the markers that matter.
#'
#' `refit_scale` overrides the choice for Gaussian models: `FALSE` takes the scale of the null
#' model as known, `TRUE` with `noise_var` scales the whole covariance matrix, known variances
#' included.
#'
#' A fit to several traits: generalised least squares with an effect for each trait, at the
#' covariance matrices of the null model up to a common factor that is estimated anew. `statistic`
#' is the likelihood ratio for all traits together, `df` their number (times that of the markers of
#' a set); the columns `effect_` and `se_` with the name of a trait are those of that trait.
#'
#' # Markers
#'
#' `markers` is a numeric, integer, logical or raw matrix, a row per sample and a column per
#' marker; a sparse matrix of the Matrix package; or the path of a PLINK 1 `.bed` file with its
#' `.bim` and `.fam` beside it. Blocks of `block_size` markers are converted to numbers and worked
#' on at a time: memory does not grow with the number of markers in a file. Genotypes of a `.bed`
#' file are copies of the first allele of the `.bim` file (A1): 0, 1 or 2.
#'
#' If the data of the fit have names (those of `y` or the row names of `X`) and the markers have row
#' names, or a `.fam` file, rows are matched by name (individual identifiers of the `.fam` file) and
#' markers may have more samples than the fit, in any order. Otherwise there must be as many rows,
#' and their order counts.
#'
#' Missing values are replaced by the mean of the marker over the samples of the fit and counted. A
#' marker has `NA` for results if all its values are missing, if it is constant, if it is a linear
#' combination of the columns of `X`, or if nothing is left to estimate a scale from. [summary()]
#' counts each of these causes.
#'
#' # Parallel scans
#'
#' If the user has chosen a parallel `plan()` of the package future, and future.apply is installed,
#' blocks are distributed over its workers. Results do not depend on the workers, nor on
#' `block_size`, to the last digit (on processors of one kind).
#'
#' @param fit A fit by [kernel_lmm()] (of one trait or several) or [kernel_glmm()].
#' @param markers A matrix, a sparse matrix, or the path of a `.bed` file, see below.
#' @param ... Passed to methods.
#' @return A data frame of class `"pp_scan"`, a row per marker, with the columns `marker` (its
#'   name), `effect`, `se`, `statistic`, `lrt`, `p`, `logLik`, `missing` (number of values
#'   imputed) and `frequency` (half the mean, where all values lie between 0 and 2: the frequency of
#'   the counted allele). From a `.bed` file also `chromosome`, `position`, `allele` (the one
#'   counted) and `other`.
#'
#'   With `sets` a row per set: `set`, `size`, `df` (the rank of its columns given `X`),
#'   `statistic`, `lrt`, `p`, `logLik` and `missing`; the attribute `"markers"` is a data frame of
#'   the `effect` and `se` of each marker given the others of its set.
#'
#'   With `file` an object without rows, invisibly; it can be printed and summarised.
#' @section Errors: Markers that are not numbers, with infinite values, of the wrong number of rows,
#'   without a sample of the fit, and files that are missing, truncated or of another format are of
#'   class `partialpool_error_markers`, as are `sets` that name what is not there. Other arguments:
#'   `partialpool_error_argument`.
#' @references Lippert C, Listgarten J, Liu Y, Kadie CM, Davidson RI, Heckerman D (2011). FaST
#'   linear mixed models for genome-wide association studies. Nature Methods 8, 833-835.
#'   \doi{10.1038/nmeth.1681}
#' @seealso [kernel_lmm()], [kernel_glmm()], [summary.pp_scan()]
#' @examples
#' set.seed(1)
#' markers <- matrix(rbinom(100 * 40, 2, 0.3), 100)
#' y <- rnorm(100) + 0.8 * markers[, 7]
#' fit <- kernel_lmm(y, NULL, kernel(factor = scale(markers)))
#' scan <- marker_scan(fit, markers)
#' scan
#' marker_scan(fit, markers, sets = rep(1:10, each = 4))
#' @export
marker_scan <- function(fit, markers, ...) {
  UseMethod("marker_scan")
}

#' @rdname marker_scan
#' @export
marker_scan.default <- function(fit, markers, ...) {
  pp_abort("argument", c(
    x = "{.arg fit} must be a fit by {.fn kernel_lmm} or {.fn kernel_glmm}.",
    i = "It is {.obj_type_friendly {fit}}."
  ))
}

#' @param sets `NULL` (default): markers are tested one by one. A list of vectors of column names
#'   or numbers, or a vector with the set of each marker (`NA`: none): the markers of a set are
#'   tested together.
#' @param block_size Number of markers worked on at a time; default: such that a block takes 32 MB
#'   or less, at most 1024. A set is never divided.
#' @param file `NULL` (default), or the name of a file to which the results are written as they
#'   come, as comma-separated values (compressed if the name ends in `.gz`), in place of being kept
#'   in memory. An existing file is replaced.
#' @param progress `TRUE` or `FALSE` (default): show a progress bar?
#' @param refit_scale `TRUE` or `FALSE`: is the scale estimated anew for each marker? Default: yes
#'   for [kernel_lmm()] without `noise_var`, no otherwise.
#' @rdname marker_scan
#' @export
marker_scan.pp_kernel_fit <- function(fit, markers, sets = NULL, block_size = NULL, file = NULL,
                                      progress = FALSE, refit_scale = NULL, ...) {
  check_scan_dots(...)
  progress <- check_flag(progress, "progress")
  check_scan_file(file)
  null <- scan_null(fit, check_refit_scale(refit_scale, fit))
  source <- marker_source(markers, fit$names, null$n)
  block_size <- check_block_size(block_size, null$n)
  plan <- if (is.null(sets)) {
    marker_plan(source$size, block_size)
  } else {
    set_plan(scan_sets(sets, source), block_size)
  }
  output <- scan_output(file, null, source, plan)
  on.exit(output$close())
  run_scan(plan, source, null, output, progress)
  scan <- new_scan(output, null, match.call(), file)
  if (is.null(file)) scan else invisible(scan)
}

new_scan <- function(output, null, call, file) {
  table <- output$table()
  attr(table, "markers") <- output$markers()
  attr(table, "overview") <- output$overview()
  shown <- c("model", "REML", "refit", "n", "p", "traits", "scale", "delta", "logLik")
  attr(table, "null") <- null[intersect(shown, names(null))]
  attr(table, "call") <- call
  attr(table, "file") <- file
  class(table) <- c("pp_scan", "data.frame")
  table
}

# Arguments ---------------------------------------------------------------------------------------

check_scan_dots <- function(...) {
  if (...length()) {
    name <- ...names()[1L]
    pp_abort("argument", c(
      x = if (is.null(name) || is.na(name) || !nzchar(name)) {
        "{.fn marker_scan} has too many arguments without a name."
      } else {
        "{.fn marker_scan} has no argument {.arg {name}}."
      }
    ))
  }
}

check_scan_file <- function(file) {
  if (is.null(file)) {
    return(invisible())
  }
  if (!is.character(file) || length(file) != 1L || is.na(file) || !nzchar(file)) {
    pp_abort("argument", c(x = "{.arg file} must be the name of a file, or {.code NULL}."))
  }
  if (dir.exists(file)) {
    pp_abort("argument", c(x = "{.arg file} cannot be written: {.file {file}} is a folder."))
  }
  folder <- dirname(path.expand(file))
  if (!dir.exists(folder)) {
    pp_abort("argument", c(
      x = "{.arg file} cannot be written: there is no folder {.file {folder}}."
    ))
  }
}

check_block_size <- function(block_size, n) {
  if (is.null(block_size)) {
    return(as.integer(max(16, min(1024, floor(2^22 / n)))))
  }
  check_count(block_size, "block_size")
}

check_refit_scale <- function(refit_scale, fit) {
  if (is.null(refit_scale)) {
    return(fit$model == "spectral")
  }
  refit_scale <- check_flag(refit_scale, "refit_scale")
  if (refit_scale && fit$model == "ep") {
    pp_abort("argument", c(
      x = "{.arg refit_scale} cannot be {.code TRUE} for a fit by {.fn kernel_glmm}.",
      i = "The score test holds all variance parameters of the null model."
    ))
  }
  refit_scale
}
