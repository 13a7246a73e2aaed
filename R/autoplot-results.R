# ggplot2 objects of profiles, bootstraps and tables of effects.

#' Plot results with ggplot2
#'
#' `autoplot()` of a profile draws the signed root of the deviance difference by parameter: a
#' straight line where the likelihood is normal, with the limits of the interval where it crosses
#' the quantiles. That of a bootstrap draws the distribution of each statistic over its replicates,
#' with the estimate and the percentile interval. That of a table of effects draws them with their
#' intervals.
#'
#' @param object A profile ([stats::profile()] of a fit), a [bootstrap()], or an [effects_table()].
#' @param parm Names or numbers of the parameters to draw. Default all.
#' @param level Coverage of the interval shown, between 0 and 1. Default 0.95.
#' @param ... Not used; anything given here is an error.
#' @return A `ggplot` object, a facet for each parameter.
#' @section Errors: A parameter that there is not, a `level` outside of (0, 1) and nothing to draw
#'   are of class `partialpool_error_argument`.
#' @seealso [plot.pp_fit()] for pictures of a fit.
#' @examples
#' fit <- lmm(Reaction ~ Days + (1 | Subject), sleepstudy)
#' if (requireNamespace("ggplot2", quietly = TRUE)) {
#'   ggplot2::autoplot(bootstrap(fit, 50, seed = 1))
#' }
#' @name autoplot-results
NULL

#' @rdname autoplot-results
#' @exportS3Method ggplot2::autoplot
autoplot.pp_profile <- function(object, parm = NULL, level = 0.95, ...) {
  reject_dots(...)
  need_package()
  check_level(level)
  rows <- profile_rows(object, parm)
  quantile <- stats::qnorm(0.5 + level / 2)
  limits <- do.call(rbind, lapply(split(rows, rows$parameter), profile_limits, quantile))
  ggplot2::ggplot(rows, ggplot2::aes(.data$value, .data$zeta)) + picture_theme() +
    gg_rule(0) +
    ggplot2::geom_hline(
      yintercept = c(-quantile, quantile), linetype = 2, colour = picture_colours$rule
    ) +
    ggplot2::geom_segment(
      ggplot2::aes(.data$value, 0, xend = .data$value, yend = .data$zeta), limits,
      colour = picture_colours$smooth
    ) +
    ggplot2::geom_line(colour = picture_colours$line, linewidth = 0.7) +
    ggplot2::geom_point(colour = picture_colours$line, size = 1) +
    ggplot2::facet_wrap(ggplot2::vars(.data$parameter), scales = "free_x") +
    ggplot2::labs(
      x = "Value of the parameter", y = expression(zeta), title = "Profiled deviance",
      subtitle = paste0("Signed root of its difference; limits of ", format(100 * level),
                        "% intervals")
    )
}

profile_rows <- function(object, parm) {
  rows <- as.data.frame(object)
  rows$parameter <- factor(rows$parameter, unique(as.character(rows$parameter)))
  known <- levels(rows$parameter)
  at <- if (is.null(parm)) seq_along(known) else check_parm(parm, known, full = FALSE)
  rows <- rows[rows$parameter %in% known[at] & is.finite(rows$zeta) & is.finite(rows$value),
               c("parameter", "value", "zeta")]
  if (!nrow(rows)) {
    pp_abort("argument", c(x = "There is nothing to draw: the profile has no finite value."))
  }
  rows$parameter <- droplevels(rows$parameter)
  rows[order(rows$parameter, rows$value), ]
}

# Where the curve of one parameter crosses the quantiles, as far as it reaches them.
profile_limits <- function(rows, quantile) {
  rows <- rows[!duplicated(rows$zeta), ]
  zeta <- c(-quantile, quantile)
  value <- if (nrow(rows) > 1L) stats::approx(rows$zeta, rows$value, zeta)$y else c(NA, NA)
  limits <- data.frame(parameter = rows$parameter[1L], value = value, zeta = zeta)
  limits[!is.na(limits$value), ]
}

