# Pictures of influence: a measure by deletion, the largest named.

#' Plot influence
#'
#' Index plots of what [influence()][influence.pp_fit] found: a measure for each deletion in the
#' order of the data, with the usual cut-offs as dotted lines and names at the largest values.
#' `plot()` draws them in base graphics, `autoplot()` makes the same as ggplot2 objects.
#'
#' The cut-offs are `4 / J` for Cook's distance and `mdffits` (J deletions), `2 / sqrt(J)` on both
#' sides for `dfbetas`, `1 +- 3 p / n` for `covratio` when rows are deleted; `covtrace` and changes
#' of variances have none.
#'
#' @param x,object A result of [influence()][influence.pp_fit].
#' @param which One or several of `"cook"` (default), `"dfbetas"` (a panel for each fixed effect),
#'   `"mdffits"`, `"covratio"`, `"covtrace"` and `"var.cov"` (change of each variance component).
#' @param parm For `"dfbetas"` and `"var.cov"`: names of the parameters wanted. Default all.
#' @param n Largest number of names in a panel, of values beyond the cut-off or, if there are none,
#'   of the two largest. Default 5; 0 for none.
#' @param ... For `plot()`: graphical parameters of points and frame, such as `col`, `pch` or
#'   `main`. For `autoplot()` not used; anything given here is an error.
#' @return `plot()`: `x`, invisibly. `autoplot()`: a `ggplot` object, a facet for each panel.
#' @section Errors: A measure or parameter that there is not is of class
#'   `partialpool_error_argument`.
#' @examples
#' fit <- lmm(Reaction ~ Days + (Days | Subject), sleepstudy)
#' by_subject <- influence(fit, "Subject")
#' plot(by_subject)
#' plot(by_subject, "dfbetas")
#' @export
plot.pp_influence <- function(x, which = "cook", parm = NULL, n = 5, ...) {
  panels <- influence_panels(x, which, parm, n)
  given <- list(...)
  if (length(panels) > 1L && prod(graphics::par("mfrow")) == 1L) {
    old <- graphics::par(mfrow = rev(grDevices::n2mfrow(length(panels))))
    on.exit(graphics::par(old))
  }
  for (panel in panels) draw_influence(panel, given)
  invisible(x)
}

#' @rdname plot.pp_influence
#' @exportS3Method ggplot2::autoplot
autoplot.pp_influence <- function(object, which = "cook", parm = NULL, n = 5, ...) {
  reject_dots(...)
  need_package()
  panels <- influence_panels(object, which, parm, n)
  titles <- vapply(panels, `[[`, "", "title")
  points <- do.call(rbind, lapply(panels, function(panel) {
    cbind(panel$points, title = factor(panel$title, titles))
  }))
  rules <- do.call(rbind, lapply(panels, function(panel) {
    data.frame(at = c(0, panel$cut), title = factor(panel$title, titles))
  }))
  named <- points[nzchar(points$label), ]
  ggplot2::ggplot(points, ggplot2::aes(.data$index, .data$value)) + picture_theme() +
    ggplot2::geom_hline(
      ggplot2::aes(yintercept = .data$at), rules, linetype = 3, colour = picture_colours$rule
    ) +
    ggplot2::geom_segment(
      ggplot2::aes(xend = .data$index, y = .data$from, yend = .data$value),
      colour = picture_colours$group, linewidth = 0.3
    ) +
    ggplot2::geom_point(colour = picture_colours$line, size = 2 * point_size(nrow(points))) +
    ggplot2::geom_text(
      ggplot2::aes(label = .data$label), named, vjust = ifelse(named$value < 0, 1.5, -0.6), size = 3
    ) +
    ggplot2::scale_y_continuous(expand = ggplot2::expansion(0.1)) +
    ggplot2::facet_wrap(ggplot2::vars(.data$title), scales = "free_y") +
    ggplot2::labs(x = panels[[1L]]$xlab, y = NULL, title = influence_title(object))
}

