# What a scan shows of itself: the smallest p values, what was not tested, how far the tests are
# inflated.

# Gathered block by block, so that it is there for results that went to a file.
new_overview <- function() {
  list(
    tests = 0, tested = 0, imputed = 0,
    untested = c("all missing" = 0, constant = 0, collinear = 0, "exact fit" = 0),
    bins = NULL, top = NULL
  )
}

overview_bins <- 10000L
overview_top <- 10L

# `streamed`: keep what summary() cannot take from the table later.
add_overview <- function(overview, table, found, tests, streamed) {
  overview$tests <- overview$tests + nrow(table)
  overview$tested <- overview$tested + sum(!is.na(table$p))
  overview$imputed <- overview$imputed + sum(found$missing)
  causes <- scan_status[c("all missing", "constant", "collinear")]
  causes <- tabulate(match(found$status, causes), 3L)
  overview$untested <- overview$untested + c(causes, length(tests$exact))
  if (streamed) {
    p <- table$p[!is.na(table$p)]
    bins <- tabulate(pmin(floor(p * overview_bins), overview_bins - 1L) + 1L, overview_bins)
    overview$bins <- if (is.null(overview$bins)) bins else overview$bins + bins
    top <- rbind(overview$top, smallest_p(table, overview_top))
    overview$top <- smallest_p(top, overview_top)
  }
  overview
}

smallest_p <- function(table, n) {
  out <- table[utils::head(order(table$p, na.last = NA), n), , drop = FALSE]
  row.names(out) <- NULL
  out
}

# Median of the tests as chi-squared with one degree of freedom, over that of the distribution.
inflation <- function(p) {
  if (!length(p)) {
    return(NA_real_)
  }
  stats::qchisq(stats::median(p), 1, lower.tail = FALSE) / stats::qchisq(0.5, 1)
}

# The median by linear interpolation in a fine histogram.
binned_median <- function(bins) {
  below <- cumsum(bins)
  half <- below[length(bins)] / 2
  bin <- which(below >= half)[1L]
  (bin - 1 + (half - (below[bin] - bins[bin])) / bins[bin]) / length(bins)
}

#' Summary of a marker scan
#'
#' The smallest p values of a scan, how many markers were tested and why others were not, and the
#' genomic inflation factor.
#'
#' The inflation factor lambda is the median of the test statistics, taken as chi-squared with one
#' degree of freedom, over the median of that distribution: 1 if most markers have no effect and the
#' null model describes the covariance between samples; clearly above 1 if it does not, or if many
#' markers have an effect. For results in a file the median is interpolated in a histogram of
#' 10,000 bins.
#'
#' @param object,x A scan by [marker_scan()], or its summary.
#' @param n Number of tests to list, those with the smallest p values; default 10 (the most that is
#'   kept if the results went to a file).
#' @param level Probability of any false positive that the Bonferroni threshold allows; default
#'   0.05.
#' @param digits Number of significant digits.
#' @param row.names,optional,... Ignored.
#' @return `summary()`: a list of class `"summary.pp_scan"` with `null` (the null model), `tests`,
#'   `tested`, `untested` (number of markers by cause), `imputed` (number of values), `lambda`,
#'   `threshold` (`level` divided by the number of tests), `below` (number of tests below it; `NA`
#'   if more than are kept went to a file) and `top`. `print()` returns its argument invisibly.
#'   `as.data.frame()`: the plain data frame.
#' @seealso [marker_scan()]
#' @examples
#' set.seed(1)
#' markers <- matrix(rbinom(100 * 40, 2, 0.3), 100)
#' fit <- kernel_lmm(rnorm(100), NULL, kernel(factor = scale(markers)))
#' summary(marker_scan(fit, markers), n = 3)
#' @export
summary.pp_scan <- function(object, n = 10L, level = 0.05, ...) {
  n <- check_count(n, "n")
  level <- check_positive(level, "level")
  overview <- attr(object, "overview")
  streamed <- !is.null(attr(object, "file"))
  threshold <- level / max(overview$tested, 1)
  p <- object$p[!is.na(object$p)]
  top <- if (streamed) utils::head(overview$top, n) else smallest_p(as.data.frame(object), n)
  below <- if (streamed) sum(overview$top$p <= threshold) else sum(p <= threshold)
  if (streamed && below == overview_top && overview$tested > below) below <- NA_integer_
  structure(
    list(
      null = attr(object, "null"), sets = "set" %in% names(object),
      tests = overview$tests, tested = overview$tested, untested = overview$untested,
      imputed = overview$imputed,
      lambda = if (!streamed) {
        inflation(p)
      } else if (overview$tested > 0) {
        inflation(binned_median(overview$bins))
      } else {
        NA_real_
      },
      level = level, threshold = threshold, below = below, top = top,
      file = attr(object, "file")
    ),
    class = "summary.pp_scan"
  )
}

