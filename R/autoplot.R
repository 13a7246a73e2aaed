# The pictures of plot() as ggplot2 objects.

#' @rdname plot.pp_fit
#' @exportS3Method ggplot2::autoplot
autoplot.pp_fit <- function(object, which = 1:3, level = 0.95, term = NULL, group = NULL,
                            scale = c("response", "link"), nsim = 99, data = NULL, type = which,
                            ...) {
  reject_dots(...)
  need_package()
  usual <- missing(which) && missing(type)
  which <- if (usual) usual_pictures(object) else choose_pictures(type, object)
  options <- list(
    level = level, term = term, group = group, scale = scale, nsim = nsim, data = data
  )
  as_ggplots(make_pictures(object, which, options))
}

#' @rdname plot.pp_fit
#' @exportS3Method ggplot2::autoplot
autoplot.pp_kernel_fit <- function(object, which = 1:2, level = 0.95, nsim = 99, type = which,
                                   ...) {
  reject_dots(...)
  need_package()
  usual <- missing(which) && missing(type)
  which <- if (usual) usual_pictures(object) else choose_pictures(type, object)
  as_ggplots(make_pictures(object, which, list(level = level, nsim = nsim)))
}

need_package <- function(package = "ggplot2") {
  if (!requireNamespace(package, quietly = TRUE)) {
    pp_abort("argument", c(
      x = "{.fn autoplot} needs the package {.pkg {package}}, which is not installed.",
      ">" = "{.fn plot} draws the same pictures without it."
    ))
  }
}

# One ggplot, or a list of them with a class that prints them all.
as_ggplots <- function(pictures) {
  plots <- unlist(lapply(pictures, ggplots_of), recursive = FALSE)
  if (length(plots) == 1L) plots[[1L]] else structure(plots, class = "pp_pictures")
}

# Panels of like axes go into one ggplot, the others have one each.
ggplots_of <- function(picture) {
  plots <- switch(picture$kind,
    residuals = , "scale-location" = lapply(picture$panels, gg_scatter),
    qq = lapply(picture$panels, gg_qq), random = list(gg_random(picture$panels)),
    effects = lapply(picture$panels, gg_effects), marginal = lapply(picture$panels, gg_marginal),
    pairs = gg_pairs(picture$panels), trace = lapply(picture$panels, gg_trace),
    manhattan = lapply(picture$panels, gg_manhattan), "scan-qq" = lapply(picture$panels, gg_scan_qq)
  )
  names <- if (length(plots) > 1L) paste(picture$kind, seq_along(plots)) else picture$kind
  stats::setNames(plots, names)
}

#' @export
print.pp_pictures <- function(x, ...) {
  for (plot in x) print(plot, ...)
  invisible(x)
}

# What they share ---------------------------------------------------------------------------------

picture_theme <- function() {
  ggplot2::theme_bw(base_size = 11) + ggplot2::theme(
    panel.grid.minor = ggplot2::element_blank(),
    panel.grid.major = ggplot2::element_line(colour = "grey94"),
    panel.border = ggplot2::element_blank(), axis.line = ggplot2::element_line(colour = "grey20"),
    strip.background = ggplot2::element_blank(), strip.text = ggplot2::element_text(hjust = 0),
    plot.title = ggplot2::element_text(size = ggplot2::rel(1.1)),
    plot.subtitle = ggplot2::element_text(size = ggplot2::rel(0.8), colour = "grey40"),
    plot.title.position = "panel", legend.position = "none"
  )
}

gg_panel <- function(panel) {
  ggplot2::ggplot() + picture_theme() +
    ggplot2::labs(x = panel$xlab, y = panel$ylab, title = panel$title, subtitle = panel$note)
}

gg_points <- function(points, colour = picture_colours$point) {
  n <- nrow(points)
  if (n > most_points) {
    cells <- cells_of(as.numeric(points$x), points$y)
    shade <- log(cells$count) / max(log(cells$count), 1)
    return(ggplot2::geom_tile(
      ggplot2::aes(.data$x, .data$y, width = .data$width, height = .data$height), cells,
      fill = grDevices::grey(0.85 - 0.7 * shade)
    ))
  }
  ggplot2::geom_point(
    ggplot2::aes(.data$x, .data$y), points, colour = colour, alpha = point_alpha(n),
    size = 2 * point_size(n), shape = 16
  )
}

gg_rule <- function(...) {
  ggplot2::geom_hline(yintercept = c(...), linetype = 3, colour = picture_colours$rule)
}

gg_upright <- function(...) {
  ggplot2::geom_vline(xintercept = c(...), linetype = 3, colour = picture_colours$rule)
}

gg_band <- function(band, alpha = 0.18) {
  ggplot2::geom_ribbon(
    ggplot2::aes(.data$x, ymin = .data$lower, ymax = .data$upper), band,
    fill = picture_colours$line, alpha = alpha
  )
}

# Sizes of lines have had another name since ggplot2 3.4.
gg_line <- function(data, colour = picture_colours$line, width = 0.5, ...) {
  ggplot2::geom_line(ggplot2::aes(.data$x, .data$y, ...), data, colour = colour, linewidth = width)
}