#' @rdname autoplot-results
#' @exportS3Method ggplot2::autoplot
autoplot.pp_bootstrap <- function(object, parm = NULL, level = 0.95, ...) {
  reject_dots(...)
  need_package()
  check_level(level)
  names <- names(object$t0)
  if (is.null(names)) names <- paste0("t", seq_along(object$t0))
  at <- if (is.null(parm)) seq_along(names) else check_parm(parm, names, full = FALSE)
  tails <- c((1 - level) / 2, (1 + level) / 2)
  own <- lapply(at, function(k) {
    values <- object$t[is.finite(object$t[, k]), k]
    list(
      values = data.frame(name = rep(names[k], length(values)), value = unname(values)),
      marks = data.frame(
        name = names[k], estimate = object$t0[[k]],
        lower = end_of(values, tails[1L]), upper = end_of(values, tails[2L])
      )
    )
  })
  shown <- factor(names[at], unique(names[at]))
  values <- do.call(rbind, lapply(own, `[[`, "values"))
  if (!nrow(values)) {
    pp_abort("argument", c(x = "There is nothing to draw: no replicate has a finite value."))
  }
  marks <- do.call(rbind, lapply(own, `[[`, "marks"))
  values$name <- factor(values$name, levels(shown))
  marks$name <- factor(marks$name, levels(shown))
  bins <- max(10L, min(40L, ceiling(2 * nrow(object$t)^(1 / 3))))
  several <- length(at) > 1L
  plot <- ggplot2::ggplot(values, ggplot2::aes(.data$value)) + picture_theme() +
    ggplot2::geom_histogram(bins = bins, fill = "grey80", colour = "white", linewidth = 0.2) +
    ggplot2::geom_vline(
      ggplot2::aes(xintercept = .data$estimate), marks, colour = picture_colours$smooth,
      linewidth = 0.7
    ) +
    ggplot2::geom_vline(
      ggplot2::aes(xintercept = .data$lower), marks, colour = picture_colours$line, linetype = 2,
      na.rm = TRUE
    ) +
    ggplot2::geom_vline(
      ggplot2::aes(xintercept = .data$upper), marks, colour = picture_colours$line, linetype = 2,
      na.rm = TRUE
    ) +
    ggplot2::labs(
      x = if (several) "Value of the statistic" else names[at], y = "Replicates",
      title = "Bootstrap distribution", subtitle = bootstrap_subtitle(object, level)
    )
  if (several) plot + ggplot2::facet_wrap(ggplot2::vars(.data$name), scales = "free") else plot
}

end_of <- function(values, tail) {
  if (length(values)) stats::quantile(values, tail, names = FALSE, type = 6L) else NA_real_
}

bootstrap_subtitle <- function(object, level) {
  paste0(
    counted(nrow(object$t), "replicate"),
    if (isTRUE(object$failed > 0)) paste0(", ", object$failed, " failed"),
    "; estimate (solid), ", format(100 * level), "% of the replicates (dashed)"
  )
}

#' @rdname autoplot-results
#' @exportS3Method ggplot2::autoplot
autoplot.pp_effects <- function(object, ...) {
  reject_dots(...)
  need_package()
  rows <- effect_rows(object)
  gg_effects(list(
    rows = rows, xlab = "Estimate", ylab = NULL, title = "Effects",
    note = "Estimates with their intervals"
  ))
}

# The rows with an estimate, the first on top; contrasts by their names.
effect_rows <- function(table) {
  label <- as.character(table$term)
  contrast <- table[["contrast"]]
  if (!is.null(contrast)) {
    label <- ifelse(is.na(contrast), label, paste0(label, ": ", contrast))
  }
  rows <- data.frame(
    label = label, estimate = table$estimate, lower = table$conf.low, upper = table$conf.high
  )
  rows <- rows[is.finite(rows$estimate) & label != "(Intercept)", ]
  if (!nrow(rows)) {
    pp_abort("argument", c(x = "There is nothing to draw: the table has no estimate."))
  }
  rows[rev(seq_len(nrow(rows))), ]
}
