# What a bootstrap has found, shown and summed up.

#' Intervals and summaries of a bootstrap
#'
#' Intervals from the replicates of [bootstrap()], its table of bias and standard errors, and
#' histograms.
#'
#' `"perc"`: quantiles of the replicates, interpolated between order statistics on the normal scale;
#' `"basic"`: twice the estimate minus these quantiles, in reverse; `"norm"`: the estimate less the
#' bias, with the normal quantiles times the standard error. All are those of the 'boot' package.
#' Only the first stays in the parameter space: the others can give a standard deviation below zero.
#'
#' @param object,x A `"pp_bootstrap"`, as [bootstrap()] returns it.
#' @param parm Names or numbers of the values wanted. Default all. lme4's names `".sig01"`,
#'   `".sigma"` and the groups `"theta_"` and `"beta_"` are understood for the default statistic.
#' @param level Confidence level, 0.95 by default.
#' @param type `"perc"` (default), `"basic"` or `"norm"`.
#' @param digits Significant digits to print.
#' @param row.names,optional Part of the generic; `row.names` names the replicates.
#' @param ... Not used by `confint()` (anything given is an error) and `summary()`; for `plot()`
#'   passed on to [graphics::hist()].
#' @return `confint()`: a matrix with a row a value and columns named by the percentages.
#'   `summary()`: a data frame of class `"summary.pp_bootstrap"` with a row a value and the columns
#'   `estimate`, `bias`, `std.error` (standard deviation of the replicates), `median`, `conf.low`,
#'   `conf.high` (the percentile interval) and `replicates` (how many are not missing).
#'   `as.data.frame()`: the replicates, a row each. `print()` and `plot()`: `x`, invisibly.
#' @section Errors: A `parm`, `level` or `type` that does not exist is of class
#'   `partialpool_error_argument`. An interval that would reach beyond the largest replicate gives a
#'   warning of class `partialpool_warning_argument`: more replicates are needed.
#' @references
#' Davison AC, Hinkley DV (1997). Bootstrap Methods and their Application. Cambridge University
#' Press, chapter 5.
#' @examples
#' fit <- lmm(Reaction ~ Days + (Days | Subject), sleepstudy)
#' b <- bootstrap(fit, nsim = 100, seed = 1)
#' summary(b)
#' confint(b, parm = "Days", type = "norm")
#' plot(b, parm = c("sigma", "Days"))
#' @name confint.pp_bootstrap
NULL

#' @rdname confint.pp_bootstrap
#' @export
confint.pp_bootstrap <- function(object, parm = NULL, level = 0.95,
                                 type = c("perc", "basic", "norm"), ...) {
  reject_dots(...)
  check_level(level)
  type <- choose_option(type, c("perc", "basic", "norm"), "type")
  at <- if (is.null(parm)) seq_along(object$t0) else bootstrap_parm(object, parm)
  tails <- c((1 - level) / 2, (1 + level) / 2)
  table <- t(vapply(at, function(k) {
    bootstrap_interval(object$t0[[k]], object$t[, k], tails, type)
  }, numeric(2L)))
  if (type != "norm") warn_few_replicates(object, at, tails)
  dimnames(table) <- list(
    names(object$t0)[at], paste(format(100 * tails, trim = TRUE, digits = 3L), "%")
  )
  table
}

bootstrap_interval <- function(estimate, replicates, tails, type) {
  replicates <- replicates[is.finite(replicates)]
  if (length(replicates) < 2L) {
    return(c(NA_real_, NA_real_))
  }
  switch(type,
    perc = normal_quantiles(replicates, tails),
    basic = 2 * estimate - rev(normal_quantiles(replicates, tails)),
    norm = 2 * estimate - mean(replicates) + stats::qnorm(tails) * stats::sd(replicates)
  )
}

# Quantiles, the k-th of R ordered values taken for that of k / (R + 1) and interpolated linearly in
# the normal quantile.
normal_quantiles <- function(x, p) {
  R <- length(x)
  x <- sort(x)
  stats::approx(stats::qnorm(seq_len(R) / (R + 1)), x, stats::qnorm(p), rule = 2L)$y
}

