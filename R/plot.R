# Three base-graphics plots of a fit.

#' Plot a fit
#'
#' Residuals against fitted values, a normal quantile plot of the residuals, and the random effects
#' with their intervals, sorted (a caterpillar plot), in base graphics. The residuals of a fit by
#' [lmm()] are scaled; those of a fit by [glmm()] are randomised quantile residuals (drawn with a
#' fixed seed), which are standard normal if the model holds, and stand against the fitted values on
#' the scale of the link.
#'
#' @param x A fit, as [lmm()] or [glmm()] returns it.
#' @param which Plots wanted: 1 residuals against fitted values, 2 normal quantiles, 3 random
#'   effects, one panel per effect. Default all.
#' @param level Coverage of the intervals of the random effects. Default 0.95.
#' @param ask `TRUE` waits for a key before each page. Default: on a screen that has no room for all
#'   panels.
#' @param ... Further graphical parameters for the points, such as `col` or `pch`.
#' @return The fit, invisibly.
#' @section Errors: A number in `which` other than 1, 2, 3 is of class
#'   `partialpool_error_argument`.
#' @examples
#' fit <- lmm(Reaction ~ Days + (Days | Subject), sleepstudy)
#' plot(fit, which = 1)
#' plot(fit, which = 3)
#' @importFrom graphics plot
#' @export
plot.pp_fit <- function(x, which = 1:3, level = 0.95, ask = NULL, ...) {
  check_level(level)
  if (!is.numeric(which) || length(which) == 0L || !all(which %in% 1:3)) {
    pp_abort("argument", c(
      x = "{.arg which} must hold numbers from 1 to 3.",
      i = "It is {.val {which}}."
    ))
  }
  effects <- if (3 %in% which && has_random(x)) as.data.frame(ranef.pp_fit(x))
  effect_panels <- if (is.null(effects)) 0L else nrow(unique(effects[c("grpvar", "term")]))
  panels <- sum(which < 3) + effect_panels
  if (is.null(ask)) ask <- prod(graphics::par("mfcol")) < panels && grDevices::dev.interactive()
  if (ask) {
    before <- grDevices::devAskNewPage(TRUE)
    on.exit(grDevices::devAskNewPage(before))
  }
  if (any(which < 3)) shown <- plotted_residuals(x)
  if (1 %in% which) plot_residuals(fitted_values(x), shown, ...)
  if (2 %in% which) plot_quantiles(shown, ...)
  if (!is.null(effects)) plot_effect_panels(effects, level, ...)
  invisible(x)
}

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

plot_residuals <- function(fitted, shown, ...) {
  point_plot(fitted, shown$residuals,
    xlab = "Fitted values", ylab = shown$label, main = "Residuals against fitted values", ...
  )
  graphics::abline(h = 0, lty = 3)
  graphics::lines(stats::lowess(fitted, shown$residuals), col = "firebrick")
}

plot_quantiles <- function(shown, ...) {
  residuals <- shown$residuals
  point_plot(stats::qnorm(stats::ppoints(length(residuals))), sort(residuals),
    xlab = "Normal quantiles", ylab = shown$label,
    main = "Normal quantiles of residuals", ...
  )
  graphics::abline(0, 1, lty = 3)
}

# Many points are drawn as dots.
point_plot <- function(x, y, ..., pch = if (length(x) > 5000L) "." else 1) {
  graphics::plot(x, y, ..., pch = pch)
}

plot_effect_panels <- function(effects, level, ...) {
  panels <- split(effects, list(effects$term, effects$grpvar), drop = TRUE)
  for (panel in panels) plot_effects_of(panel, stats::qnorm(0.5 + level / 2), ...)
}

plot_effects_of <- function(panel, quantile, ..., pch = 19) {
  panel <- panel[order(panel$condval), ]
  position <- seq_len(nrow(panel))
  lower <- panel$condval - quantile * panel$condsd
  upper <- panel$condval + quantile * panel$condsd
  named <- nrow(panel) <= 40L
  graphics::plot(panel$condval, position,
    type = "n", xlim = range(lower, upper), yaxt = "n",
    xlab = as.character(panel$term[1L]), ylab = if (named) "" else panel$grpvar[1L],
    main = paste("Random effects of", panel$grpvar[1L])
  )
  graphics::abline(v = 0, lty = 3)
  graphics::segments(lower, position, upper, position, col = "grey50")
  graphics::points(panel$condval, position, pch = pch, cex = if (named) 0.8 else 0.3, ...)
  if (named) {
    graphics::axis(2, position, as.character(panel$grp), las = 1, cex.axis = 0.7, tick = FALSE)
  }
}