influence_measures <- c("cook", "dfbetas", "mdffits", "covratio", "covtrace", "var.cov")

# A list of panels: list(points: index, value, from, label; cut, xlab, ylab, title).
influence_panels <- function(x, which, parm, n) {
  which <- vapply(as.list(which), choose_option, "", influence_measures, "which")
  n <- if (identical(as.numeric(n), 0)) 0L else check_count(n, "n")
  unlist(lapply(which, function(measure) {
    values <- influence_values(x, measure, parm)
    lapply(colnames(values), function(name) {
      influence_panel(x, measure, values[, name], name, n)
    })
  }), recursive = FALSE)
}

# A matrix, a row a deletion.
influence_values <- function(x, measure, parm) {
  if (measure == "cook") {
    return(cbind("Cook's distance" = cooks.distance.pp_influence(x)))
  }
  if (measure %in% c("mdffits", "covratio", "covtrace")) {
    values <- as.data.frame.pp_influence(x)[[measure]]
    return(matrix(values, dimnames = list(names(x$rows), measure)))
  }
  values <- if (measure == "dfbetas") dfbetas.pp_influence(x) else dfbeta.pp_influence(x, "var.cov")
  # What does not vary, such as the sigma of a Poisson model, is no measure.
  if (measure == "var.cov") values <- values[, colSums(values != 0, na.rm = TRUE) > 0, drop = FALSE]
  if (is.null(parm)) {
    return(values)
  }
  values[, check_parm(parm, colnames(values), full = FALSE), drop = FALSE]
}

influence_panel <- function(x, measure, values, name, n) {
  J <- length(values)
  centre <- if (measure == "covratio") 1 else 0
  cut <- switch(measure,
    cook = , mdffits = 4 / J, dfbetas = c(-2, 2) / sqrt(J),
    covratio = if (x$groups == "case") 1 + c(-3, 3) * length(x$fixed.effects) / x$n
  )
  size <- abs(values - centre)
  far <- if (is.null(cut)) size > 0 else size > max(abs(cut - centre))
  # The two largest have their names in any case.
  order <- order(size, decreasing = TRUE, na.last = NA)
  named <- utils::head(order, min(n, max(2L, sum(far, na.rm = TRUE))))
  label <- character(J)
  label[named] <- names(x$rows)[named]
  what <- switch(measure, dfbetas = "dfbetas of ", var.cov = "Change of ", "")
  list(
    points = data.frame(index = seq_len(J), value = unname(values), from = centre, label = label),
    cut = cut, centre = centre, title = paste0(what, name),
    xlab = if (x$groups == "case") "Row"
           else paste0("Level of ", x$groups, ", in the order of the data"),
    ylab = if (measure == "dfbetas") "Standard errors" else if (measure == "var.cov") "Change"
           else name,
    note = influence_title(x)
  )
}

influence_title <- function(x) {
  deleted <- if (x$groups == "case") "row" else paste("level of", x$groups)
  paste0("Without each ", deleted, if (x$method == "refit") ", by refits" else ", by one step")
}

draw_influence <- function(panel, given) {
  points <- panel$points[is.finite(panel$points$value), ]
  reach <- range(points$value, panel$centre, panel$cut)
  # Room for names above and below.
  room <- 0.08 * diff(reach)
  named <- points[nzchar(points$label), ]
  reach <- reach + c(if (any(named$value < panel$centre)) -room else 0, room)
  open_panel(points$index, reach, panel$xlab, panel$ylab, panel$title, panel$note, given)
  graphics::abline(h = c(panel$centre, panel$cut), lty = 3, col = picture_colours$rule)
  graphics::segments(points$index, panel$centre, points$index, points$value,
                     col = faint(picture_colours$group, max(0.2, min(1, 300 / nrow(points)))))
  draw_points(points$index, points$value, given, picture_colours$line)
  if (nrow(named)) {
    graphics::text(named$index, named$value, named$label, cex = 0.75, xpd = NA,
                   pos = ifelse(named$value < panel$centre, 1, 3), offset = 0.4)
  }
}