warn_few_replicates <- function(object, at, tails) {
  usable <- colSums(is.finite(object$t[, at, drop = FALSE]))
  if (any((usable + 1) * tails[1L] < 1)) {
    needed <- ceiling(1 / tails[1L]) - 1
    pp_warn("argument", c(
      "!" = "{min(usable)} replicate{?s} {?is/are} too few for an interval of this level: it ends at
             the most extreme one.",
      ">" = "Use {.arg nsim} of {needed} at the very least, better 1000."
    ))
  }
}

# Positions of the values that `parm` names.
bootstrap_parm <- function(object, parm) {
  names <- names(object$t0)
  if (is.character(parm)) {
    own <- parm %in% names
    parm <- unlist(Map(function(p, known) {
      if (known) p else lme4_alias(p, names)
    }, parm, own), use.names = FALSE)
  }
  check_parm(parm, names, full = FALSE)
}

# Names of lme4 for those of the default statistic; what is no such name comes back as it is.
lme4_alias <- function(p, names) {
  variance <- grep("^(sd|cor)_.*[|]", names, value = TRUE)
  if (p == ".sigma" && "sigma" %in% names) {
    return("sigma")
  }
  if (p == "theta_") {
    return(c(variance, intersect("sigma", names)))
  }
  if (p == "beta_") {
    return(setdiff(names, c(variance, "sigma")))
  }
  number <- suppressWarnings(as.integer(sub("^[.]sig", "", p)))
  if (startsWith(p, ".sig") && !is.na(number) && number %in% seq_along(variance)) {
    return(variance[number])
  }
  p
}

#' @rdname confint.pp_bootstrap
#' @export
summary.pp_bootstrap <- function(object, level = 0.95, ...) {
  check_level(level)
  usable <- colSums(is.finite(object$t))
  column <- function(f) {
    vapply(seq_along(object$t0), function(k) {
      x <- object$t[is.finite(object$t[, k]), k]
      if (length(x) > 1L) f(x) else NA_real_
    }, 0)
  }
  tails <- c((1 - level) / 2, (1 + level) / 2)
  table <- data.frame(
    estimate = unname(object$t0), bias = column(mean) - unname(object$t0),
    std.error = column(stats::sd), median = column(stats::median),
    conf.low = column(function(x) normal_quantiles(x, tails[1L])),
    conf.high = column(function(x) normal_quantiles(x, tails[2L])),
    replicates = usable, row.names = names(object$t0)
  )
  structure(table, heading = bootstrap_heading(object), notes = bootstrap_notes(object),
            level = level, class = c("summary.pp_bootstrap", "data.frame"))
}

#' @rdname confint.pp_bootstrap
#' @export
print.summary.pp_bootstrap <- function(x, digits = max(3L, getOption("digits") - 3L), ...) {
  cat(attr(x, "heading"), sep = "\n")
  cat("\n")
  print_bootstrap_table(x[c("estimate", "bias", "std.error", "median", "conf.low", "conf.high")],
                        digits, attr(x, "level"))
  cat("\n")
  cat(attr(x, "notes"), sep = "\n")
  invisible(x)
}

#' @rdname confint.pp_bootstrap
#' @export
print.pp_bootstrap <- function(x, digits = max(3L, getOption("digits") - 3L), ...) {
  table <- summary.pp_bootstrap(x)
  cat(attr(table, "heading"), sep = "\n")
  cat("\n")
  print_bootstrap_table(table[c("estimate", "bias", "std.error", "conf.low", "conf.high")], digits,
                        0.95)
  cat("\n")
  cat(attr(table, "notes"), sep = "\n")
  invisible(x)
}

# Each row with the digits that its standard error allows.
print_bootstrap_table <- function(table, digits, level) {
  tails <- paste(format(100 * c((1 - level) / 2, (1 + level) / 2), trim = TRUE, digits = 3L), "%")
  cells <- as.matrix(as.data.frame(unclass(table), row.names = attr(table, "row.names")))
  decimals <- pmin(10, pmax(0, digits - 2L - floor(log10(cells[, "std.error"]))))
  decimals[!is.finite(decimals)] <- digits
  shown <- array("", dim(cells), dimnames(cells))
  for (i in seq_len(nrow(cells))) {
    large <- max(abs(cells[i, ]), na.rm = TRUE) >= 1e6
    shown[i, ] <- if (isTRUE(large) || isTRUE(cells[i, "std.error"] < 1e-8)) {
      formatC(cells[i, ], digits = digits, format = "g")
    } else {
      formatC(cells[i, ], digits = decimals[i], format = "f")
    }
  }
  names <- c(conf.low = tails[1L], conf.high = tails[2L])
  renamed <- colnames(shown) %in% names(names)
  colnames(shown)[renamed] <- names[colnames(shown)[renamed]]
  print(shown, quote = FALSE, right = TRUE)
}

