# Residuals: against fitted values, their size against fitted values, and their quantiles.

# Residuals that are standard normal if the model holds, and what they are called.
plotted_residuals <- function(fit) UseMethod("plotted_residuals")

plotted_residuals.pp_lmm <- function(fit) {
  list(residuals = scaled_residuals(fit), label = "Scaled residuals")
}

# Those of a quasi family, which is no distribution, are only scaled.
plotted_residuals.pp_glmm <- function(fit) {
  if (!is.null(fit$family$quasi)) {
    return(plotted_residuals.pp_lmm(fit))
  }
  list(residuals = with_seed(1L, quantile_residuals(fit)), label = "Quantile residuals")
}

plotted_residuals.pp_kernel_fit <- function(fit) {
  values <- unname(residuals.pp_kernel_fit(fit, "quantile", seed = 1L))
  list(residuals = values, label = "Quantile residuals")
}

plotted_fitted <- function(fit) {
  if (inherits(fit, "pp_kernel_fit")) {
    latent <- !is.null(fit$family)
    return(list(
      values = unname(predict.pp_kernel_fit(fit)),
      label = if (latent) paste0("Latent variable (", fit$family$link, ")") else "Fitted values"
    ))
  }
  list(values = fitted_values(fit), label = fitted_label(fit))
}

# list(panels = list(list(points, smooth, labels ...))): what both kinds of pictures draw.
residuals_picture <- function(fit) {
  shown <- plotted_residuals(fit)
  against <- plotted_fitted(fit)
  new_picture("residuals", list(scatter_panel(
    against, shown$residuals, shown$label, "Residuals against fitted values", 0
  )))
}

scale_location_picture <- function(fit) {
  shown <- plotted_residuals(fit)
  against <- plotted_fitted(fit)
  new_picture("scale-location", list(scatter_panel(
    against, sqrt(abs(shown$residuals)), paste0("Root of |", tolower(shown$label), "|"),
    "Size of residuals against fitted values", expected_root
  )))
}

# E sqrt|Z| of a standard normal Z.
expected_root <- 2^0.25 * gamma(0.75) / sqrt(pi)

scatter_panel <- function(against, y, ylab, title, rule) {
  seen <- is.finite(against$values) & is.finite(y)
  points <- data.frame(x = against$values[seen], y = y[seen])
  smooth <- stats::lowess(points$x, points$y)
  smooth <- data.frame(smooth)[!duplicated(smooth$x), ]
  list(
    points = points, smooth = smooth, rule = rule, xlab = against$label, ylab = ylab,
    title = title, note = cells_note(nrow(points))
  )
}

draw_scatter <- function(panel, given) {
  points <- panel$points
  open_panel(
    points$x, c(points$y, panel$rule), panel$xlab, panel$ylab, panel$title, panel$note, given
  )
  draw_points(points$x, points$y, given)
  graphics::abline(h = panel$rule, lty = 3, col = picture_colours$rule)
  graphics::lines(panel$smooth, col = picture_colours$smooth, lwd = 2)
}

# Quantiles ---------------------------------------------------------------------------------------

# Fits of up to so many rows are simulated and refitted for the bands of their quantiles.
most_refitted <- 2000L

qq_picture <- function(fit, nsim) {
  shown <- plotted_residuals(fit)
  residuals <- sort(shown$residuals)
  n <- length(residuals)
  at <- shown_ranks(n)
  draws <- if (nsim > 0L) with_seed(1L, simulated_quantiles(fit, residuals, at, nsim))
  points <- data.frame(x = stats::qnorm(stats::ppoints(n))[at], y = residuals[at])
  new_picture("qq", list(list(
    points = points, band = envelope(points$x, draws), xlab = "Normal quantiles",
    ylab = shown$label, title = "Normal quantiles of residuals",
    note = if (!is.null(draws)) {
      paste0(
        "95% bands: pointwise (dark) and simultaneous (light), ",
        if (n > most_refitted) "of a normal sample" else "simulated from the fit",
        if (ncol(draws) < nsim) paste0(" (", nsim - ncol(draws), " of ", nsim, " failed)")
      )
    }
  )))
}

