#' Pictures of likelihood profiles
#'
#' One panel a parameter. `"zeta"`: the signed root of the deviance against the parameter, with the
#' intervals of several levels as lines; the dashed line is what a parabolic likelihood would give
#' (and a Wald interval supposes). `"density"`: the density of a parameter whose normal score is
#' zeta: its shape shows skewness and mass at a limit.
#'
#' @param x A profile, as [profile()][profile.pp_fit] returns it.
#' @param type `"zeta"` (default), `"abs"` (its absolute value) or `"density"`.
#' @param parm Which parameters, as in [confint()][confint.pp_fit]. Default: all.
#' @param levels Levels of the intervals drawn. Default 50, 80, 90, 95 and 99%.
#' @param col Colour of the curve.
#' @param ... Further graphical parameters for the panels, such as `cex.axis`.
#' @return `x`, invisibly.
#' @examples
#' plot(profile(lmm(Yield ~ 1 + (1 | Batch), Dyestuff)))
#' @importFrom graphics plot
#' @export
plot.pp_profile <- function(x, type = c("zeta", "abs", "density"), parm = NULL,
                            levels = c(0.5, 0.8, 0.9, 0.95, 0.99), col = "#1b6ca8", ...) {
  type <- choose_option(type, c("zeta", "abs", "density"), "type")
  types <- attr(x, "type")
  term <- ifelse(types %in% c("sd", "cor", "cov"), 1L, NA_integer_)
  chosen <- choose_parameters(parm, list(name = names(types), type = unname(types), term = term))
  curves <- profile_curves(x)[chosen]
  levels <- levels[levels <= attr(x, "level") + 1e-12]
  shape <- grDevices::n2mfrow(length(curves))
  old <- graphics::par(mfrow = rev(shape), mar = c(3.6, 3.1, 1.6, 0.6), mgp = c(1.9, 0.6, 0))
  on.exit(graphics::par(old))
  for (name in names(curves)) {
    if (type == "density") {
      draw_density(curves[[name]], name, col, ...)
    } else {
      draw_zeta(curves[[name]], name, levels, col, type == "abs", ...)
    }
  }
  invisible(x)
}

draw_zeta <- function(curve, name, levels, col, absolute, ...) {
  fine <- fine_curve(curve)
  shown <- if (absolute) abs else identity
  graphics::plot(fine$value, shown(fine$zeta), type = "n", xlab = name,
                 ylab = if (absolute) "|zeta|" else "zeta", las = 1, ...)
  graphics::abline(h = 0, col = "grey80")
  at <- which(curve$zeta == 0)[1L]
  straight <- curve$slope[at] * (fine$value - curve$value[at])
  if (all(is.finite(straight))) {
    graphics::lines(fine$value, shown(straight), lty = 2L, col = "grey60")
  }
  for (level in levels) {
    z <- stats::qnorm((1 + level) / 2)
    limits <- path_limits(curve, z)
    found <- is.finite(limits)
    reached <- found & abs(c(curve$zeta[1L], curve$zeta[length(curve$zeta)])) >= z * (1 - 1e-6)
    ends <- shown(c(-z, z))
    if (any(reached)) {
      graphics::segments(limits[reached], 0, limits[reached], ends[reached], col = "grey45")
    }
    if (absolute && all(reached)) {
      graphics::segments(limits[1L], z, limits[2L], z, col = "grey45")
    }
  }
  graphics::lines(fine$value, shown(fine$zeta), col = col, lwd = 2)
}

# Density of the parameter: that of zeta times its slope.
draw_density <- function(curve, name, col, ...) {
  fine <- fine_curve(curve)
  density <- stats::dnorm(fine$zeta) * fine$slope
  keep <- is.finite(density)
  graphics::plot(fine$value[keep], density[keep], type = "n", xlab = name, ylab = "density",
                 las = 1, ylim = c(0, max(density[keep])), ...)
  graphics::polygon(
    fine$value[keep][c(1L, seq_len(sum(keep)), sum(keep))], c(0, density[keep], 0),
    col = grDevices::adjustcolor(col, 0.15), border = NA
  )
  graphics::lines(fine$value[keep], density[keep], col = col, lwd = 2)
}

# Values between the points of a path, by the cubics through them.
fine_curve <- function(curve, between = 20L) {
  n <- length(curve$value)
  slope <- curve$slope
  pieces <- lapply(seq_len(max(n - 1L, 0L)), function(i) {
    two <- i + 0:1
    x <- seq(curve$value[i], curve$value[i + 1L], length.out = between + 1L)[-(between + 1L)]
    h <- diff(curve$value[two])
    chord <- diff(curve$zeta[two]) / h
    s <- ifelse(is.finite(slope[two]), slope[two], chord)
    t <- (x - curve$value[i]) / h
    rise <- chord * 6 * t * (1 - t) + s[1L] * (1 - t) * (1 - 3 * t) + s[2L] * t * (3 * t - 2)
    list(value = x, zeta = hermite(x, curve$value[two], curve$zeta[two], s), slope = rise)
  })
  last <- list(value = curve$value[n], zeta = curve$zeta[n], slope = slope[n])
  pieces <- c(pieces, list(last))
  stats::setNames(
    lapply(names(last), function(name) unlist(lapply(pieces, `[[`, name))), names(last)
  )
}