bootstrap_heading <- function(x) {
  kind <- switch(x$type,
    parametric = "Parametric bootstrap",
    semiparametric = "Bootstrap of residuals and random effects",
    cases = if (is.null(x$by)) "Bootstrap of rows" else paste("Bootstrap of the levels of", x$by)
  )
  if (x$use_random) {
    kind <- switch(x$type,
      parametric = "Parametric bootstrap given the random effects",
      semiparametric = "Bootstrap of residuals given the random effects"
    )
  }
  formula <- x$call$formula
  c(
    sprintf("%s, %d %s (seed %d)", kind, x$nsim,
            if (x$nsim == 1L) "replicate" else "replicates", x$seed),
    if (is.language(formula)) formula_lines(paste("Formula:", label_of(formula)),
                                            getOption("width"))
  )
}

# What became of the replicates, a line each.
bootstrap_notes <- function(x) {
  counts <- c(x$failed, sum(x$unconverged), sum(x$singular))
  counts <- paste0(
    counts[1L], " failed, ", counts[2L], " without convergence, ", counts[3L], " singular"
  )
  messages <- x$messages
  c(
    sprintf("Of %d %s: %s.", x$nsim, if (x$nsim == 1L) "replicate" else "replicates", counts),
    if (nrow(messages)) {
      text <- sprintf("%d x %s: %s", messages$replicates, messages$kind, messages$text)
      shown <- utils::head(text, 5L)
      more <- length(text) - length(shown)
      c(strwrap(shown, getOption("width"), indent = 2L, exdent = 4L),
        if (more > 0L) sprintf("  and %d more in $messages", more))
    }
  )
}

#' @rdname confint.pp_bootstrap
#' @export
as.data.frame.pp_bootstrap <- function(x, row.names = NULL, optional = FALSE, ...) {
  if (is.null(row.names)) row.names <- seq_len(nrow(x$t))
  as.data.frame(x$t, row.names = row.names, optional = TRUE)
}

#' @rdname confint.pp_bootstrap
#' @export
plot.pp_bootstrap <- function(x, parm = NULL, level = 0.95, ...) {
  at <- if (is.null(parm)) seq_along(x$t0) else bootstrap_parm(x, parm)
  tails <- c((1 - level) / 2, (1 + level) / 2)
  if (length(at) > 1L) {
    columns <- ceiling(sqrt(min(length(at), 9L)))
    before <- graphics::par(
      mfrow = c(ceiling(min(length(at), 9L) / columns), columns), mar = c(4.2, 4.2, 1.2, 0.8),
      mgp = c(2.8, 0.6, 0)
    )
    on.exit(graphics::par(before))
  }
  for (k in at) plot_replicates(x$t[, k], x$t0[k], tails, ...)
  invisible(x)
}

# Histogram and density, the estimate (solid) and the percentile interval (dashed).
plot_replicates <- function(replicates, estimate, tails, ...) {
  values <- replicates[is.finite(replicates)]
  if (length(values) < 2L || diff(range(values)) == 0) {
    graphics::plot.new()
    graphics::title(xlab = names(estimate), sub = "no variation")
    return(invisible())
  }
  density <- stats::density(values)
  histogram <- graphics::hist(values, breaks = "FD", plot = FALSE)
  if (length(histogram$breaks) > 100L) histogram <- graphics::hist(values, 100L, plot = FALSE)
  defaults <- list(
    x = histogram, freq = FALSE, col = "grey90", border = "grey70", main = "",
    xlab = names(estimate), ylab = "Density", las = 1,
    ylim = c(0, 1.02 * max(histogram$density, density$y))
  )
  do.call(graphics::plot, utils::modifyList(defaults, list(...)))
  graphics::lines(density, lwd = 1.5)
  graphics::abline(v = estimate, lwd = 2, col = "firebrick")
  graphics::abline(v = normal_quantiles(values, tails), lty = 2L)
}