# Ranks that are drawn: all, or of many rows the tails and a thousand between.
shown_ranks <- function(n) {
  if (n <= most_refitted) {
    return(seq_len(n))
  }
  tail <- seq_len(200L)
  unique(c(tail, round(seq(201, n - 200, length.out = 1000L)), n + 1L - rev(tail)))
}

# Sorted residuals of simulated data at the ranks `at`, a column a simulation; NULL where the fit is
# of no distribution, or half of the simulations cannot be fitted. Random effects take up a part of
# the residuals: each simulated response is fitted again. Where there are many rows, the quantiles
# vary little, and are those of independent normal residuals with the root mean square of the ones
# seen.
simulated_quantiles <- function(fit, residuals, at, nsim) {
  n <- length(residuals)
  if (n > most_refitted) {
    return(sqrt(mean(residuals^2)) * stats::qnorm(uniform_quantiles(n, at, nsim)))
  }
  if (inherits(fit, "pp_kernel_fit") && fit$model != "spectral" || !is.null(fit$family$quasi)) {
    return(NULL)
  }
  fit <- quiet_fit(fit)
  responses <- stats::simulate(fit, nsim)
  draws <- vapply(responses, function(y) {
    tryCatch(
      sort(new_residuals(suppressMessages(suppressWarnings(fit_again(fit, y)))))[at],
      error = function(e) rep(NA_real_, length(at))
    )
  }, numeric(length(at)))
  draws <- matrix(draws, length(at))
  draws <- draws[, colSums(is.na(draws)) == 0, drop = FALSE]
  if (ncol(draws) < max(20, nsim / 2)) NULL else draws
}

fit_again <- function(fit, y) {
  if (inherits(fit, "pp_kernel_fit")) update.pp_kernel_fit(fit, y = y) else refit(fit, y)
}

# Not with the seed that plotted_residuals() sets: every response has its own randomisation.
new_residuals <- function(fit) {
  if (inherits(fit, "pp_kernel_fit")) {
    residuals.pp_kernel_fit(fit, "quantile")
  } else if (inherits(fit, "pp_glmm")) {
    quantile_residuals(fit)
  } else {
    scaled_residuals(fit)
  }
}

# Order statistics of n independent uniform numbers at the ranks `at`, by the sums of exponential
# variables between them.
uniform_quantiles <- function(n, at, nsim) {
  gaps <- diff(c(0, at, n + 1))
  sums <- matrix(stats::rgamma(length(gaps) * nsim, gaps), length(gaps))
  sums <- apply(sums, 2L, cumsum)
  sums[-length(gaps), , drop = FALSE] / rep(sums[length(gaps), ], each = length(at))
}

# Pointwise and simultaneous bands of simulated curves (a column each). The simultaneous one is the
# pointwise one, drawn out from the mean so far that it holds 95% of the curves whole: the
# directional quantile envelope of Myllymaki et al. (2017).
envelope <- function(x, draws, level = 0.95) {
  if (is.null(draws)) {
    return(NULL)
  }
  tails <- c((1 - level) / 2, (1 + level) / 2)
  middle <- rowMeans(draws)
  pointwise <- apply(draws, 1L, stats::quantile, tails, names = FALSE)
  below <- pmax(middle - pointwise[1L, ], 0)
  above <- pmax(pointwise[2L, ] - middle, 0)
  off <- draws - middle
  reach <- ifelse(off > 0, off / above, -off / below)
  reach[!is.finite(reach)] <- 0
  stretch <- max(1, stats::quantile(apply(reach, 2L, max), level, names = FALSE))
  data.frame(
    x = x, middle = middle, lower = pointwise[1L, ], upper = pointwise[2L, ],
    lower_all = middle - stretch * below, upper_all = middle + stretch * above
  )
}

draw_qq <- function(panel, given) {
  band <- panel$band
  open_panel(
    panel$points$x, c(panel$points$y, band$lower_all, band$upper_all), panel$xlab, panel$ylab,
    panel$title, panel$note, given
  )
  if (is.null(band)) {
    graphics::abline(0, 1, lty = 3, col = picture_colours$rule)
  } else {
    draw_band(band$x, band$lower_all, band$upper_all, alpha = 0.12)
    draw_band(band$x, band$lower, band$upper, alpha = 0.22)
    graphics::lines(band$x, band$middle, col = picture_colours$line)
  }
  draw_points(panel$points$x, panel$points$y, given)
}
