# The lattice plots that lme4 has for random effects and residuals.

# Caterpillar plots: a dot a level with the interval of 1.96 conditional standard deviations, levels
# in the order of the first column. A list of plots, one a grouping factor.
dotplot.ranef.pp_fit <- function(x, data, main = TRUE, transf = identity, ...) {
  lapply(stats::setNames(nm = names(x)), function(group) {
    long <- effects_with_sd(x[[group]], group)
    lattice::dotplot(grp ~ condval | term,
      data = long, se = long$condsd, transf = transf,
      prepanel = function(x, y, se, subscripts, ...) interval_limits(x, se[subscripts], transf),
      panel = function(x, y, se, subscripts, pch = 16, ...) {
        line <- lattice::trellis.par.get("dot.line")
        lattice::panel.abline(h = unique(as.numeric(y)), col = line$col, lty = line$lty)
        lattice::panel.abline(v = transf(0), col = line$col, lty = line$lty)
        half <- 1.96 * se[subscripts]
        lattice::panel.segments(transf(x - half), y, transf(x + half), y, col = "black")
        lattice::panel.xyplot(transf(x), y, pch = pch, ...)
      },
      xlab = NULL, main = if (main) group, ...
    )
  })
}

# The same effects against normal quantiles.
qqmath.ranef.pp_fit <- function(x, data, main = TRUE, ...) {
  lapply(stats::setNames(nm = names(x)), function(group) {
    long <- effects_with_sd(x[[group]], group)
    n <- nlevels(long$grp)
    long <- long[order(long$term, long$condval), ]
    long$quantile <- rep(stats::qnorm((seq_len(n) - 0.5) / n), nlevels(long$term))
    lattice::xyplot(quantile ~ condval | term,
      data = long, se = long$condsd,
      prepanel = function(x, y, se, subscripts, ...) interval_limits(x, se[subscripts], identity),
      panel = function(x, y, se, subscripts, pch = 16, ...) {
        lattice::panel.grid(h = -1, v = -1)
        lattice::panel.abline(v = 0)
        half <- 1.96 * se[subscripts]
        lattice::panel.segments(x - half, y, x + half, y, col = "black")
        lattice::panel.xyplot(x, y, pch = pch, ...)
      },
      scales = list(x = list(relation = "free")), ylab = "Standard normal quantiles", xlab = NULL,
      main = if (main) group, ...
    )
  })
}

dotplot.coef.pp_fit <- function(x, data, main = TRUE, ...) {
  lapply(stats::setNames(nm = names(x)), function(group) {
    table <- x[[group]]
    long <- data.frame(
      value = unlist(table, use.names = FALSE),
      grp = rep(factor(row.names(table), row.names(table)[order(table[[1L]])]), length(table)),
      term = factor(rep(names(table), each = nrow(table)), names(table))
    )
    lattice::dotplot(grp ~ value | term,
      data = long, scales = list(x = list(relation = "free")), xlab = NULL,
      main = if (main) group, ...
    )
  })
}

# Standardised residuals against normal quantiles; those of a generalised model are its randomised
# quantile residuals, which are normal if the model is right.
qqmath.pp_fit <- function(x, data, ...) {
  r <- if (inherits(x, "pp_lmm")) {
    stats::residuals(x, type = "pearson", scaled = TRUE)
  } else {
    stats::residuals(x, type = "quantile")
  }
  lattice::qqmath(as.numeric(r),
    xlab = "Standard normal quantiles", ylab = "Standardized residuals",
    prepanel = lattice::prepanel.qqmathline,
    panel = function(x, ...) {
      lattice::panel.qqmathline(x, ...)
      lattice::panel.qqmath(x, ...)
    }, ...
  )
}

effects_with_sd <- function(table, group) {
  long <- long_table(table, group)
  if (is.null(long$condsd)) long$condsd <- 0
  long
}

interval_limits <- function(x, se, transf) {
  half <- 1.96 * se
  list(xlim = range(transf(x - half), transf(x + half), finite = TRUE))
}