#' @rdname summary.pp_scan
#' @export
print.pp_scan <- function(x, digits = max(3L, getOption("digits") - 3L), ...) {
  if (is.null(attr(x, "overview"))) {
    # A part of a scan
    print(as.data.frame(x), digits = digits, ...)
  } else {
    print(summary.pp_scan(x, n = 5L), digits = digits)
  }
  invisible(x)
}

#' @rdname summary.pp_scan
#' @export
print.summary.pp_scan <- function(x, digits = max(3L, getOption("digits") - 3L), ...) {
  what <- if (x$sets) "set" else "marker"
  cat("Scan of ", counted(x$tests, what), ", ", scan_kind(x$null), "\n", sep = "")
  cat("Null model: ", x$null$n, " rows, ", counted(x$null$p, "fixed effect"),
      if (!is.null(x$null$traits)) paste0(", ", counted(x$null$traits, "trait")), ", scale ",
      format(x$null$scale, digits = digits),
      if (!is.null(x$null$delta)) paste0(", delta ", format(x$null$delta, digits = digits)),
      "\n", sep = "")
  if (!is.null(x$file)) cat("Results in: ", x$file, "\n", sep = "")
  cat("\n")
  if (NROW(x$top)) {
    shown <- x$top[intersect(names(x$top), c(
      "marker", "set", "df", "effect", "se", "statistic", "p", "missing", "frequency",
      "chromosome", "position"
    ))]
    cat(if (nrow(shown) < x$tested) "Smallest p values:\n" else "Tests by p value:\n")
    shown$p <- format.pval(shown$p, digits = max(2L, digits - 2L), eps = 1e-300)
    print(shown, digits = digits, row.names = FALSE)
  }
  cat(strwrap(scan_notes(x, what), width = getOption("width"), exdent = 2L), sep = "\n")
  invisible(x)
}

scan_kind <- function(null) {
  if (null$refit) {
    paste0(if (null$REML) "REML" else "ML", ", scale refitted for each")
  } else if (null$model == "ep") {
    "score tests by expectation propagation"
  } else {
    "score tests, scale held"
  }
}

scan_notes <- function(x, what) {
  untested <- x$untested[x$untested > 0]
  below <- if (is.na(x$below)) "10 or more" else format(x$below)
  c(
    if (length(untested)) {
      paste0("No result (NA): ", paste(
        format(untested, trim = TRUE, big.mark = ","), names(untested), collapse = ", "
      ), if (x$sets) " (markers, left out of their sets)")
    },
    if (x$imputed > 0) {
      paste("Missing values imputed by the mean of the marker:",
            format(x$imputed, big.mark = ",", scientific = FALSE))
    },
    if (!is.na(x$lambda)) {
      paste("Genomic inflation factor lambda:", format(round(x$lambda, 3), nsmall = 3))
    },
    if (x$tested > 0) {
      sprintf(
        "p values are not adjusted for their number: %s of %s below %s (Bonferroni, %s)", below,
        counted(x$tested, "test"), format(x$threshold, digits = 2), format(x$level)
      )
    }
  )
}

counted <- function(n, what) {
  paste0(format(n, big.mark = ",", scientific = FALSE), " ", what, if (n != 1) "s")
}

#' @rdname summary.pp_scan
#' @export
as.data.frame.pp_scan <- function(x, row.names = NULL, optional = FALSE, ...) {
  for (name in c("markers", "overview", "null", "call", "file")) attr(x, name) <- NULL
  class(x) <- "data.frame"
  x
}
